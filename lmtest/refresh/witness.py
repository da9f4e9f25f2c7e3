"""The pytest plugin of the process that re-runs tests: it runs those that are wanted, and tells how each ended.

Tests are chosen here and not on the command line, where one that is gone would keep all others from running.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from lmtest import variables
from lmtest.errors import LimitError
from lmtest.refresh.ids import belongs
from lmtest.refresh.written import test_id

if TYPE_CHECKING:
    from collections.abc import Generator

WANTED: Final = variables.REFRESH_WANTED
"""The variable that names the file of wanted tests, one a line."""

JOURNAL: Final = variables.REFRESH_JOURNAL
"""The variable that names the file in which each test's end is told, one JSON object a line."""

_LIMIT: Final = "lmtest_limit"
_NAME: Final = "lmtest_name"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a test ended.

    Attributes:
        test: Its id; of a file or class that could not be collected, that one's.
        outcome: ``passed``, ``failed`` or ``skipped``.
        reason: Why it did not pass.
        limit: What the limit said that stopped a call of it.
    """

    test: str
    outcome: str
    reason: str = ""
    limit: str = ""

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
        if (name := self._name(item)) not in {None, item.nodeid}:
            report.user_properties = [*report.user_properties, (_NAME, name)]
        if call.excinfo is not None and isinstance(call.excinfo.value, LimitError):
            limit = str(call.excinfo.value)
            report.user_properties = [*report.user_properties, (_LIMIT, limit)]
            item.session.shouldstop = limit
        return report

    def _name(self, item: pytest.Item) -> str | None:
        """The id by which a test is wanted: as it is written down, or as pytest has it, as it once was written."""
        ids = (item.nodeid, test_id(item))
        return next((each for each in ids if any(belongs(each, wanted) for wanted in self._wanted)), None)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and self._leads:
            last = report.longreprtext.strip().rpartition("\n")[2].removeprefix("E").strip()
            self._tell(Ended(test=report.nodeid, outcome="failed", reason=f"it could not be collected: {last}"))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not self._leads:
            return
        self._phases.setdefault(report.nodeid, []).append(report)
        if report.when == "teardown":
            self._tell(_summed_up(self._phases.pop(report.nodeid)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        # Whoever asked for these tests was killed: nobody wants to pay for the rest.
        if self._leads and os.getppid() != self._parent:
            item.session.shouldstop = "whoever started this refresh is gone"
            pytest.skip("whoever started this refresh is gone")

    def _tell(self, ended: Ended) -> None:
        with Path(os.environ[JOURNAL]).open("a", encoding="utf-8") as journal:
            journal.write(f"{json.dumps(asdict(ended))}\n")


def _summed_up(phases: list[pytest.TestReport]) -> Ended:
    bad = next((each for each in phases if each.failed), None) or next((each for each in phases if each.skipped), None)
    limit = next((str(text) for each in phases for name, text in each.user_properties if name == _LIMIT), "")
    test = next((str(name) for each in phases for key, name in each.user_properties if key == _NAME), phases[0].nodeid)
    if bad is None:
        return Ended(test=test, outcome="passed")
    crash = getattr(bad.longrepr, "reprcrash", None)
    told = crash.message if crash else bad.longrepr[2] if isinstance(bad.longrepr, tuple) else bad.longreprtext
    return Ended(test=test, outcome=bad.outcome, reason=str(told).strip().partition("\n")[0], limit=limit)
