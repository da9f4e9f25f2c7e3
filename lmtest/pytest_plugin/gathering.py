"""Gathers what the tests of a run did, and tells it at the end: on the terminal, in reports, on GitHub."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from lmtest.literal import shown
from lmtest.pytest_plugin import options
from lmtest.pytest_plugin.shared import COLLECTED, written_ids

if TYPE_CHECKING:
    from pathlib import Path

    from lmtest.pytest_plugin.leftovers import Leftovers
    from lmtest.pytest_plugin.run import Run
    from lmtest.pytest_plugin.tally import Tally


class Gathering:
    """The plugin's memory of one run. Under pytest-xdist the controller's is the one that tells.

    Args:
        config: The run's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._collected: dict[str, str] | None = None  # a worker's: its tests' ids, see `written_ids`
        self._directory: str | None = None  # a worker's word spares the controller the import of the settings
        self._reports: list[pytest.TestReport] = []
        self._ran: set[str] = set()
        self._run: Run | None = None
        self._problem = ""
        self._unused_failed = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep which tests there are, before other plugins deselect some."""
        self._config.stash[COLLECTED] = tuple(items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over from a worker of pytest-xdist which tests there are; the controller does not collect."""
        output = getattr(node, "workeroutput", {})
        self._collected = output.get("lmtest_collected") or self._collected
        self._directory = output.get("lmtest_dir") or self._directory

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep which tests ran, and the reports that tell of cassettes."""
        if report.when == "call" and (not report.skipped or hasattr(report, "wasxfail")):
            self._ran.add(report.nodeid)
        if hasattr(report, "lmtest"):
            self._reports.append(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Close what is open, sum the run up, prune, and fail the run when something is unused and must not be."""
        if (billing := sys.modules.get("lmtest.lm.billing")) is not None:
            self._problem = billing.write_held() or self._problem
        if (worker := getattr(self._config, "workerinput", None)) is not None:
            output: dict[str, Any] = vars(self._config)["workeroutput"]
            output["lmtest_collected"] = written_ids(self._config) if worker["workerid"] == "gw0" else None
            output["lmtest_dir"] = options.directory(self._config) if self._reports else None
            return
        wanted = self._config.getoption("--lmtest-prune") or self._config.getoption("--lmtest-report")
        if not self._reports and not wanted and not self._may_have_orphans(exitstatus):
            return
        from lmtest.errors import LMTestError

        try:
            self._run = run = self._sum_up(green=exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED})
            self._write(run)
        except LMTestError as error:
            self._problem = str(error)
            session.exitstatus = session.exitstatus or pytest.ExitCode.USAGE_ERROR
            return
        if run.leftovers and not run.pruned and options.unused(self._config) == "fail":
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
            self._unused_failed = True

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was played, recorded and spent, if anything was."""
        if self._problem:
            terminalreporter.write_line(f"lmtest: {self._problem}", red=True)
        if self._unused_failed:
            terminalreporter.write_line("lmtest: failed because of unused recordings (--lmtest-unused=fail)", red=True)
        if self._run is None or self._run.idle:
            return
        from lmtest.pytest_plugin import github, summary

        terminalreporter.write_sep("=", "lmtest")
        budget = options.budget_line(self._config) if self._run.is_live else ""
        for line in summary.lines(self._run, names=self._config.get_verbosity() > 0, budget=budget):
            terminalreporter.write_line(shown(line))
        for line in github.commands(self._run, os.environ, unused=options.unused(self._config)):
            terminalreporter.write_line(shown(line))
        github.append_summary(self._run, os.environ)

    def _may_have_orphans(self, exitstatus: int) -> bool:
        """Whether a run in which no test had a cassette may have left some: of files that are gone."""
        ended = exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED}
        if not ended or self._config.getoption("collectonly") or options.narrowed(self._config):
            return False
        return (self._config.rootpath / options.directory(self._config)).is_dir()

    def _write(self, run: Run) -> None:
        for path in self._config.getoption("--lmtest-report"):
            from lmtest.pytest_plugin.report import write

            write(run, self._config.invocation_params.dir / path)

    def _sum_up(self, *, green: bool) -> Run:
        from lmtest.pytest_plugin import leftovers as unused
        from lmtest.pytest_plugin.run import Run
        from lmtest.pytest_plugin.tally import of_reports

        tallies = tuple(of_reports(self._reports))
        found = self._leftovers(tallies)
        pruned: tuple[str, ...] = ()
        if self._config.getoption("--lmtest-prune"):
            if green:
                pruned = tuple(unused.prune(found, root=self._config.rootpath))
            else:
                pruned = ("nothing was pruned: only a green run tells what is unused",)
        return Run(tallies=tallies, leftovers=found, pruned=pruned)

    def _leftovers(self, tallies: tuple[Tally, ...]) -> Leftovers:
        from lmtest.pytest_plugin import leftovers as unused

        if options.unused(self._config) == "ignore" and not self._config.getoption("--lmtest-prune"):
            return unused.Leftovers()
        root, whole = self._config.rootpath, not options.narrowed(self._config)
        collected = written_ids(self._config) if self._collected is None else self._collected
        ran = frozenset(collected.get(each, each) for each in self._ran)
        tests = unused.Tests(root=root, collected=frozenset(collected.values()), ran=ran, whole=whole)
        if not whole:
            return unused.Leftovers(unplayed=unused.unplayed(tallies, tests))
        directory: Path = root / (self._directory or options.directory(self._config))
        orphans = unused.orphans(directory, root=root, collected=collected, tallies=tallies)
        return unused.Leftovers(unplayed=unused.unplayed(tallies, tests), orphans=orphans)
