"""Whose call it is: a cassette belongs to the context that opened it and to what DSPy starts inside."""

from __future__ import annotations

import functools
import importlib
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from lmtest.errors import LMTestError
from lmtest.lm import embeddings, seam
from lmtest.lm.embeddings import Embedding
from lmtest.lm.query import Query, texts_of
from lmtest.lm.replay import AsyncReplayEngine, ReplayEngine, recorded
from lmtest.lm.seam import LITELLM, Billed
from lmtest.modes import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from decimal import Decimal

    from lmtest.cassette.cassette import Cassette
    from lmtest.cassette.interaction import Json
    from lmtest.lm.gate import Gate
    from lmtest.lm.rules import Script
    from lmtest.lm.stop import Stop
    from lmtest.lm.substitution import Substitution
    from lmtest.money.limits import Limits

_CONNECTION: Final = frozenset({"api_key", "api_base", "base_url", "api_version"})

_lock = threading.Lock()
_open: list[Scope] = []

outside: Callable[[], Any] | None = None
"""Gives who answers a call outside every scope; see `lmtest.lm.outside`."""


class Scope:
    """Answers the calls that belong to one open cassette.

    Attributes:
        cassette: The cassette.
        outside: Whether it answers calls that are made outside every cassette.
        uncached: Whether DSPy's cache may not answer in its place.
        left: Tells what its calls to a model may still cost, in USD, within limits that are tighter.
        spoiled: What a tool inside was refused for first. The next model call is refused for it too, because programs
            go on with what their tools raise; not those after it, because tests may share a cassette.

    Args:
        cassette: The cassette.
        gate: Gives what live calls pass, when one is made.
        left: As the attribute.
        replay_speed: How fast streams are played; 0 is at once.
        to: The models that answer instead of the program's own.
        script: What mock mode replies to some calls.
        stop: Ends calls from another thread.
    """

    def __init__(
        self,
        cassette: Cassette,
        gate: Callable[[], Gate],
        *,
        left: Callable[[str, Limits], Decimal | None],
        replay_speed: float = 0.0,
        to: Substitution | None = None,
        script: Script | None = None,
        stop: Stop | None = None,
    ) -> None:
        self.cassette = cassette
        self.spoiled: LMTestError | None = None
        self._untold: LMTestError | None = None
        self.left = left
        self._gate = gate
        self._speed = replay_speed
        self._to = to
        self._others: dict[int, tuple[Any, Any]] = {}
        self._script = script
        self._stop = stop
        self._closed = False
        self._outer: Any = None
        self.outside = False
        self.uncached = True

    def __reduce__(self) -> tuple[Any, ...]:
        # Whatever is pickled or copied deep with a context in it outlives the block, or leaves the process.
        return type(None), ()

    def enter(self) -> None:
        """Claim the current context."""
        self._outer = seam.bound()
        with _lock:
            seam.hook(claim)
            _open.append(self)
        seam.bind(self)

    def leave(self) -> None:
        """Give the context back."""
        self._closed = True
        if seam.bound() is self:
            seam.bind(self._outer)
        with _lock:
            _open.remove(self)

    def model(self, lm: Any) -> Any:
        """Say which LM answers a call to one: itself, but where another model is tried out."""
        if self._to is None or not self._to.replaces(lm.model):
            return lm
        with _lock:
            # With the one it stands for, so that its id is no other's meanwhile.
            if id(lm) not in self._others:
                self._others[id(lm)] = lm, _as(lm, self._to.of(lm.model))
            return self._others[id(lm)][1]

    def answerer(
        self, lm: Any, prepared: seam.Prepared, live: Callable[[], tuple[Any, Any]], *, asynchronous: bool
    ) -> tuple[Any, Any, Billed]:
        """Choose who answers a call; see :class:`lmtest.lm.seam.Claim`."""
        request, body, candidates, rollout = prepared
        if request is not None:
            query = Query(request=request, candidates=candidates, rollout=rollout)
        else:
            query = Query(request=texts_of(body), body=body, candidates=candidates, rollout=rollout)

        def carried() -> tuple[Any, Any]:
            backend, wanted = live()
            if wanted is not None:
                return backend, wanted
            from lmtest.lm.compat import AsyncCompatEngine, CompatEngine

            return (AsyncCompatEngine if asynchronous else CompatEngine)(backend, lm, body), query.request

        return self.engine(lm, query, carried, asynchronous=asynchronous)

    def engine(
        self, lm: Any, query: Query, live: Callable[[], tuple[Any, Any]], *, asynchronous: bool
    ) -> tuple[Any, Any, Billed]:
        """Choose who answers a call.

        Args:
            lm: The LM that is asked.
            query: What it is asked.
            live: Gives the backend that a live call goes to, and the request as that backend wants it.
            asynchronous: Whether an async engine is wanted.

        Returns:
            The engine, the request it is to be given, and the provider's name.
        """
        self._admit(lm.model)
        mode = self.cassette.mode
        provider = Billed(_provider(lm))
        replay = partial(
            AsyncReplayEngine if asynchronous else ReplayEngine, self.cassette, provider, query, speed=self._speed
        )
        if mode is Mode.REPLAY:
            return replay(), query.request, provider
        if mode is Mode.MOCK:
            from lmtest.lm.mock import AsyncMockEngine, MockEngine  # late: only this mode makes answers up

            mock = AsyncMockEngine if asynchronous else MockEngine
            return mock(self.cassette, self._script, query), query.request, provider
        go_live = partial(self._go_live, lm, query, live, asynchronous=asynchronous)
        if self.cassette.plays_first and (first := recorded(self.cassette, query)) is not None:
            from lmtest.lm.auto import AsyncAutoEngine, AutoEngine

            auto = AsyncAutoEngine if asynchronous else AutoEngine
            engine = auto(
                first, replay=replay, live=lambda: go_live(provider)[:2], find=partial(recorded, self.cassette, query)
            )
            return engine, query.request, provider
        return go_live(provider)

    def embedded(self, asked: Json, *, asynchronous: bool) -> Any:
        """Answer a call of a ``dspy.Embedder``; see :class:`lmtest.lm.seam.Claim`."""
        embedding = Embedding.of(asked)
        self._admit(embedding.model)
        live = partial(self._embedder, embedding, asynchronous=asynchronous)
        return (embeddings.answer_async if asynchronous else embeddings.answer)(self, embedding, live)

    def _embedder(self, embedding: Embedding, *, asynchronous: bool) -> Any:
        from lmtest.lm.live_embeddings import AsyncLiveEmbedder, LiveEmbedder  # late, as for LMs

        seam.litellm_of_embeddings()  # its seconds are none of the call's
        with seam.handed_through():
            gate = self._gate()
        answerer = AsyncLiveEmbedder if asynchronous else LiveEmbedder
        source = _host(embedding.settings) or embedding.model.partition("/")[0]
        return answerer(self, embedding, Billed(LITELLM), source=source, gate=gate, stop=self._stop)

    def _admit(self, model: str) -> None:
        """Let a call in that can still be answered.

        Raises:
            LMTestError: It cannot, or a tool before it was refused and the program does not know.
        """
        with seam.handed_through():
            self.check_open(f"a call to {model}")
            if self._stop is not None:
                self._stop.check(model)
            untold, self._untold = self._untold, None
            if untold is not None:
                raise untold

    def check_open(self, what: str) -> None:
        """Refuse what comes too late.

        Raises:
            LMTestError: The cassette is closed.
        """
        if self._closed:
            raise LMTestError(
                f"{what} came after its cassette {self.name} was closed. Something started inside it "
                "outlives it: wait for its threads and tasks inside the block."
            )

    @contextmanager
    def spoiled_by(self, *kinds: type[LMTestError]) -> Iterator[None]:
        """Remember an error raised inside: whoever catches it gets it again."""
        try:
            yield
        except kinds as error:
            self.spoiled, self._untold = self.spoiled or error, error
            raise

    def _go_live(
        self, lm: Any, query: Query, live: Callable[[], tuple[Any, Any]], provider: Billed, *, asynchronous: bool
    ) -> tuple[Any, Any, Billed]:
        from lmtest.lm.live import AsyncLiveEngine, LiveEngine  # late: it brings prices, which a replay needs not

        backend, live_request = live()
        if seam.is_litellm(getattr(backend, "carrier", backend)):
            importlib.import_module(LITELLM)  # its seconds are none of the call's
            if provider != LITELLM:
                provider = Billed(LITELLM)
        with seam.handed_through():
            gate = self._gate()
        answerer = AsyncLiveEngine if asynchronous else LiveEngine
        engine = answerer(backend, query, self.cassette, provider, source=_source(lm), gate=gate, stop=self._stop)
        return engine, live_request, provider

    @property
    def name(self) -> str:
        """What the scope is called in a message."""
        return self.cassette.where


def claim() -> Any:
    """Find the scope that a call made here and now belongs to, or who answers what belongs to none.

    Raises:
        LMTestError: The call's thread was started outside DSPy, and several cassettes are open: it could be any one's.
    """
    scope = seam.bound()
    if scope is not None:
        assert isinstance(scope, Scope)
        return scope
    with _lock:
        if len(_open) > 1:
            names = ", ".join(each.name for each in _open)
            raise seam.in_dspy(
                LMTestError(
                    f"a call from thread {threading.current_thread().name!r} could belong to any of {len(_open)} open "
                    f"cassettes ({names}). Carry the context into the thread: "
                    "contextvars.copy_context().run(...), asyncio.to_thread(...) or dspy.Parallel do."
                )
            )
        if _open:
            return _open[0]
    return outside() if outside is not None else None


def _as(lm: Any, model: str) -> Any:
    """The LM with another model; at another provider, without what connects to this one."""
    other = lm.copy(model=model)
    if model.partition("/")[0] != lm.model.partition("/")[0]:
        other.kwargs = {name: value for name, value in lm.kwargs.items() if name not in _CONNECTION}
    return other


@functools.cache
def _known_providers() -> Any:
    from dspy.clients.engines import LM15Engine
    from dspy.lm15 import RouterConfig

    return LM15Engine(RouterConfig(env={}))


def _provider(lm: Any) -> str:
    """The provider in lm15's spelling, which decides how DSPy adds up tokens; the same in every mode."""
    if not isinstance(lm.engine, str):
        return ""
    return LITELLM if lm.engine == LITELLM else _route(lm.model)


@functools.lru_cache(maxsize=256)
def _route(model: str) -> str:
    try:
        return str(_known_providers().resolve(model).provider)
    except Exception as error:
        from dspy.lm15 import LM15Error

        if isinstance(error, LM15Error):
            return LITELLM  # where DSPy, too, turns to it
        raise


def _source(lm: Any) -> str:
    """The host that answers, or the provider where the LM names no host."""
    return _host(lm.kwargs) or _provider(lm)


def _host(settings: Json) -> str:
    """The host that settings name; "" where they name none."""
    base = settings.get("api_base") or settings.get("base_url")
    return urlsplit(base).hostname or base if base else ""
