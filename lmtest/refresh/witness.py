"""The pytest plugin of the process that re-runs tests: it runs those that are wanted, and tells how each ended.

Tests are chosen here and not on the command line, where one that is gone would keep all others from running; and what
the project's own ``addopts`` would leave out of a run, or end it at, is set aside.

The journal has a line for each thing that happens, a JSON object with one key: ``chosen``, the tests that are to run;
``begun`` and ``collected``, an id; ``ended``, an :class:`Ended`. A process that dies leaves open what it died in.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest

from lmtest import clock, settings, variables
from lmtest.cassette import redact
from lmtest.errors import BudgetExceeded, CassetteUnsaved, LimitError, LMTestError
from lmtest.modes import Mode
from lmtest.refresh import history, lock
from lmtest.refresh.history import Attempt
from lmtest.refresh.ids import belongs, names
from lmtest.refresh.written import first_line, test_id

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

WANTED: Final = variables.REFRESH_WANTED
"""The variable that names the file of wanted tests, one a line."""

JOURNAL: Final = variables.REFRESH_JOURNAL
"""The variable that names the file in which each test's end is told, one JSON object a line."""

_LIMIT: Final = "lmtest_limit"
_UNKEPT: Final = "lmtest_unkept"
_NAME: Final = "lmtest_name"
_TOO_LARGE: Final = "lmtest_too_large"
_UNANSWERED: Final = "lmtest_unanswered"
_NOBODY: Final = "lmtest_nobody"
_REASON: Final = "lmtest_reason"
_GONE: Final = "whoever started this refresh is gone"
_PHASES: Final = frozenset({"setup", "call", "teardown"})
_RUNS_ALL: Final[dict[str, Any]] = {
    "collectonly": False,
    "deselect": None,
    "failedfirst": False,
    "ignore": None,
    "ignore_glob": None,
    "keyword": "",
    "lf": False,
    "lmtest_mode": None,
    "lmtest_prune": False,
    "lmtest_report": [],
    "markexpr": "",
    "maxfail": 0,
    "newfirst": False,
    "setuponly": False,
    "setupplan": False,
    "stepwise": False,
    "stepwise_skip": False,
    "usepdb": False,
}
"""Options with which pytest runs all of the tests that are wanted, in the mode that is; by where pytest keeps them."""

Outcome = Literal["passed", "failed", "errored", "crashed", "skipped", "not run"]
"""How a test ended: ``errored`` in its fixtures or its import, ``crashed`` with the process that ran it."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a test ended.

    Attributes:
        test: Its id; of a file or class that could not be collected, that one's.
        outcome: In a word.
        reason: Why it did not pass.
        limit: What the limit said that stopped a call of it.
        unkept: Why what it recorded could not be kept.
        unanswered: Whether a model did not answer it, or refused to.
        nobody: Whether there was nobody to ask, for want of a key or of a provider: that says nothing of the test.
        too_large: Whether its calls alone used up what the limit allows, so that the next run holds no more of them.
    """

    test: str
    outcome: Outcome
    reason: str = ""
    limit: str = ""
    unkept: str = ""
    unanswered: bool = False
    nobody: bool = False
    too_large: bool = False

    @property
    def red(self) -> bool:
        """Whether something is wrong with it: it neither passed nor was skipped."""
        return self.outcome not in {"passed", "skipped"}

    def concerns(self, test: str) -> bool:
        """Whether it is that test, one of that file or class, or the file or class that holds it."""
        return belongs(self.test, test) or belongs(test, self.test)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Set aside what a project's ``addopts`` would keep from running, before any plugin looks."""
    if WANTED in os.environ:
        options = vars(config.option)
        options.update({name: value for name, value in _RUNS_ALL.items() if name in options})


def pytest_configure(config: pytest.Config) -> None:
    """Join the run, if there is one to be a witness of."""
    if WANTED in os.environ:
        config.pluginmanager.register(_Witness(config), "lmtest-witness")


class _Witness:
    def __init__(self, config: pytest.Config) -> None:
        wanted = Path(os.environ[WANTED]).read_text(encoding="utf-8").splitlines()
        self._wanted = {name.rstrip("/"): place for place, name in reversed([*enumerate(wanted)])}
        self._leads = not hasattr(config, "workerinput")
        self._parent = os.getppid()
        self._root = config.rootpath
        if self._leads:
            lock.hold_for_tests(self._root)
        self._phases: dict[str, list[pytest.TestReport]] = {}
        self._is_first = True

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        places = {item: place for item in items if (place := self._place(item)) is not None}
        # In the order in which they are wanted: a budget may not hold all of them.
        chosen = sorted(places, key=places.__getitem__)
        _tell(chosen=[self._name(item) for item in chosen])
        config.hook.pytest_deselected(items=[item for item in items if item not in places])
        items[:] = chosen

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if not report.passed:
            report.user_properties = [*report.user_properties, (_REASON, _reason(item, report, call))]
        if (name := self._name(item)) not in {None, item.nodeid}:
            report.user_properties = [*report.user_properties, (_NAME, name)]
        if call.excinfo is not None and _is_unanswered(call.excinfo.value):
            nobody = _is_nobody(call.excinfo.value)
            report.user_properties = [*report.user_properties, (_UNANSWERED, True), (_NOBODY, nobody)]
        if call.excinfo is not None and isinstance(call.excinfo.value, LimitError):
            limit = str(call.excinfo.value)
            report.user_properties = [*report.user_properties, (_LIMIT, limit)]
            if isinstance(call.excinfo.value, BudgetExceeded):
                alone = "usd_per_test" in limit or ("usd_per_run" in limit and self._is_first)
                report.user_properties = [*report.user_properties, (_TOO_LARGE, alone and call.excinfo.value.spent > 0)]
            item.session.shouldstop = limit
        if call.excinfo is not None and (unkept := _unkept(call.excinfo.value)):
            report.user_properties = [*report.user_properties, (_UNKEPT, unkept)]
            item.session.shouldstop = unkept  # each further call would be paid for, and lost
        return report

    def _name(self, item: pytest.Item) -> str | None:
        """The id by which a test is wanted: as it is written down, or as pytest has it, as it once was written."""
        ids = (item.nodeid, test_id(item))
        return next((each for each in ids if any(name in self._wanted for name in names(each))), None)

    def _place(self, item: pytest.Item) -> int | None:
        """The place of a test among what is wanted, in that order; None where it is not."""
        found = [
            self._wanted[name] for each in (item.nodeid, test_id(item)) for name in names(each) if name in self._wanted
        ]
        return min(found, default=None)

    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        if isinstance(collector, pytest.File):
            _tell(begun=collector.nodeid, name=collector.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and self._leads:
            last = report.longreprtext.strip().rpartition("\n")[2].removeprefix("E").strip()
            last = redact.of_process(settings.load(self._root)[0].redact).text(last)
            self._end(Ended(test=report.nodeid, outcome="errored", reason=f"it could not be collected: {last}"))
        _tell(collected=report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        _tell(begun=item.nodeid, name=self._name(item) or item.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not self._leads:
            return
        if report.when not in _PHASES:  # so xdist and forked say that the process died
            self._phases.pop(report.nodeid, None)
            self._end(Ended(test=report.nodeid, outcome="crashed", reason=_told(report).strip().partition("\n")[0]))
            return
        self._phases.setdefault(report.nodeid, []).append(report)
        if report.when == "teardown":
            self._is_first = False
            phases = self._phases.pop(report.nodeid)
            if all(each.outcome != "rerun" for each in phases):  # type: ignore[comparison-overlap]  # of a plugin
                self._end(_summed_up(phases))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        # Whoever asked for these tests was killed: nobody wants to pay for the rest.
        if self._leads and os.getppid() != self._parent:
            item.session.shouldstop = _GONE
            pytest.skip(_GONE)

    def _end(self, ended: Ended) -> None:
        if not (ended.outcome == "skipped" and ended.reason.endswith(_GONE)):
            note(self._root, ended, os.environ)
        _tell(ended=asdict(ended))


def note(root: Path, ended: Ended, environ: Mapping[str, str]) -> None:
    """Write down, for the refreshes to come, how a test fared in this one.

    Args:
        root: The project.
        ended: How it ended.
        environ: The environment of the process that it ran in.
    """
    if environ[variables.MODE] != Mode.REFRESH.value:
        return
    # Who uses up all that a run may would else be the first of every run, and the last.
    limited = (ended.limit and not ended.too_large) or ended.unkept
    attempt = Attempt(
        test=ended.test,
        outcome=history.LIMIT if limited else history.NOBODY if ended.nobody else ended.outcome,
        reason=ended.reason,
        at=clock.stamp(clock.utc_now()),
        run=environ[variables.RUN],
        to=environ.get(variables.REFRESH_TO),
    )
    with contextlib.suppress(OSError):  # the recordings are worth more, and the files beside the cassettes tell
        history.note(root, attempt)


def _tell(**event: Any) -> None:
    """Write a line of the journal whole, at once, though several processes write."""
    line = f"{json.dumps(event)}\n".encode()
    journal = os.open(os.environ[JOURNAL], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(journal, line)
    finally:
        os.close(journal)


def _is_unanswered(error: BaseException | None) -> bool:
    """Whether a model's answer did not come, as DSPy or a client says it, which may be what another error came of."""
    dspy = sys.modules.get("dspy")
    # An error of lm15 also stands behind our own words for a key that is missing.
    kinds = (dspy.LMError, dspy.lm15.LM15Error) if dspy else ()
    return any(
        getattr(each, "unanswered", None) is True  # of a process that hosts programs
        or (isinstance(each, kinds) and not isinstance(each, LMTestError))
        for each in _behind(error)
    )


def _is_nobody(error: BaseException | None) -> bool:
    """Whether that is for want of a key, of money or of a connection, which every test would fail for."""
    if (dspy := sys.modules.get("dspy")) is None:
        return False
    theirs = (dspy.LMAuthError, dspy.LMBillingError, dspy.LMNotConfiguredError, dspy.LMTransportError)
    ours = dspy.lm15
    kinds = (*theirs, ours.AuthError, ours.BillingError, ours.NotConfiguredError, ours.TransportError)
    return any(isinstance(each, kinds) for each in _behind(error))


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    """Give an error, and those that it came of."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _reason(item: pytest.Item, report: pytest.TestReport, call: pytest.CallInfo[None]) -> str:
    """Say why a phase did not pass: what it raised, and of an execution in another process, the stage it failed at."""
    stage = getattr(call.excinfo.value, "stage", None) if call.excinfo else None
    return first_line(item, _told(report)) + (f" (stage {stage})" if isinstance(stage, str) else "")


def _summed_up(phases: list[pytest.TestReport]) -> Ended:
    bad = next((each for each in phases if each.failed), None) or next((each for each in phases if each.skipped), None)
    said = {name: value for each in phases for name, value in each.user_properties}
    test = str(said.get(_NAME, phases[0].nodeid))
    if bad is None:
        return Ended(test=test, outcome="passed")
    outcome: Outcome = "skipped" if bad.skipped else "failed" if bad.when == "call" else "errored"
    return Ended(
        test=test,
        outcome=outcome,
        reason=next((str(text) for name, text in bad.user_properties if name == _REASON), ""),
        limit=str(said.get(_LIMIT, "")),
        unkept=str(said.get(_UNKEPT, "")),
        unanswered=bool(said.get(_UNANSWERED)),
        nobody=bool(said.get(_NOBODY)),
        too_large=bool(said.get(_TOO_LARGE)),
    )


def _unkept(error: BaseException | None) -> str:
    """Why a recording could not be kept, if that is what an error, or one that it came of, says."""
    return next((str(each) for each in _behind(error) if isinstance(each, CassetteUnsaved)), "")


def _told(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash:
        return str(crash.message)
    return str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
