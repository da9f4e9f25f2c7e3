"""The tests that own cassettes, run once more in a process of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from lmtest import variables
from lmtest.errors import LMTestError
from lmtest.modes import Mode, ModeChoice
from lmtest.money.origin import REFRESH_FLAG
from lmtest.refresh.witness import JOURNAL, WANTED, Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lmtest.lm.substitution import Substitution
    from lmtest.money.limits import Limits

REFRESHING: Final = ModeChoice(mode=Mode.REFRESH, source="lmtest refresh")
"""The mode of a refresh, whatever anybody else says."""

_EVERY: Final = 0.1
"""Seconds between looks at how far the tests are."""

_PATIENCE: Final = 30.0
"""Seconds that tests get to end after they were interrupted."""

_RAN_NONE: Final = 5  # pytest's exit codes
_RAN: Final = frozenset({0, 1, 2, _RAN_NONE})


@dataclass(kw_only=True)
class Run:
    """What became of the tests.

    Attributes:
        ended: Each test that ran, in order.
        stopped: Why not all ran; empty where all did.
        log: What pytest printed.
    """

    ended: list[Ended] = field(default_factory=list)
    stopped: str = ""
    log: str = ""

    def of(self, *tests: str) -> Ended | None:
        """How tests, or those of a file or class, ended together: the first that did not pass; None if none ran."""
        mine = [each for each in self.ended if any(each.concerns(test) for test in tests)]
        return next((each for each in mine if each.outcome != "passed"), mine[0] if mine else None)


def run_tests(
    tests: Sequence[str],
    *,
    root: Path,
    mode: Mode,
    limits: Limits | None = None,
    to: Substitution | None = None,
    on_end: Callable[[Ended], None] = lambda _: None,
) -> Run:
    """Run tests in another mode, stopping at a limit, and at Ctrl-C with what is finished.

    Args:
        tests: Ids of tests, or of the classes and files they are in.
        root: The project, which the ids are relative to.
        mode: The mode they run in.
        limits: What the run may use up, before what the environment says.
        to: The models that are asked instead of the tests' own.
        on_end: Called with each test that ended.

    Raises:
        LMTestError: pytest itself could not run them.
    """
    run = Run()
    if not tests:
        return run
    with tempfile.TemporaryDirectory(prefix="lmtest-refresh-") as scratch:
        wanted, journal, log = (Path(scratch) / name for name in ("wanted", "journal", "log"))
        wanted.write_text("\n".join(tests), encoding="utf-8")
        journal.touch()
        environ = _environ(os.environ, mode, limits, to) | {WANTED: str(wanted), JOURNAL: str(journal)}
        with log.open("wb") as output, journal.open(encoding="utf-8") as told:
            # In a session of its own, so that Ctrl-C reaches us, and we the tests: at once, and once.
            child = subprocess.Popen(  # noqa: S603 - our own interpreter, and files of the project
                _command(tests), cwd=root, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
            _follow(child, told, run, on_end)
        run.log = log.read_text(encoding="utf-8", errors="replace")
    if child.returncode not in _RAN and not run.stopped:
        raise LMTestError(
            f"pytest could not run the tests (exit code {child.returncode}). It said:\n{run.log[-3000:].strip()}"
        )
    return run


def _command(tests: Sequence[str]) -> list[str]:
    files = dict.fromkeys(test.partition("::")[0] for test in tests)
    options = ["-p", "lmtest.refresh.witness", "--continue-on-collection-errors", "--rootdir=.", "-q"]
    return [sys.executable, "-m", "pytest", *options, *files]


def _environ(environ: Mapping[str, str], mode: Mode, limits: Limits | None, to: Substitution | None) -> dict[str, str]:
    changed = {variables.MODE: mode.value, variables.RUN: environ.get(variables.RUN) or uuid.uuid4().hex[:12]}
    changed |= limits.over(environ, flag=REFRESH_FLAG) if limits is not None else {}
    changed |= {variables.REFRESH_TO: str(to)} if to else {}
    return {**environ, **changed}


def _follow(child: subprocess.Popen[bytes], told: TextIO, run: Run, on_end: Callable[[Ended], None]) -> None:
    try:
        while not _has_ended(child):
            _hear(told, run, on_end)
    except KeyboardInterrupt:
        run.stopped = "interrupted"
    finally:
        _end(child)
    _hear(told, run, on_end)


def _has_ended(child: subprocess.Popen[bytes]) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_EVERY)
    return child.returncode is not None


def _end(child: subprocess.Popen[bytes]) -> None:
    """Interrupt the tests as Ctrl-C would, so that they clean up; who does not end is killed."""
    if child.poll() is None:
        child.send_signal(signal.SIGINT if os.name != "nt" else signal.SIGTERM)
        try:
            child.wait(_PATIENCE)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            child.kill()
            child.wait()


def _hear(told: TextIO, run: Run, on_end: Callable[[Ended], None]) -> None:
    while True:
        place = told.tell()
        line = told.readline()
        if not line.endswith("\n"):
            told.seek(place)  # it is being written
            return
        ended = Ended(**json.loads(line))
        run.ended.append(ended)
        run.stopped = run.stopped or ended.limit
        on_end(ended)
