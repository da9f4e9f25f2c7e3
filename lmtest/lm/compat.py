"""Engines that ask LiteLLM what DSPy would, for calls that DSPy sends on its compatibility path.

The body on the wire is DSPy's own, argument by argument; a copy, because LiteLLM writes into some of them. What comes
back is handed on in canonical form, with the whole answer beside it, so that it is recorded and replays like any other.
"""

from __future__ import annotations

from contextlib import aclosing, closing
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from dspy import lm15

from lmtest.lm import seam

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from lmtest.cassette.interaction import Json


class CompatEngine:
    """DSPy's engine contract, carried by LiteLLM with the body that DSPy made.

    Attributes:
        carrier: The engine that DSPy chose.

    Args:
        backend: The same.
        lm: The LM that was called.
        body: What DSPy would give to LiteLLM.
    """

    def __init__(self, backend: Any, lm: Any, body: Json) -> None:
        self.carrier = backend
        self._lm = lm
        self._body = body

    def complete(self, request: lm15.Request) -> lm15.Response:
        """Answer whole; of several candidates the first, with all of them beside it."""
        raw = self.carrier.complete_legacy(self._lm, deepcopy(self._body)).raw
        return seam.compat_response(raw, self._lm.model_type, request)

    def stream(self, request: lm15.Request) -> Iterator[Any]:
        """Answer as a stream; what LiteLLM cannot stream comes whole."""
        if self._lm.model_type != "chat":
            yield from lm15.response_to_events(self.complete(request))
            return
        stream = seam.CompatStream(request)
        with closing(seam.compat_chunks(self.carrier, self._lm, deepcopy(self._body), stream)) as chunks:
            for chunk in chunks:
                yield from stream.feed(chunk)
        yield stream.finish()

    def close(self) -> None:
        """The backend is DSPy's to close."""


class AsyncCompatEngine:
    """The async twin of :class:`CompatEngine`."""

    def __init__(self, backend: Any, lm: Any, body: Json) -> None:
        self.carrier = backend
        self._lm = lm
        self._body = body

    async def complete(self, request: lm15.Request) -> lm15.Response:
        """Answer whole; of several candidates the first, with all of them beside it."""
        raw = (await self.carrier.complete_legacy(self._lm, deepcopy(self._body))).raw
        return seam.compat_response(raw, self._lm.model_type, request)

    async def stream(self, request: lm15.Request) -> AsyncIterator[Any]:
        """Answer as a stream; what LiteLLM cannot stream comes whole."""
        if self._lm.model_type != "chat":
            for event in lm15.response_to_events(await self.complete(request)):
                yield event
            return
        stream = seam.CompatStream(request)
        given = seam.compat_chunks_async(self.carrier, self._lm, deepcopy(self._body), stream)
        async with aclosing(given) as chunks:
            async for chunk in chunks:
                for event in stream.feed(chunk):
                    yield event
        yield stream.finish()

    async def aclose(self) -> None:
        """The backend is DSPy's to close."""
