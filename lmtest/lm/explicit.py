"""``lmtest.LM``: an LM that carries its cassette with it, through DSPy's public engine contract alone."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from copy import copy, deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, cast
from weakref import WeakKeyDictionary

import dspy
from dspy.clients.engines import AsyncLiteLLMEngine, AsyncLM15Engine, LiteLLMEngine, LM15Engine
from dspy.clients.engines.lm15_engine import timeouts_for
from dspy.lm15 import RouterConfig

from lmtest.lm import seam
from lmtest.lm.query import Query
from lmtest.lm.scope import claim
from lmtest.lm.use import use_cassette

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Iterator, Mapping
    from types import TracebackType

    from dspy.lm15 import Request, Response

    from lmtest.lm.scope import Scope
    from lmtest.modes import Mode
    from lmtest.money.limits import Limits

_CONNECTION = ("api_key", "api_base", "base_url", "timeout")


class LM(dspy.LM):  # type: ignore[misc]  # DSPy ships no types
    """A ``dspy.LM`` with a cassette of its own, for programs that choose their LM by hand.

    Its calls are answered by this cassette wherever they are made, inside another ``use_cassette`` too. What was
    recorded is in the file once the LM is closed; as a context manager it is saved only when the block ends well.
    A copy of it, however deep, has the same cassette; saved or pickled it is the plain ``dspy.LM``.

    Args:
        model: As for ``dspy.LM``.
        cassette: The file.
        mode: How calls are answered, where ``LM_MODE`` does not say.
        limits: What live calls may use up, where the environment does not say; as for ``use_cassette``.
        engine: ``auto`` and ``lm15`` go through DSPy's native client, ``litellm`` through LiteLLM.
        cassette_options: What ``use_cassette`` takes beside path and mode.
        options: What ``dspy.LM`` takes.

    Raises:
        ConfigurationError: A mode or setting that cannot be used.
        CassetteNotFound: In replay, there is no such file.

    Examples:
        with lmtest.LM("gemini/gemini-2.5-flash", cassette="cassettes/qa.yaml") as lm, dspy.context(lm=lm):
            answer = qa(question="What is the capital of France?").answer
    """

    def __init__(
        self,
        model: str,
        *,
        cassette: str | os.PathLike[str],
        mode: str | Mode | None = None,
        limits: Limits | Mapping[str, Any] | None = None,
        engine: str = "auto",
        cassette_options: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        connection = {name: options.pop(name) for name in _CONNECTION if name in options}
        self._use: use_cassette | None = use_cassette(cassette, mode=mode, limits=limits, **(cassette_options or {}))
        self.cassette = self._use.open()
        plain = dspy.LM(model, engine=engine, **connection, **options)
        scope = self._use.scope(self.cassette)
        seam.hook(claim)  # what a call asks beside its request, and how long DSPy pauses, are known there alone
        self._owned = _Engine(plain, scope), _AsyncEngine(plain, scope)
        super().__init__(model, engine=self._owned[0], async_engine=self._owned[1], cache=False, **options)

    def close(self) -> None:
        """Save what was recorded, and close the connections of sync calls."""
        self._end(None)

    async def aclose(self) -> None:
        """Save what was recorded, and close the connections of this event loop and of sync calls."""
        await self._owned[1].aclose()
        self._end(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end(error)

    def dump_state(self) -> dict[str, Any]:
        """Give what makes a plain ``dspy.LM`` of the same settings, as for ``dspy.LM``: a cassette is no setting."""
        state: dict[str, Any] = self._without_cassette().dump_state()
        return state

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # A copy has the cassette of its original, as DSPy's optimizers copy programs to call them.
        memo.update({id(shared): shared for shared in (self.cassette, self._use, *self._owned)})
        copied = object.__new__(type(self))
        copied.__setstate__(deepcopy(self.__getstate__(), memo))
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        # A cassette ends with its process, so what is saved is the plain LM, which loads where there is no lmtest too.
        return copy, (self._without_cassette(),)

    def _without_cassette(self) -> dspy.LM:
        plain = self._owned[0].plain.copy()
        settings = {name: value for name, value in vars(self).items() if name in vars(plain) and name[0] != "_"}
        vars(plain).update(settings, cache=plain.cache, kwargs={**plain.kwargs, **self.kwargs})
        return plain

    def _end(self, error: BaseException | None) -> None:
        self._owned[0].close()
        use, self._use = self._use, None
        if use is not None:
            use.close(self.cassette, error)


class _Answering(ABC):
    """What the sync and the async engine share.

    Args:
        plain: The LM as it would be without a cassette. Its capabilities are declared as ours, or prompts would differ.
        scope: Who answers.
    """

    lmtest_answers = True

    def __init__(self, plain: dspy.LM, scope: Scope) -> None:
        self.plain = plain
        self._scope = scope

    @property
    def supports_function_calling(self) -> bool:
        return bool(self.plain.supports_function_calling)

    @property
    def supports_reasoning(self) -> bool:
        return bool(self.plain.supports_reasoning)

    @property
    def supports_response_schema(self) -> bool:
        return bool(self.plain.supports_response_schema)

    @property
    def supported_params(self) -> set[str]:
        return set(self.plain.supported_params)

    def _answerer(self, request: Request, *, asynchronous: bool) -> tuple[Any, Request]:
        """Who answers a call, and the call; both engines' backends take the request as it is."""
        lm = self._scope.model(self.plain)
        asked = request if lm is self.plain else replace(request, model=lm.model)
        engine, _, _ = self._scope.engine(
            lm,
            Query(request=asked, rollout=seam.rollout_of_call()),
            lambda: (self._backend(lm), asked),
            asynchronous=asynchronous,
        )
        return engine, asked

    @abstractmethod
    def _backend(self, lm: dspy.LM) -> Any:
        """The engine that a plain dspy.LM would use."""


class _Engine(_Answering):
    _live: Any = None

    def complete(self, request: Request) -> Response:
        engine, asked = self._answerer(request, asynchronous=False)
        return cast("Response", engine.complete(asked))

    def stream(self, request: Request) -> Iterator[Any]:
        engine, asked = self._answerer(request, asynchronous=False)
        yield from engine.stream(asked)

    def close(self) -> None:
        if self._live is not None:
            self._live.close()
            self._live = None

    def _backend(self, lm: dspy.LM) -> Any:
        if self._live is None:
            self._live = connect(lm, asynchronous=False)
        return self._live


class _AsyncEngine(_Answering):
    def __init__(self, plain: dspy.LM, scope: Scope) -> None:
        super().__init__(plain, scope)
        # An async connection belongs to its event loop.
        self._live: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()

    async def complete(self, request: Request) -> Response:
        engine, asked = self._answerer(request, asynchronous=True)
        return cast("Response", await engine.complete(asked))

    async def stream(self, request: Request) -> AsyncIterator[Any]:
        engine, asked = self._answerer(request, asynchronous=True)
        async for event in engine.stream(asked):
            yield event

    async def aclose(self) -> None:
        live = self._live.pop(asyncio.get_running_loop(), None)
        if live is not None:
            await live.aclose()

    def _backend(self, lm: dspy.LM) -> Any:
        loop = asyncio.get_running_loop()
        if loop not in self._live:
            self._live[loop] = connect(lm, asynchronous=True)
        return self._live[loop]


def connect(plain: dspy.LM, *, asynchronous: bool) -> Any:
    """Give the engine that a plain dspy.LM of the same settings would use; whoever asks closes it."""
    connection = {name: plain.kwargs[name] for name in _CONNECTION if plain.kwargs.get(name) is not None}
    if plain.engine == "litellm":
        return (AsyncLiteLLMEngine if asynchronous else LiteLLMEngine)(model_type=plain.model_type, **connection)
    native = AsyncLM15Engine if asynchronous else LM15Engine
    provider = native(RouterConfig(env={}), model_type=plain.model_type).resolve(plain.model).provider
    url = connection.get("api_base") or connection.get("base_url")
    config = RouterConfig(
        api_keys={provider: connection["api_key"]} if "api_key" in connection else None,
        base_urls={provider: url} if url else None,
        timeouts=timeouts_for(connection.get("timeout")),
    )
    return native(config, model_type=plain.model_type)
