"""The pytest plugin of the process that re-runs tests: it runs those that are wanted, and tells how each ended.

Tests are chosen here and not on the command line, where one that is gone would keep all others from running.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from lmtest import clock, settings, variables
from lmtest.cassette import redact
from lmtest.errors import CassetteUnsaved, LimitError
from lmtest.modes import Mode
from lmtest.refresh import history, lock
from lmtest.refresh.history import Attempt
from lmtest.refresh.ids import belongs
from lmtest.refresh.written import first_line, test_id

if TYPE_CHECKING:
    from collections.abc import Generator

WANTED: Final = variables.REFRESH_WANTED
"""The variable that names the file of wanted tests, one a line."""

JOURNAL: Final = variables.REFRESH_JOURNAL
"""The variable that names the file in which each test's end is told, one JSON object a line."""

_LIMIT: Final = "lmtest_limit"
_UNKEPT: Final = "lmtest_unkept"
_NAME: Final = "lmtest_name"
_REASON: Final = "lmtest_reason"
_GONE: Final = "whoever started this refresh is gone"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a test ended.

    Attributes:
        test: Its id; of a file or class that could not be collected, that one's.
        outcome: ``passed``, ``failed`` or ``skipped``.
        reason: Why it did not pass.
        limit: What the limit said that stopped a call of it.
        unkept: Why what it recorded could not be kept.
    """

    test: str
    outcome: str
    reason: str = ""
    limit: str = ""
    unkept: str = ""

    def concerns(self, test: str) -> bool:
        """Whether it is that test, one of that file or class, or the file or class that holds it."""
        return belongs(self.test, test) or belongs(test, self.test)


def pytest_configure(config: pytest.Config) -> None:
    """Join the run, if there is one to be a witness of."""
    if WANTED in os.environ:
        config.pluginmanager.register(_Witness(config), "lmtest-witness")


class _Witness:
    def __init__(self, config: pytest.Config) -> None:
        self._wanted = Path(os.environ[WANTED]).read_text(encoding="utf-8").splitlines()
        self._leads = not hasattr(config, "workerinput")
        self._parent = os.getppid()
        self._root = config.rootpath
        if self._leads:
            lock.hold_for_tests(self._root)
        self._phases: dict[str, list[pytest.TestReport]] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        chosen = [item for item in items if self._name(item) is not None]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if not report.passed:
            report.user_properties = [*report.user_properties, (_REASON, first_line(item, _told(report)))]
        if (name := self._name(item)) not in {None, item.nodeid}:
            report.user_properties = [*report.user_properties, (_NAME, name)]
        if call.excinfo is not None and isinstance(call.excinfo.value, LimitError):
            limit = str(call.excinfo.value)
            report.user_properties = [*report.user_properties, (_LIMIT, limit)]
            item.session.shouldstop = limit
        if call.excinfo is not None and (unkept := _unkept(call.excinfo.value)):
            report.user_properties = [*report.user_properties, (_UNKEPT, unkept)]
            item.session.shouldstop = unkept  # each further call would be paid for, and lost
        return report

    def _name(self, item: pytest.Item) -> str | None:
        """The id by which a test is wanted: as it is written down, or as pytest has it, as it once was written."""
        ids = (item.nodeid, test_id(item))
        return next((each for each in ids if any(belongs(each, wanted) for wanted in self._wanted)), None)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and self._leads:
            last = report.longreprtext.strip().rpartition("\n")[2].removeprefix("E").strip()
            last = redact.of_process(settings.load(self._root)[0].redact).text(last)
            self._note(report.nodeid, "errored", f"it could not be collected: {last}")
            self._tell(Ended(test=report.nodeid, outcome="failed", reason=f"it could not be collected: {last}"))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not self._leads:
            return
        self._phases.setdefault(report.nodeid, []).append(report)
        if report.when == "teardown":
            phases = self._phases.pop(report.nodeid)
            ended = _summed_up(phases)
            if not (ended.outcome == "skipped" and ended.reason.endswith(_GONE)):
                self._note(ended.test, _outcome(ended, phases), ended.reason)
            self._tell(ended)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        # Whoever asked for these tests was killed: nobody wants to pay for the rest.
        if self._leads and os.getppid() != self._parent:
            item.session.shouldstop = _GONE
            pytest.skip(_GONE)

    def _note(self, test: str, outcome: str, reason: str) -> None:
        """Write down, for the refreshes to come, how a test fared in this one."""
        if os.environ.get(variables.MODE) != Mode.REFRESH.value:
            return
        to, run = os.environ.get(variables.REFRESH_TO), os.environ[variables.RUN]
        attempt = Attempt(test=test, outcome=outcome, reason=reason, at=clock.stamp(clock.utc_now()), run=run, to=to)
        with contextlib.suppress(OSError):  # the recordings are worth more, and the files beside the cassettes tell
            history.note(self._root, attempt)

    def _tell(self, ended: Ended) -> None:
        with Path(os.environ[JOURNAL]).open("a", encoding="utf-8") as journal:
            journal.write(f"{json.dumps(asdict(ended))}\n")


def _summed_up(phases: list[pytest.TestReport]) -> Ended:
    bad = next((each for each in phases if each.failed), None) or next((each for each in phases if each.skipped), None)
    limit = next((str(text) for each in phases for name, text in each.user_properties if name == _LIMIT), "")
    unkept = next((str(text) for each in phases for name, text in each.user_properties if name == _UNKEPT), "")
    test = next((str(name) for each in phases for key, name in each.user_properties if key == _NAME), phases[0].nodeid)
    if bad is None:
        return Ended(test=test, outcome="passed")
    reason = next((str(text) for name, text in bad.user_properties if name == _REASON), "")
    return Ended(test=test, outcome=bad.outcome, reason=reason, limit=limit, unkept=unkept)


def _unkept(error: BaseException | None) -> str:
    """Why a recording could not be kept, if that is what an error, or one that it came of, says."""
    while error is not None:
        if isinstance(error, CassetteUnsaved):
            return str(error)
        error = error.__cause__ or error.__context__
    return ""


def _told(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash:
        return str(crash.message)
    return str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else report.longreprtext


def _outcome(ended: Ended, phases: list[pytest.TestReport]) -> str:
    if ended.limit or ended.unkept:
        return history.LIMIT
    return "errored" if any(each.failed and each.when != "call" for each in phases) else ended.outcome
