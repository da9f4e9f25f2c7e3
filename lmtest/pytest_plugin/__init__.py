"""Glue between pytest and lmtest; nothing heavy is imported until a test that uses a cassette runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import pytest

from lmtest import variables
from lmtest.pytest_plugin import options, shared, trimmed
from lmtest.pytest_plugin.gathering import Gathering
from lmtest.pytest_plugin.unmarked import Unmarked

# Before anybody uses DSPy: its table of models must be the same in every mode (docs/architecture.md).
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "true")

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from contextlib import AbstractContextManager

    from lmtest.cassette.cassette import Cassette
    from lmtest.modes import Mode
    from lmtest.pytest_plugin.covered import Covered


# ── declarations ─────────────────────────────────────────────────────────────────────────────────────────────────────


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare flags and ini settings."""
    options.declare(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and refuse what cannot be used before a test runs."""
    config.addinivalue_line("markers", options.MARKER)
    options.check(config)
    config.pluginmanager.register(Gathering(config), "lmtest-gathering")
    config.pluginmanager.register(Unmarked(config), "lmtest-unmarked")
    config.pluginmanager.register(trimmed, "lmtest-trimmed")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say at the beginning of a live run which prices of one's own can match no call."""
    if variables.PRICES not in os.environ or options.mode_of(config).mode.offline:
        return []
    return [f"lmtest: {doubt}" for doubt in options.price_doubts()]


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Keep what stands beside a test, though only that one was asked for: its cassette's name depends on it."""
    report = yield
    if isinstance(collector, pytest.Module | pytest.Class):
        collector.stash[shared.SIBLINGS] = tuple(report.result)
    return report


# ── a test ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Have the test's cassette opened before its fixtures, which may call models too."""
    __tracebackhide__ = True
    names: list[str] | None = getattr(item, "fixturenames", None)
    if names is None:
        return  # an item of another plugin's, that has no fixtures
    if not options.is_marked(item) and "lmtest_cassette" not in names:
        return
    if not any(_is_overridden(item, name) for name in _OVERRIDABLE):
        # Running a fixture takes pytest as long as a replay.
        _open(item, name=None, directory=options.directory(item.config), config={})
        return
    # A list of its own: parametrizations of one function share theirs, and not all of them may be marked.
    vars(item)["fixturenames"] = ["lmtest_cassette", *(name for name in names if name != "lmtest_cassette")]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a test whose program missed a recording, even if the program caught the error."""
    __tracebackhide__ = True
    if not _is_open(item):
        return (yield)
    from lmtest.pytest_plugin.covered import run

    return (yield from run(item))


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, Any, Any]:
    """Close the test's cassette after its fixtures; it is saved when all went well."""
    __tracebackhide__ = True
    try:
        if not _is_open(item):
            return (yield)
        from lmtest.pytest_plugin.covered import close_for, run, settle

        failed = True
        try:
            settle(item)
            result = yield from run(item)
            failed = False
        finally:
            close_for(item, failed=failed)
        return result
    finally:
        shared.close_ended(item, nextitem)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep whether each phase passed, for the one that saves."""
    report = yield
    if _is_open(item):
        from lmtest.pytest_plugin.covered import note_phase

        note_phase(item, report)
    if closed := shared.take_closed(item.session):
        from lmtest.pytest_plugin.tally import add_files
        from lmtest.refresh.written import test_id

        add_files(report, test_id(item), closed)
    return report


_OVERRIDABLE: Final = ("lmtest_cassette", "lmtest_cassette_name", "lmtest_cassette_dir", "lmtest_config")


def _is_overridden(item: pytest.Item, name: str) -> bool:
    """Whether users define a fixture of ours themselves.

    There is no public way to ask; should pytest lose this one, the answer is yes, and the fixtures are run.
    """
    definitions = getattr(getattr(item.session, "_fixturemanager", None), "getfixturedefs", None)
    return definitions is None or len(definitions(name, item) or ()) != 1


def _open(item: pytest.Item, *, name: str | None, directory: str, config: dict[str, Any]) -> Covered:
    """Open the test's cassette, once; see :func:`lmtest.pytest_plugin.covered.open_for`."""
    from lmtest.errors import LMTestError
    from lmtest.pytest_plugin.covered import open_for
    from lmtest.pytest_plugin.naming import cassette_name

    try:
        return open_for(item, name=name or cassette_name(item), directory=directory, config=config)
    except LMTestError as error:
        refusal = str(error)
    # Not where it was caught: pytest would tell both. Nor hidden: pytest tells where all of a traceback is.
    pytest.fail(refusal, pytrace=False)


def _is_open(item: pytest.Item) -> bool:
    """Whether the test has a cassette; asked before anything heavy is imported."""
    return shared.COVERED in item.stash


# ── fixtures ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def lmtest_cassette(request: pytest.FixtureRequest) -> Cassette:
    """The test's open cassette. A test that asks for it has one, marked or not."""
    __tracebackhide__ = True
    covered = request.node.stash.get(shared.COVERED, None) or _open(
        request.node,
        name=str(request.getfixturevalue("lmtest_cassette_name")),
        directory=str(request.getfixturevalue("lmtest_cassette_dir")),
        config=request.getfixturevalue("lmtest_config"),
    )
    return covered.own.cassette


@pytest.fixture
def lmtest_cassette_name(request: pytest.FixtureRequest) -> str:
    """The cassette's file, from the cassette directory. Override it to name cassettes your own way."""
    from lmtest.pytest_plugin.naming import cassette_name

    return cassette_name(request.node)


@pytest.fixture(scope="session")
def lmtest_cassette_dir(pytestconfig: pytest.Config) -> str:
    """Where cassettes are kept, from the root directory. Override it in a conftest.py to keep some elsewhere."""
    return options.directory(pytestconfig)


@pytest.fixture(scope="session")
def lmtest_config() -> dict[str, Any]:
    """Arguments of the marker for every test below the conftest.py that overrides this; markers win over it."""
    return {}


@pytest.fixture
def lmtest_mode(lmtest_cassette: Cassette) -> Mode:
    """The mode this test runs in."""
    return lmtest_cassette.mode


@pytest.fixture
def lmtest_lm(lmtest_cassette: Cassette, request: pytest.FixtureRequest) -> Iterator[Any]:  # noqa: ARG001 - it is open
    """A ``dspy.LM`` under the cassette, in use by every program of the test."""
    import dspy

    from lmtest.pytest_plugin.covered import covered_of, lm_of

    covered = covered_of(request.node)
    assert covered is not None, "lmtest_cassette opened it"
    lm = lm_of(covered)
    with dspy.context(lm=lm):
        yield lm


@pytest.fixture
def lmtest_use_cassette(
    lmtest_cassette: Cassette,  # noqa: ARG001 - it is open
    request: pytest.FixtureRequest,
) -> Callable[[str], AbstractContextManager[Cassette]]:
    """Gives what opens further cassettes beside the test's own, by a name for each.

    Examples:
        with lmtest_use_cassette("judge") as judge:
            verdict = program(claim=claim)
    """
    from lmtest.pytest_plugin.covered import covered_of, open_beside

    covered = covered_of(request.node)
    assert covered is not None, "lmtest_cassette opened it"
    return lambda name: open_beside(covered, name)
