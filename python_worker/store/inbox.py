"""How processes of one machine tell each other something: each has a named pipe."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_END = "\n"


class Inbox:
    """Hears what other processes send; the thread that waits for it costs nothing meanwhile.

    Args:
        path: Where the pipe is made.
        heard: Called with each line.

    Raises:
        OSError: No pipe can be made there.
    """

    def __init__(self, path: Path, heard: Callable[[str], object]) -> None:
        os.mkfifo(path, mode=0o600)
        self._path = path
        self._heard = heard
        # For writing too: else it would end with the first sender.
        self._pipe = os.fdopen(os.open(path, os.O_RDWR), encoding="utf-8")
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hear nothing more."""
        self._path.unlink(missing_ok=True)
        os.write(self._pipe.fileno(), _END.encode())
        self._thread.join()
        self._pipe.close()

    def _run(self) -> None:
        for line in self._pipe:
            if line == _END:
                return
            self._heard(line.rstrip("\n"))


def tell(path: Path, line: str) -> bool:
    """Send a line to whoever has its pipe there; whether somebody does."""
    try:
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # it is gone, or was killed and has left its pipe
        return False
    try:
        os.write(pipe, f"{line}\n".encode())
    except BlockingIOError:  # full: it hears nothing
        return False
    finally:
        os.close(pipe)
    return True
