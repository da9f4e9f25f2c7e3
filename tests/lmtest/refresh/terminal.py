"""A command on a terminal of its own, answered as by a person."""

import contextlib
import os
import pty
import select
import subprocess
import sys

_PATIENCE = 60
_SECONDS_TO_REACT = 10
# What closes a terminal tells those whose own it is.
_ON_ITS_OWN = """
import fcntl, runpy, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
runpy.run_module("lmtest", run_name="__main__", alter_sys=True)
"""


class Terminal:
    """Runs an lmtest command whose terminal it is; `code` is its exit code in the end."""

    def __init__(self, *command):
        self._ours, theirs = pty.openpty()
        self._said, self._questions = "", 0
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ON_ITS_OWN, *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=os.environ | {"TERM": "dumb", "COLUMNS": "120"},
        )
        os.close(theirs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._ours is not None:
            self.close()
        try:
            self.code = self._process.wait(_PATIENCE)
        finally:
            self._process.kill()

    def asked(self, question="] ("):
        """Wait for the next question, by what it ends with."""
        self._questions += 1
        while self._said.count(question) < self._questions:
            assert self._read(), f"it ended without asking: {self._said}"

    def answer(self, letter):
        """Answer the next question."""
        self.asked()
        os.write(self._ours, f"{letter}\n".encode())

    def press(self, key, *, at="] ("):
        """Press a key at the next question, by what it ends with, and once more where nothing came of it.

        An interruption between a prompt and its reading is seen by Python when that has ended.
        """
        self.asked(at)
        while self._process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired, OSError):
                os.write(self._ours, key)
                self._process.wait(_SECONDS_TO_REACT)

    def rest(self):
        """Wait for the end; gives all that was said."""
        while self._read():
            pass
        return self._said

    def close(self):
        """Close the terminal, as one closes its window."""
        os.close(self._ours)
        self._ours = None

    def _read(self):
        assert select.select([self._ours], [], [], _PATIENCE)[0], f"it says nothing more: {self._said}"
        read = b""
        with contextlib.suppress(OSError):  # how a terminal says that nobody is there any more
            read = os.read(self._ours, 65536)
        self._said += read.decode(errors="replace")
        return read
