"""Fixtures that call models and outlive the test whose cassette their calls are recorded into.

Whichever test comes first sets them up, and the last one ends them: with ``-k``, ``-n`` or in another order that is
another test, and its cassette has no such call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from lmtest.cassette.cassette import LIVE

if TYPE_CHECKING:
    from collections.abc import Generator

    from lmtest.pytest_plugin.covered import Covered

_SCOPES: Final = ("function", "class", "module", "package", "session")
_NAME: Final = "lmtest-wider"
_OF_XUNIT: Final = ("setup_module", "setup_class", "setUpModule", "setUpClass")


def watch(covered: Covered) -> None:
    """Look at the fixtures of a test that records, from before the first to after the last."""
    manager = covered.item.config.pluginmanager
    if not manager.has_plugin(_NAME):  # so that a run that only replays pays nothing for it
        manager.register(_Wider(), _NAME)
    watching = manager.get_plugin(_NAME)
    assert isinstance(watching, _Wider), "it was registered"
    watching.begin(covered)


class _Wider:
    def __init__(self) -> None:
        self._covered: Covered | None = None
        self._seen = self._asked = 0

    def begin(self, covered: Covered) -> None:
        self._covered = covered
        self._pass_over()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
        self._pass_over()
        result = yield
        self._tell(fixturedef)
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self) -> None:
        self._pass_over()

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        self._tell(fixturedef)

    def _pass_over(self) -> None:
        """Take what was called until now as the test's own, or as told."""
        if self._covered is not None:
            self._seen = len(self._covered.own.cassette.calls)
            self._asked = self._covered.remote.asked if self._covered.remote is not None else 0

    def _tell(self, fixture: pytest.FixtureDef[Any]) -> None:
        covered, begin, asked = self._covered, self._seen, self._asked
        self._pass_over()
        if covered is None or not _is_wider(fixture.scope, covered):
            return
        live = sum(call.hit == LIVE for call in covered.own.cassette.calls[begin:])
        if count := live + self._asked - asked:
            calls = f"{count} call{'' if count == 1 else 's'}"
            cure = "session" if fixture.scope == "package" else fixture.scope
            covered.fixtures.append(
                f"the fixture {_name(fixture)!r} of scope {fixture.scope!r} made {calls}, recorded into this test's "
                "cassette: with -k, -n or in another order it is another test that calls, and misses. Let the tests "
                f"that have it share one: @pytest.mark.lmtest(scope={cure!r})."
            )


def _is_wider(scope: str, covered: Covered) -> bool:
    """Decide if a fixture of a scope may be set up or ended by a test that has another cassette."""
    if _SCOPES.index(scope) <= _SCOPES.index(covered.wishes.scope):
        return False
    around = (mark for node, mark in covered.item.iter_markers_with_node("lmtest") if node is not covered.item)
    return not any(mark.args or "cassette" in mark.kwargs for mark in around)  # they name one file


def _name(fixture: pytest.FixtureDef[Any]) -> str:
    """A fixture's name, as the user wrote it: pytest makes fixtures of what sets up a module or a class."""
    name = fixture.argname
    return next((each for each in _OF_XUNIT if name.startswith("_") and each in name), name)
