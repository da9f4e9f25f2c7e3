"""Calls outside every cassette: refused while a suite is offline, limited and counted while it is live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Never

from lmtest.errors import NetworkBlocked
from lmtest.lm import scope, seam
from lmtest.lm.use import use_cassette

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmtest.cassette.interaction import Json
    from lmtest.lm.scope import Scope


class Refusal:
    """Refuses a call.

    Args:
        explain: Gives the words for a call to a model.
        refused: Is given the error before it is raised: the program may catch it.
    """

    outside = True
    uncached = True  # or a warm cache would let the call pass on one machine, and a cold one not on another

    def __init__(self, explain: Callable[[str], str], refused: Callable[[NetworkBlocked], None]) -> None:
        self._explain = explain
        self._refused = refused

    def model(self, lm: Any) -> Any:
        """Say which LM answers a call to one: itself."""
        return lm

    def answerer(self, lm: Any, *_: Any, **__: Any) -> Never:
        """Refuse.

        Raises:
            NetworkBlocked: Always.
        """
        self._refuse(lm.model)

    def embedded(self, asked: Json, **_: Any) -> Never:
        """Refuse.

        Raises:
            NetworkBlocked: Always.
        """
        self._refuse(asked["model"])

    def _refuse(self, model: str) -> Never:
        error = NetworkBlocked(self._explain(model))
        self._refused(error)
        with seam.handed_through():
            raise error


class Live:
    """Lets calls through: past the limits, into the ledger, and into no recording.

    Args:
        test: The test that calls, for the ledger.
    """

    def __init__(self, test: str | None) -> None:
        self._use = use_cassette(flag="live", test=test)
        self.cassette = self._use.open()
        self.scope: Scope = self._use.scope(self.cassette)
        self.scope.outside, self.scope.uncached = True, False

    def close(self) -> None:
        """End it."""
        self._use.close(self.cassette, None)


def answer(claim: Callable[[], Any] | None) -> Callable[[], Any] | None:
    """Have calls outside every cassette answered by what a function gives; None lets them go where DSPy sends them.

    Returns:
        The function that was there before.
    """
    if claim is not None:
        seam.hook(scope.claim)
    before, scope.outside = scope.outside, claim
    return before
