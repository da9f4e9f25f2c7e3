"""Keeps calls of ``dspy.LM`` outside every cassette from going live unseen, wherever a project uses lmtest.

A project uses it that says so: by ``LM_MODE``, a flag, a setting of its own, or a marker on any test. What calls may be
a test without the marker, a fixture of a module, a doctest, a thread, or an import while tests are collected.
"""

from __future__ import annotations

import difflib
import fnmatch
import importlib.util
import sys
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Any, Final

import pytest

from lmtest.pytest_plugin import options
from lmtest.refresh.written import test_id

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from lmtest.errors import NetworkBlocked
    from lmtest.lm.outside import Live, Refusal
    from lmtest.modes import ModeChoice

_FIXTURES: Final = frozenset({"lmtest_cassette", "lmtest_lm", "lmtest_mode", "lmtest_use_cassette"})


class Unmarked:
    """Answers the calls of a run that belong to no cassette.

    Args:
        config: The run's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._item: pytest.Item | None = None
        self._refused: list[NetworkBlocked] = []
        self._live: dict[str, Live] = {}
        self._installed = self._pending = False
        if options.is_used(config):
            self._install()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Begin where a test is marked, if nothing before said that the project uses lmtest."""
        self._stand_if_pending()
        if any(options.is_marked(item) or _FIXTURES & {*getattr(item, "fixturenames", ())} for item in items):
            self._install()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Keep which test runs."""
        self._item = item
        self._refused.clear()
        self._stand_if_pending()
        try:
            return (yield)
        finally:
            self._item = None
            for live in self._live.values():
                live.close()
            self._live.clear()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self) -> Generator[None, Any, Any]:
        """Fail a test in whose fixtures a call was refused, even if the program caught that."""
        return (yield from self._failing())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, Any, Any]:
        """Fail a test whose call was refused, even if the program caught that."""
        return (yield from self._failing())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Say with a test's last report that calls of it were sent in a recording run, and not recorded."""
        report = yield
        if call.when == "teardown" and item.nodeid in self._live:
            self._doubt(item, report)
        return report

    def _doubt(self, item: pytest.Item, report: pytest.TestReport) -> None:
        calls, mode = len(self._live[item.nodeid].cassette.calls), options.mode_of(self._config).mode
        if calls and mode.writes:
            from lmtest.pytest_plugin.tally import add_doubt  # late: most runs call nothing outside

            what, marker = _caller(item)
            sent = f"{calls} call{'' if calls == 1 else 's'} of {what} went out unrecorded, and a replay refuses such"
            add_doubt(report, item.nodeid, mode.value, f"{sent}. To have them recorded: {marker}")

    def _failing(self) -> Generator[None, Any, Any]:
        __tracebackhide__ = True
        result = yield
        if self._refused:
            refused = str(self._refused[0])
            self._refused.clear()
            pytest.fail(refused, pytrace=False)
        return result

    def _install(self) -> None:
        """Stand before DSPy's calls, now or when it is imported."""
        if self._installed:
            return
        self._installed = True
        if "dspy" in sys.modules:
            self._stand()
            return
        waiting = _AfterImport("dspy", self._stand)
        sys.meta_path.insert(0, waiting)
        self._config.add_cleanup(waiting.give_up)

    def _stand_if_pending(self) -> None:
        if self._pending:
            self._stand()

    def _stand(self) -> None:
        # Where it is lmtest that imports DSPy, it is not whole itself before that has ended.
        seam = sys.modules.get("lmtest.lm.seam")
        self._pending = seam is not None and not hasattr(seam, "hook")
        if self._pending:
            return
        from lmtest.errors import ConfigurationError
        from lmtest.lm import outside

        try:
            before = outside.answer(self._claim)
        except ConfigurationError:
            return  # a DSPy that lmtest does not know: the first cassette says so
        self._config.add_cleanup(lambda: outside.answer(before) and None)

    def _claim(self) -> Any:
        test = self._item.nodeid if self._item is not None else ""
        if any(fnmatch.fnmatchcase(test, pattern) for pattern in options.allow_unmarked(self._config)):
            return None
        choice = options.mode_of(self._config)
        if choice.mode.offline:
            return self._refusal(choice)
        return self._live_for(test_id(self._item) if self._item is not None else "").scope

    def _live_for(self, test: str) -> Live:
        from lmtest.lm.outside import Live

        if test not in self._live:
            self._live[test] = Live(test or None)
        return self._live[test]

    def _refusal(self, choice: ModeChoice) -> Refusal:
        from lmtest.lm.outside import Refusal

        return Refusal(lambda model: self._explain(model, choice), self._refused.append)

    def _explain(self, model: str, choice: ModeChoice) -> str:
        item = self._item
        mode = f"mode {choice.mode.value} (from {choice.source})"
        if item is None:
            return (
                f"a call to {model} came outside every test, while tests were collected or a session ended, and was "
                f"not sent: in {mode} nothing is called. Call it in a test, or within lmtest.use_cassette(PATH)."
            )
        test = test_id(item)
        pattern = test if test == item.nodeid else f"{item.nodeid.partition('[')[0]}*"
        near = difflib.get_close_matches("lmtest", {mark.name for mark in item.iter_markers()}, n=1, cutoff=0.8)
        typo = f" Its marker is {near[0]!r}: did you mean 'lmtest'?" if near and near[0] != "lmtest" else ""
        what, marker = _caller(item)
        return (
            f"{test}: a call to {model} came from {what}, and was not sent: in {mode} nothing is called."
            f"{typo}\n\n"
            f"To have it recorded and replayed, mark the test, or every test by lmtest_auto = true:\n\n"
            f"    {marker}\n\n"
            f"To let it call, name it under [tool.lmtest]: allow_unmarked = [{pattern!r}]"
        )


def _caller(item: pytest.Item) -> tuple[str, str]:
    """Say what called outside every cassette while a test ran, and the marker that gives it one."""
    if options.is_marked(item):
        return "a fixture that the test shares", "@pytest.mark.lmtest(scope='module')"
    return "a test without a cassette", "@pytest.mark.lmtest"


class _AfterImport(MetaPathFinder):
    """Calls a function when a package has been imported, whoever imports it.

    Args:
        name: The package's.
        then: The function.
    """

    def __init__(self, name: str, then: Callable[[], None]) -> None:
        self._name = name
        self._then = then

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:  # noqa: ARG002 - Python's signature
        """Find the package as others do, and have the function called behind it."""
        if fullname != self._name:
            return None
        self.give_up()
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_then(module: Any) -> None:
                execute(module)
                self._then()

            vars(spec.loader)["exec_module"] = execute_then
        return spec

    def give_up(self) -> None:
        """Wait no more."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
