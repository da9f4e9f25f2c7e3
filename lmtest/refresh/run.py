"""The tests that own cassettes, run once more in a process of their own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from lmtest import variables
from lmtest.errors import LMTestError
from lmtest.money.origin import REFRESH_FLAG
from lmtest.refresh.ids import ByTest, belongs
from lmtest.refresh.witness import JOURNAL, WANTED, Ended, note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lmtest.lm.substitution import Substitution
    from lmtest.modes import Mode
    from lmtest.money.limits import Limits

_EVERY: Final = 0.1
"""Seconds between looks at how far the tests are."""

_PATIENCE: Final = 30.0
"""Seconds that tests get to end after they were interrupted."""

_RAN: Final = frozenset({0, 1, 2, 5})
"""pytest's exit codes where it ran what it was told to, or there was nothing to run."""

_LAST_WORDS: Final = re.compile(r"Fatal Python error: .+|^\++ Timeout \++$|^!+ .+ !+$", re.MULTILINE)
"""Lines of pytest's, its neighbours' or Python's own that say why the process ended."""


@dataclass(kw_only=True)
class Run:
    """What became of the tests.

    Attributes:
        chosen: The tests that were to run.
        ended: Each test that ran, in order; and each file that could not be collected.
        stopped: Why not all ran, where a limit, a full disk or somebody stopped the run; empty where nothing did.
        unkept: Whether that was because a recording could not be kept.
        died: How a process ended that took a test with it, and perhaps others' turn.
        log: What pytest printed.
    """

    chosen: list[str] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    stopped: str = ""
    unkept: bool = False
    died: str = ""
    log: str = ""
    _by_test: ByTest[Ended] = field(default_factory=ByTest, init=False, repr=False, compare=False)
    _indexed: tuple[list[Ended], int] | None = field(default=None, init=False, repr=False, compare=False)

    def add(self, ended: Ended) -> None:
        """Keep how a test ended, and that the run stops if it does."""
        self.ended.append(ended)
        self.stopped = self.stopped or ended.unkept or ended.limit
        self.unkept = self.unkept or bool(ended.unkept)

    def of(self, *tests: str) -> Ended | None:
        """How tests, or those of a file or class, ended together: the first that did not pass; None if none ran."""
        if self._indexed != (self.ended, len(self.ended)):
            self._by_test = ByTest()
            for each in self.ended:
                self._by_test.add(each.test, each)
            self._indexed = (self.ended, len(self.ended))
        mine = self._by_test.concerning(*tests)
        return next((each for each in mine if each.outcome != "passed"), mine[0] if mine else None)

    @property
    def not_run(self) -> list[str]:
        """Tests that were to run, and of which none is known to have ended."""
        ended = {each.test for each in self.ended}
        return [test for test in self.chosen if test not in ended]

    def left_out(self, *tests: str) -> list[str]:
        """Those of tests, or of a file or class, that did not run because a process died."""
        if not self.died:
            return []
        return [each for each in self.not_run if any(belongs(each, test) for test in tests)]


def run_tests(
    tests: Sequence[str],
    *,
    root: Path,
    mode: Mode,
    limits: Limits | None = None,
    to: Substitution | None = None,
    name: str | None = None,
    on_end: Callable[[Ended], None] = lambda _: None,
) -> Run:
    """Run tests in another mode, stopping at a limit, at a recording that cannot be kept, and at Ctrl-C.

    Args:
        tests: Ids of tests, or of the classes and files they are in.
        root: The project, which the ids are relative to.
        mode: The mode they run in.
        limits: What the run may use up, before what the environment says.
        to: The models that are asked instead of the tests' own.
        name: The run's id, where it has one.
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
        environ = _environ(os.environ, mode, limits, to, name or run_name()) | {
            WANTED: str(wanted),
            JOURNAL: str(journal),
        }
        with log.open("wb") as output, journal.open(encoding="utf-8") as told:
            # In a session of its own, so that Ctrl-C reaches us, and we the tests: at once, and once.
            child = subprocess.Popen(  # noqa: S603 - our own interpreter, and files of the project
                _command(tests), cwd=root, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
            story = _Story(run, on_end)
            _follow(child, told, story)
        run.log = log.read_text(encoding="utf-8", errors="replace")
    if not run.stopped:
        for crashed in story.conclude(child.returncode):
            note(root, crashed, environ)
    return run


class _Story:
    """A run as its journal tells it, line by line.

    Args:
        run: What became of the tests, so far.
        on_end: Called with each test that ended.
    """

    def __init__(self, run: Run, on_end: Callable[[Ended], None]) -> None:
        self.run = run
        self._on_end = on_end
        self._names: dict[str, str] = {}
        self._open: dict[str, None] = {}

    def hear(self, event: Mapping[str, Any]) -> None:
        match event:
            case {"chosen": tests}:  # by each worker of xdist
                self.run.chosen = [*dict.fromkeys((*self.run.chosen, *tests))]
            case {"begun": test, "name": name}:
                self._names[test] = name
                self._open[name] = None
            case {"collected": test}:
                self._open.pop(test, None)
            case {"ended": how}:
                ended = Ended(**how)
                self._end(replace(ended, test=self._names.get(ended.test, ended.test)))

    def conclude(self, code: int) -> tuple[Ended, ...]:
        """Say what the end of the process means for what it left open.

        Returns:
            The tests that crashed with it.

        Raises:
            LMTestError: pytest could not run any test.
        """
        if self._open:
            self.run.died = _how_it_died(code, self.run.log)
            crashed = tuple(Ended(test=test, outcome="crashed", reason=self.run.died) for test in self._open)
            for each in crashed:
                self._end(each)
            return crashed
        if code not in _RAN:
            if not self.run.ended:
                raise LMTestError(
                    f"pytest could not run the tests (exit code {code}). It said:\n{self.run.log[-3000:].strip()}"
                )
            self.run.died = _how_it_died(code, self.run.log)
        return ()

    def _end(self, ended: Ended) -> None:
        self._open.pop(ended.test, None)
        self.run.add(ended)
        self._on_end(ended)


def _how_it_died(code: int, log: str) -> str:
    """Say how the process of the tests ended.

    >>> _how_it_died(-6, "Fatal Python error: Aborted"), _how_it_died(3, "")
    ('pytest was ended by SIGABRT: Fatal Python error: Aborted', 'pytest ended with exit code 3')
    """
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    words = _LAST_WORDS.findall(log)
    return f"pytest {how}{f': {words[0]}' if words else ''}"


def _command(tests: Sequence[str]) -> list[str]:
    files = dict.fromkeys(test.partition("::")[0] for test in tests)
    # The plugin by its name, because a project may have it off for its own runs.
    options = ["-p", "lmtest", "-p", "lmtest.refresh.witness", "--continue-on-collection-errors", "--rootdir=.", "-q"]
    return [sys.executable, "-m", "pytest", *options, *files]


def run_name() -> str:
    """The id of a run that begins now: the environment's, where that has one."""
    return os.environ.get(variables.RUN) or uuid.uuid4().hex[:12]


def _environ(
    environ: Mapping[str, str], mode: Mode, limits: Limits | None, to: Substitution | None, name: str
) -> dict[str, str]:
    changed = {variables.MODE: mode.value, variables.RUN: name}
    changed |= limits.over(environ, flag=REFRESH_FLAG) if limits is not None else {}
    changed |= {variables.REFRESH_TO: str(to)} if to else {}
    return {**environ, **changed}


def _follow(child: subprocess.Popen[bytes], told: TextIO, story: _Story) -> None:
    try:
        while not _has_ended(child):
            _hear(told, story)
    except KeyboardInterrupt:
        story.run.stopped = "interrupted"
    finally:
        _end(child)
    _hear(told, story)


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


def _hear(told: TextIO, story: _Story) -> None:
    while True:
        place = told.tell()
        line = told.readline()
        if not line.endswith("\n"):
            told.seek(place)  # it is being written
            return
        story.hear(json.loads(line))
