"""Engines that answer what is recorded from the cassette, and the rest live.

DSPy chooses an engine once a call and asks it as often as the call wants candidates or tries again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from dspy.lm15 import Request, Response

    from lmtest.cassette.interaction import Interaction


class AutoEngine:
    """DSPy's engine contract, answered from a cassette for as long as that lasts.

    Args:
        first: The first recorded answer, which was taken already.
        replay: Gives the engine that plays a recorded answer, ``taken``.
        live: Gives the engine that answers live, and the request as that wants it.
        find: Takes the next recorded answer, or gives None.
    """

    def __init__(
        self,
        first: Interaction,
        *,
        replay: Callable[..., Any],
        live: Callable[[], tuple[Any, Any]],
        find: Callable[[], Interaction | None],
    ) -> None:
        self._find = find
        self._first: Interaction | None = first
        self._replay = replay
        self._live = live

    def complete(self, request: Request) -> Response:
        """Answer whole, with the errors of the one who answers."""
        engine, asked = self.choose(request)
        response: Response = engine.complete(asked)
        return response

    def stream(self, request: Request) -> Iterator[Any]:
        """Answer as a stream."""
        engine, asked = self.choose(request)
        yield from engine.stream(asked)

    def close(self) -> None:
        """Nothing is held open."""

    def choose(self, request: Request) -> tuple[Any, Any]:
        """Say who answers this time, and the request as that wants it."""
        taken, self._first = self._first, None
        recorded = taken or self._find()
        return self._live() if recorded is None else (self._replay(taken=recorded), request)


class AsyncAutoEngine(AutoEngine):
    """The async twin of :class:`AutoEngine`."""

    async def complete(self, request: Request) -> Response:
        """Answer whole, with the errors of the one who answers."""
        engine, asked = self.choose(request)
        response: Response = await engine.complete(asked)
        return response

    async def stream(self, request: Request) -> AsyncIterator[Any]:  # type: ignore[override]  # its twin, not its kind
        """Answer as a stream."""
        engine, asked = self.choose(request)
        async for event in engine.stream(asked):
            yield event

    async def aclose(self) -> None:
        """Nothing is held open."""
