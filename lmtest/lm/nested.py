"""Calls that a custom engine makes of another LM, while it answers a call of its own."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from dspy.clients.engines import AsyncLiteLLMEngine, AsyncLM15Engine, LiteLLMEngine, LM15Engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_inside: ContextVar[bool] = ContextVar("lmtest_nested", default=False)
_OF_DSPY = LM15Engine, LiteLLMEngine, AsyncLM15Engine, AsyncLiteLLMEngine


def inside() -> bool:
    """Whether a call made here and now is part of one that is under way, which is counted and recorded as a whole."""
    return _inside.get()


def alone(backend: Any, *, asynchronous: bool) -> Any:
    """Give an engine whose own calls are part of the call that it answers; DSPy's make none, and are as they were."""
    if isinstance(backend, _OF_DSPY):
        return backend
    return _Async(backend) if asynchronous else _Sync(backend)


@contextmanager
def _within() -> Iterator[None]:
    token = _inside.set(True)
    try:
        yield
    finally:
        _inside.reset(token)


class _Sync:
    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def complete(self, request: Any) -> Any:
        with _within():
            return self._backend.complete(request)

    def stream(self, request: Any) -> Iterator[Any]:
        with _within():
            events = iter(self._backend.stream(request))
        try:
            # For each event alone: what its listener does in between is no part of the call.
            while (event := self._next(events)) is not None:
                yield event
        finally:
            if close := getattr(events, "close", None):
                close()

    def _next(self, events: Iterator[Any]) -> Any:
        with _within():
            return next(events, None)


class _Async:
    def __init__(self, backend: Any) -> None:
        self._backend = backend

    async def complete(self, request: Any) -> Any:
        with _within():
            return await self._backend.complete(request)

    async def stream(self, request: Any) -> AsyncIterator[Any]:
        with _within():
            events = aiter(self._backend.stream(request))
        try:
            while (event := await self._next(events)) is not None:
                yield event
        finally:
            if close := getattr(events, "aclose", None):
                await close()

    async def _next(self, events: AsyncIterator[Any]) -> Any:
        with _within():
            return await anext(events, None)
