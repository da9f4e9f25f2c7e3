"""The only file that names what DSPy keeps private, and the check that it still is as it was.

Every call of every ``dspy.LM`` passes three functions of ``dspy.clients.execution``: ``prepare`` decides whether DSPy's
cache may answer, ``_engine`` chooses who does, ``_price_result`` says what it cost. What a ``dspy.Embedder`` asks of a
hosted model passes three of ``dspy.clients.embedding``: two ask DSPy's cache, one gives LiteLLM. :func:`hook` stands
before them all, and hands through every call that belongs to no scope. It stays there: a call that outlives its scope
must be refused, not sent. A scope travels in DSPy's own settings overrides, because DSPy carries those into the threads
and tasks it starts; whoever copies, shows or saves DSPy's settings does not see it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import os
import threading
from contextvars import ContextVar
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import lmtest

# DSPy fetches prices and capabilities from the network at first use, and capabilities change the prompts it writes:
# recorded online, replayed offline, they would differ.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "true")

import dspy

from lmtest.errors import ConfigurationError, LMTestError, revived
from lmtest.lm import counted, nested, retry

_NEWEST = (3, 6)


def _unsupported(reason: object) -> ConfigurationError:
    return ConfigurationError(
        f"dspy {dspy.__version__} is not a version lmtest {lmtest.__version__} can record: {reason}. "
        "Install one it knows: pip install 'dspy>=3.4,<3.6'"
    )


try:
    from dspy._vendor.lm15 import serde
    from dspy._vendor.lm15.errors import error_class_for_code
    from dspy._vendor.lm15.providers.async_base import AsyncBaseProviderLM
    from dspy._vendor.lm15.providers.gemini import GeminiLM
    from dspy._vendor.lm15.result import StreamAccumulator
    from dspy._vendor.lm15.router import LMRouter
    from dspy._vendor.lm15.transports import StdlibTransport
    from dspy.clients import embedding, execution, model_metadata
    from dspy.clients import lm as lm_module
    from dspy.clients.backend_selection import select_backend
    from dspy.clients.call_result import attributes
    from dspy.clients.costs import estimate_cost
    from dspy.clients.engines import AsyncLiteLLMEngine, LiteLLMEngine
    from dspy.clients.engines.litellm_engine import _ChatStream
    from dspy.clients.engines.litellm_errors import litellm_errors
    from dspy.clients.engines.lm15_engine import AsyncLM15Engine, LM15Engine
    from dspy.clients.legacy_outputs import plain
    from dspy.clients.lm15_boundary import response_value
    from dspy.dsp.utils.settings import Settings, thread_local_overrides
    from dspy.utils.exceptions import LMError
except ImportError as error:
    raise _unsupported(error) from error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator
    from types import TracebackType

__all__ = [
    "LITELLM",
    "Billed",
    "Claim",
    "StreamAccumulator",
    "as_caught",
    "bind",
    "bound",
    "connections",
    "dspy_estimate",
    "dspy_rate",
    "error_class_for_code",
    "hook",
    "in_dspy",
    "is_litellm",
    "litellm_errors",
    "litellm_of_embeddings",
    "most_input_tokens",
    "most_output_tokens",
    "other_candidates",
    "serde",
    "vector_size",
    "wire",
]

_KEY = "lmtest_scope"

LITELLM = "litellm"
"""The provider, where LiteLLM carried the call and counted the tokens."""


class Billed(str):  # noqa: SLOT000 - its attribute is what it is for
    """A provider's name that also carries what its call cost, from the engine that answers to DSPy's history.

    Attributes:
        cost: USD, or None where the price is unknown.
        compat: Whether LiteLLM answered, so that DSPy takes its outputs from LiteLLM's answer and not from lm15's.
    """

    cost: float | None = None
    compat: bool = False


class Prepared(NamedTuple):
    """A call as DSPy has prepared it.

    Attributes:
        request: The canonical request; None of a call that has none.
        body: What DSPy gives to LiteLLM, where that carries the call.
        candidates: How many answers are wanted.
        rollout: DSPy's ``rollout_id``; None without one.
    """

    request: Any
    body: dict[str, Any]
    candidates: int
    rollout: Any


class Claim(Protocol):
    """What a scope does with a call that is its own.

    Attributes:
        outside: Whether the call is made outside every cassette.
        uncached: Whether DSPy's cache may not answer it.
    """

    outside: bool
    uncached: bool

    def model(self, lm: dspy.LM) -> dspy.LM:
        """Say which LM answers a call to one: itself, but where another model is tried out."""

    def answerer(
        self, lm: dspy.LM, prepared: Prepared, live: Callable[[], tuple[Any, Any]], *, asynchronous: bool
    ) -> Any:
        """Choose who answers.

        Args:
            lm: The LM that was called.
            prepared: What the call asks, the same in every mode.
            live: Gives DSPy's own choice of a backend, and the request as that backend wants it; None where it is
                LiteLLM's and DSPy would give it the body.
            asynchronous: Whether an async engine is wanted.

        Returns:
            The engine, the request it is to be given, and the provider's name.
        """

    def embedded(self, asked: dict[str, Any], *, asynchronous: bool) -> Any:
        """Answer a call of a ``dspy.Embedder`` to a hosted model.

        Args:
            asked: What DSPy gives to LiteLLM.
            asynchronous: Whether the answer is awaited.

        Returns:
            The answer, or what gives it when awaited; its ``data`` has a mapping with an ``embedding`` for each text.
        """


# ── the check ────────────────────────────────────────────────────────────────────────────────────────────────────────

_EXPECTED = {
    "prepare": ("lm", "prompt", "messages", "kwargs"),
    "_engine": ("lm", "call", "asynchronous"),
    "_canonical": ("call",),
    "_price_result": ("lm", "result", "response", "provider", "request"),
    "_delay": ("exc", "attempt"),
}
"""The functions of dspy.clients.execution that we stand before or call, with their first parameters."""

_EMBEDDING = {
    "_get_litellm": (),
    "_compute_embeddings": ("model", "batch_inputs", "caching", "kwargs"),
    "_acompute_embeddings": ("model", "batch_inputs", "caching", "kwargs"),
    "_cached_compute_embeddings": ("model", "batch_inputs", "caching", "kwargs"),
    "_cached_acompute_embeddings": ("model", "batch_inputs", "caching", "kwargs"),
}
"""The functions of dspy.clients.embedding, likewise."""


def check() -> None:
    """Make sure that DSPy looks the way this file needs. Done when this module is imported.

    Raises:
        ConfigurationError: It does not; the message names the versions.
    """
    version = tuple(int(part) for part in dspy.__version__.split(".")[:2])
    if version >= _NEWEST:
        raise _unsupported("it is newer than any that was tried")
    for module, expected in ((execution, _EXPECTED), (embedding, _EMBEDDING)):
        for name, parameters in expected.items():
            _check_function(module, name, parameters)
    for name, asks in (("_compute_embeddings", "embedding"), ("_acompute_embeddings", "aembedding")):
        if not {"_get_litellm", "cache", asks} <= {*getattr(embedding, name).__code__.co_names}:
            raise _unsupported(f"{embedding.__name__}.{name} does not call _get_litellm().{asks}")
    _check_names()
    _check_calls()


def _check_names() -> None:
    owners = (
        *_ATTRIBUTES,
        *((engine, ("wire_model", "client_options")) for engine in (LiteLLMEngine(), AsyncLiteLLMEngine())),
    )
    for owner, names in owners:
        for name in names:
            if not hasattr(owner, name):
                raise _unsupported(f"{_called(owner)} has no {name}")
    for field in ("managed", "cache", "request", "legacy", "n", "kwargs"):
        if field not in execution.PreparedCall.__dataclass_fields__:
            raise _unsupported(f"dspy.clients.execution.PreparedCall has no {field}")


def _check_calls() -> None:
    for function, given, named in _CALLS:
        expected = inspect.signature(function)
        try:
            expected.bind(*(None,) * given, **dict.fromkeys(named))
        except TypeError as error:
            found = ", ".join(expected.parameters)
            raise _unsupported(f"{_called(function)} takes ({found}) where {_told(given, named)} expected") from error


_ATTRIBUTES: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (StdlibTransport, ("_send_request", "_make_release")),
    (LMRouter, ("_shared_transport",)),
    (dspy.lm15.AnthropicLM, ("parse_stream_events", "_send")),
    (GeminiLM, ("normalize_error", "_send")),
    (AsyncBaseProviderLM, ("_send",)),
    (Settings, ("copy", "config", "save")),
    (LM15Engine, ("_target",)),
    (AsyncLM15Engine, ("_target",)),
    (LiteLLMEngine, ("complete_legacy",)),
    (AsyncLiteLLMEngine, ("complete_legacy",)),
    (_ChatStream, ("feed", "finish")),
    (StreamAccumulator, ("push", "response")),
    (dspy.LM, ("_process_completion", "_process_response")),
    (dspy.settings, ("caller_modules",)),
    (lm_module, ("_get_litellm", "_add_dspy_identifier_to_headers", "aclosing_stream")),
    (model_metadata, ("_source", "model_info")),
    (thread_local_overrides, ("get", "set")),
    (
        serde,
        tuple(f"{value}_{way}_dict" for value in ("request", "response", "stream_event") for way in ("to", "from")),
    ),
)
"""The parts of DSPy that are looked up by name, here and behind what this file hands on."""

_CALLS: tuple[tuple[Any, int, tuple[str, ...]], ...] = (
    (select_backend, 2, ()),
    (response_value, 3, ()),
    (estimate_cost, 1, ("provider", "requested_model", "request", "namespaces")),
    (litellm_errors, 0, ("model",)),
    (error_class_for_code, 1, ()),
    (attributes, 1, ()),
    (plain, 1, ()),
    (model_metadata.model_info, 2, ()),
    (_ChatStream, 1, ()),
    (_ChatStream.finish, 2, ()),
    (dspy.LM._process_completion, 3, ()),
    (dspy.LM._process_response, 2, ()),
    (LM15Engine._target, 2, ()),
    (AsyncLM15Engine._target, 2, ()),
    (GeminiLM.normalize_error, 3, ()),
    (dspy.lm15.AnthropicLM.parse_stream_events, 3, ()),
    (StdlibTransport._make_release, 3, ()),
)
"""The functions that are called, with how many arguments by place and with which by name."""


def _called(thing: Any) -> str:
    module = getattr(thing, "__module__", None)
    name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", type(thing).__name__)
    return f"{module}.{name}" if module else str(name)


def _told(given: int, named: tuple[str, ...]) -> str:
    said = [f"{given} by place"] if given else []
    return " and ".join([*said, *named]) + (" was" if given + len(named) == 1 else " were")


def _check_function(module: Any, name: str, parameters: tuple[str, ...]) -> None:
    function = getattr(module, name, None)
    if function is None:
        raise _unsupported(f"{module.__name__} has no {name}")
    found = tuple(inspect.signature(function).parameters)
    if found[: len(parameters)] != parameters:
        raise _unsupported(
            f"{module.__name__}.{name} takes ({', '.join(found)}) where ({', '.join(parameters)}) was expected"
        )


check()


def _refuse_a_fetched_table() -> None:
    if model_metadata._source.get("source") == "remote":
        raise ConfigurationError(
            "DSPy fetched its table of models from the network before lmtest was imported, so prompts recorded now "
            "could differ from prompts replayed offline. Import lmtest before the first use of a dspy.LM, or set "
            "LITELLM_LOCAL_MODEL_COST_MAP=true."
        )


# ── the context ──────────────────────────────────────────────────────────────────────────────────────────────────────


def bound() -> Any:
    """What the current context is bound to, or None."""
    return thread_local_overrides.get().get(_KEY)


def bind(value: Any) -> None:
    """Bind the current context, and what DSPy starts from it, to a value; None unbinds it."""
    overrides = {key: item for key, item in thread_local_overrides.get().items() if key != _KEY}
    if value is not None:
        overrides[_KEY] = value
    thread_local_overrides.set(type(thread_local_overrides.get())(overrides))


_settings_copy = Settings.copy


@functools.wraps(_settings_copy)
def _copy_without_scope(settings: Any) -> Any:
    """DSPy's settings as a program copies, reads and saves them; its threads take the overrides themselves."""
    copied = _settings_copy(settings)
    copied.pop(_KEY, None)
    return copied


def _repr_without_scope(settings: Any) -> str:
    return repr({**settings.copy()})


_normalize_error = GeminiLM.normalize_error


@functools.wraps(_normalize_error)
def _normalize_with_delay(lm: Any, status: int, body: str) -> Any:
    """Make Gemini's error as lm15 does, which hands on the message of a google.rpc.Status and not its details."""
    error = _normalize_error(lm, status, body)
    if (delay := retry.in_body(body)) is not None:
        setattr(error, retry.DELAY, delay)
    return error


_delay = execution._delay


@functools.wraps(_delay)
def _delay_as_asked(exc: BaseException, attempt: int) -> float:
    """Wait between two attempts as DSPy does, but not for what was recorded, nor beyond the call's patience."""
    return retry.pause(exc, _delay(exc, attempt))


# ── the hook ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_ORIGINALS = (execution.prepare, execution._engine, execution._price_result)


def hook(claim: Callable[[], Claim | None]) -> None:
    """Stand before DSPy's calls.

    Args:
        claim: Gives the scope that a call made here and now belongs to, or None.

    Raises:
        ConfigurationError: DSPy has used a table of models that replay will not have.
    """
    _refuse_a_fetched_table()
    if execution.prepare is not _ORIGINALS[0]:
        return
    prepare, engine, price = _ORIGINALS

    @functools.wraps(prepare)
    def prepare_uncached(lm: Any, *args: Any, **kwargs: Any) -> Any:
        call = prepare(lm, *args, **kwargs)
        # A warm cache would answer before anybody could record.
        if (owner := _owner(lm, call, claim)) is not None and owner.uncached:
            call.cache = False
        return call

    @functools.wraps(engine)
    def choose_engine(lm: Any, call: Any, asynchronous: bool) -> Any:  # noqa: FBT001 - DSPy's signature
        # What a custom engine asks of another LM is part of the call that it answers.
        owner = None if nested.inside() else _owner(lm, call, claim)
        if owner is None:
            _rollout.set(_rollout_of(call))
            return engine(lm, call, asynchronous)
        lm, call = _redirected(lm, owner.model(lm), call)
        prepared = _prepared(lm, call)
        live = functools.partial(_live, functools.partial(engine, lm, call, asynchronous), prepared, asynchronous)
        return owner.answerer(lm, prepared, live, asynchronous=asynchronous)

    @functools.wraps(price)
    def price_as_billed(lm: Any, result: Any, response: Any, provider: Any, request: Any) -> None:
        if not isinstance(provider, Billed):
            price(lm, result, response, provider, request)
            return
        if provider.compat and response.provider_data:
            result.outputs = _compat_outputs(lm, response, request)
        if provider.cost is not None:
            result.cost, result.cost_details = provider.cost, {"kind": "lmtest"}

    execution.prepare, execution._engine, execution._price_result = prepare_uncached, choose_engine, price_as_billed
    execution._delay = _delay_as_asked
    _hook_embeddings(claim)
    Settings.copy, Settings.__repr__ = _copy_without_scope, _repr_without_scope
    counted.listen()
    GeminiLM.normalize_error = _normalize_with_delay


def _live(choose: Callable[[], Any], prepared: Prepared, asynchronous: bool) -> tuple[Any, Any]:  # noqa: FBT001 - DSPy's
    """DSPy's own choice of a backend, and the request as that wants it; None where DSPy gives it the body."""
    backend, request, _ = choose()
    if request is None and is_litellm(backend):
        return backend, None
    # A custom engine that also speaks LiteLLM's types takes canonical ones too.
    return nested.alone(backend, asynchronous=asynchronous), prepared.request if request is None else request


def _redirected(lm: Any, other: Any, call: Any) -> tuple[Any, Any]:
    """A call to one LM as a call to another."""
    if other is lm:
        return lm, call
    asked = call.request and dataclasses.replace(call.request, model=other.model)
    settings = {name: value for name, value in call.legacy.items() if lm.kwargs.get(name) != value}
    return other, dataclasses.replace(call, request=asked, legacy={**other.kwargs, **settings, "model": other.model})


def _owner(lm: Any, call: Any, claim: Callable[[], Claim | None]) -> Claim | None:
    """Who answers a call; outside every cassette an engine of the user's own reaches no provider that we know of."""
    owner = claim() if _is_ours(lm, call) else None
    return None if owner is not None and owner.outside and not isinstance(lm.engine, str) else owner


def _is_ours(lm: Any, call: Any) -> bool:
    """Whether a call is one to answer: of a dspy.LM, and of none that carries a cassette of its own.

    A class that overrides ``forward`` answers its calls itself. What it asks of ``super().forward`` comes here too, as
    the call that goes to a provider.
    """
    return call.managed and isinstance(lm, dspy.LM) and not getattr(lm.engine, "lmtest_answers", False)


def _prepared(lm: Any, call: Any) -> Prepared:
    request = None if lm.model_type == "text" else _canonical(lm, call)
    return Prepared(request, call.legacy, call.n, _rollout_of(call))


_rollout: ContextVar[Any] = ContextVar("lmtest_rollout", default=None)


def _rollout_of(call: Any) -> Any:
    return call.legacy.get("rollout_id", call.kwargs.get("rollout_id"))


def rollout_of_call() -> Any:
    """Give the ``rollout_id`` of the call that a custom engine answers now: DSPy does not hand it on."""
    return _rollout.get()


def _canonical(lm: Any, call: Any) -> Any:
    """The call as a canonical request, the same whichever backend would carry it; None where it has none.

    Only where that cannot be built does the provider's own compatibility decide, as it would live.
    """
    try:
        return execution._canonical(call)
    except (TypeError, ValueError, dspy.lm15.LM15Error):
        if not isinstance(lm.engine, str):
            raise
    try:
        resolution = select_backend(lm, call.legacy).resolution
        return None if resolution is None else execution._canonical(call, compat=resolution.compat)
    except (TypeError, ValueError, dspy.lm15.LM15Error):
        if lm.engine == "lm15":
            raise  # DSPy refuses it too
        return None


# ── embeddings ───────────────────────────────────────────────────────────────────────────────────────────────────────

_ORIGINALS_OF_EMBEDDING = (
    embedding._get_litellm,
    embedding._cached_compute_embeddings,
    embedding._cached_acompute_embeddings,
)


def litellm_of_embeddings() -> Any:
    """Give LiteLLM as DSPy sets it up; it is imported only now.

    Raises:
        ImportError: It is not installed.
    """
    return _ORIGINALS_OF_EMBEDDING[0]()


def _hook_embeddings(claim: Callable[[], Claim | None]) -> None:
    """Stand before what every ``dspy.Embedder`` asks of hosted models; a function of the user's own is let alone."""
    _, cached, cached_async = _ORIGINALS_OF_EMBEDDING

    def is_uncached(model: Any) -> bool:
        owner = _embedder(claim) if isinstance(model, str) else None
        return owner is not None and owner.uncached

    @functools.wraps(cached)
    def cached_unless_claimed(model: Any, *args: Any, **kwargs: Any) -> Any:
        return (embedding._compute_embeddings if is_uncached(model) else cached)(model, *args, **kwargs)

    @functools.wraps(cached_async)
    async def cached_unless_claimed_async(model: Any, *args: Any, **kwargs: Any) -> Any:
        return await (embedding._acompute_embeddings if is_uncached(model) else cached_async)(model, *args, **kwargs)

    embedding._get_litellm = functools.partial(_LiteLLM, claim)
    embedding._cached_compute_embeddings = cached_unless_claimed
    embedding._cached_acompute_embeddings = cached_unless_claimed_async


def _embedder(claim: Callable[[], Claim | None]) -> Claim | None:
    return None if nested.inside() else claim()


class _LiteLLM:
    """LiteLLM as ``dspy.Embedder`` sees it, for one call; not imported where somebody else answers that."""

    def __init__(self, claim: Callable[[], Claim | None]) -> None:
        self._owner = _embedder(claim)

    @property
    def cache(self) -> Any:
        # LiteLLM's own cache, where a program has set one up, would answer too.
        return litellm_of_embeddings().cache if self._owner is None else None

    def embedding(self, **asked: Any) -> Any:
        if self._owner is None:
            return litellm_of_embeddings().embedding(**asked)
        return self._owner.embedded(asked, asynchronous=False)

    async def aembedding(self, **asked: Any) -> Any:
        if self._owner is None:
            return await litellm_of_embeddings().aembedding(**asked)
        return await self._owner.embedded(asked, asynchronous=True)


# ── the compatibility path ───────────────────────────────────────────────────────────────────────────────────────────


def compat_response(raw: Any, model_type: str, request: Any) -> Any:
    """Give LiteLLM's answer in canonical form: its first candidate, with the whole of it as ``provider_data``."""
    body = plain(raw)
    first = {**body, "choices": body["choices"][:1]} if body.get("choices") else body
    return dataclasses.replace(response_value(first, model_type, request), provider_data=body)


def _compat_outputs(lm: Any, response: Any, request: Any) -> list[Any]:
    """Give what DSPy makes of LiteLLM's answer, which may hold more than has a place in lm15's, such as citations."""
    raw = attributes(response.provider_data)
    if lm.model_type == "responses":
        return list(lm._process_response(raw))
    raw["choices"] = raw.get("choices", [])[:1]
    return list(lm._process_completion(raw, {"logprobs": request.config.logprobs is not None}))


def other_candidates(response: Any, request: Any) -> list[Any]:
    """Give the candidates beside the first of an answer that `compat_response` made; they count no tokens."""
    body = response.provider_data or {}
    return [
        response_value(
            {**body, "choices": [{**choice, "index": 0}], "usage": None},
            "text" if "text" in choice else "chat",
            request,
        )
        for choice in (body.get("choices") or [])[1:]
    ]


def compat_chunks(backend: Any, lm: Any, body: Any, stream: CompatStream) -> Generator[Any, None, None]:
    """Give what LiteLLM streams for a body, asked as DSPy asks; its errors are lm15's."""
    with litellm_errors(model=lm.model):
        source = stream.source = lm_module._get_litellm().completion(**_streamed(backend, body))
        try:
            yield from source
        finally:
            if close := getattr(source, "close", None):
                close()


async def compat_chunks_async(backend: Any, lm: Any, body: Any, stream: CompatStream) -> AsyncGenerator[Any, None]:
    """Give what LiteLLM streams for a body, as `compat_chunks` does."""
    with litellm_errors(model=lm.model):
        source = stream.source = await lm_module._get_litellm().acompletion(**_streamed(backend, body))
        async with lm_module.aclosing_stream(source):
            async for chunk in source:
                yield chunk


def _streamed(backend: Any, body: Any) -> Any:
    """The arguments with which DSPy streams through LiteLLM (``dspy.clients.lm._get_stream_completion_fn``)."""
    request = {name: value for name, value in body.items() if name != "rollout_id"}
    if backend.wire_model is not None:
        request |= {"model": backend.wire_model, **backend.client_options}
    if dspy.settings.track_usage:
        request["stream_options"] = {"include_usage": True}
    headers = lm_module._add_dspy_identifier_to_headers(request.pop("headers", None))
    return {**request, "headers": headers, "stream": True, "num_retries": 0, "cache": _NO_CACHE}


class CompatStream:
    """LiteLLM's chunks as lm15's events; what these have no place for stays in the whole answer beside the last one.

    Attributes:
        source: What LiteLLM streams.
    """

    source: Any = None

    def __init__(self, request: Any) -> None:
        self._codec = _ChatStream(request)
        self._model = request.model
        self._chunks: list[Any] = []

    def feed(self, chunk: Any) -> Iterator[Any]:
        """Give a chunk's events."""
        self._chunks.append(chunk)
        body = plain(chunk)
        for choice in body.get("choices") or []:
            choice["delta"] = _with_a_place(choice.get("delta") or {})
        yield from self._codec.feed(body)

    def finish(self) -> Any:
        """Give the last event.

        Raises:
            StreamAssemblyError: The stream ended before it said why.
        """
        self._codec.chunks = self._chunks
        with litellm_errors(model=self._model):
            return counted.ended(self._codec.finish(lm_module._get_litellm()), self.source)


def _with_a_place(delta: Any) -> Any:
    beside = delta.get("provider_specific_fields") or {}
    citation = beside.get("citation")
    cited = isinstance(citation, dict) and any(citation.get(name) for name in _CITED)
    return {name: delta[name] for name in _DELTA if delta.get(name) is not None} | (
        {"provider_specific_fields": {"citation": citation}} if cited else {}
    )


_NO_CACHE = {"no-cache": True, "no-store": True}
_DELTA = ("role", "content", "reasoning_content", "reasoning", "tool_calls")
_CITED = ("cited_text", "text", "supported_text", "document_title", "title", "url")


# ── connections ─────────────────────────────────────────────────────────────────────────────────────────────────────

_here = threading.local()
_watching = threading.Lock()


@contextlib.contextmanager
def connections(
    backend: Any, *, taken: Callable[[Any], None], left: Callable[[Any], None], seconds: float | None
) -> Iterator[None]:
    """Tell the sockets that a backend's calls of this thread speak through.

    Args:
        backend: What DSPy chose.
        taken: Called with a socket before anything is sent.
        left: Called with it before another call may have it.
        seconds: The timeout of a backend whose sockets are not ours to see; None leaves it as it is.
    """
    if is_litellm(backend) and seconds is not None:
        backend.client_options["timeout"] = seconds  # DSPy makes such a backend for one call alone
    router = getattr(backend, "router", None)
    if isinstance(router, LMRouter):
        _watch(router._shared_transport())
    outer = getattr(_here, "told", None)
    _here.told = taken, left
    try:
        yield
    finally:
        _here.told = outer


def _watch(transport: Any) -> None:
    with _watching:
        if not isinstance(transport, StdlibTransport) or "_send_request" in vars(transport):
            return
        send, make_release = transport._send_request, transport._make_release

        def send_told(connection: Any, *args: Any, **kwargs: Any) -> Any:
            if told := getattr(_here, "told", None):
                told[0](connection.sock)
            return send(connection, *args, **kwargs)

        def make_told_release(connection: Any, keep_alive: Any) -> Any:
            release, told = make_release(connection, keep_alive), getattr(_here, "told", None)

            def release_told(body_consumed: Any) -> None:
                if told:
                    told[1](connection.sock)
                release(body_consumed)

            return release_told

        transport._send_request, transport._make_release = send_told, make_told_release


# ── beside a call ───────────────────────────────────────────────────────────────────────────────────────────────────


class Wire(NamedTuple):
    """A call as lm15 would send it, and how something else is sent the same way.

    Attributes:
        provider: lm15's name of the provider's API.
        request: The HTTP request: method, url, headers, body and timeouts.
        send: Sends one and gives its status and body; an async backend's is awaited.
    """

    provider: str
    request: Any
    send: Callable[[Any], Any]


def wire(backend: Any, request: Any) -> Wire | None:
    """Give a call as a backend would send it whole; None for a backend that is not lm15's. Sends nothing."""
    if not isinstance(backend, (LM15Engine, AsyncLM15Engine)):
        return None
    provider, routed = backend._target(request)
    builder = getattr(provider, "_inner", provider)
    return Wire(str(builder.provider), builder.build_request(routed, stream=False), provider._send)


# ── conversions ──────────────────────────────────────────────────────────────────────────────────────────────────────


def is_litellm(backend: Any) -> bool:
    """Whether a backend is DSPy's way through LiteLLM."""
    return isinstance(backend, (LiteLLMEngine, AsyncLiteLLMEngine))


def most_output_tokens(model: str) -> int | None:
    """How many tokens a model can answer with at most, by DSPy's table of models; None where it does not say."""
    return _table(model, "max_output_tokens")


def most_input_tokens(model: str) -> int | None:
    """How many tokens a model can be sent at most, by the same table."""
    return _table(model, "max_input_tokens")


def vector_size(model: str) -> int | None:
    """How many dimensions a model's embeddings have, by the same table."""
    return _table(model, "output_vector_size")


@functools.cache
def _table(model: str, field: str) -> int | None:
    provider, _, name = model.partition("/")
    said = model_metadata.model_info(provider, name).get(field)
    return said if isinstance(said, int) else None


def dspy_estimate(response: Any, provider: str, request: Any) -> Decimal | None:
    """What an answer cost by DSPy's own table, in USD, or None where it does not say."""
    model = request.model
    route, _, name = model.rpartition("/") if model.count("/") < 2 else model.partition("/")
    # The provider says how tokens were counted. LiteLLM counts all alike and sells none: the model's name says whose.
    namespaces = (route,) if route and provider == "litellm" else None
    cost, _ = estimate_cost(
        response, provider=str(provider), requested_model=name, request=request, namespaces=namespaces
    )
    return None if cost is None else Decimal(str(cost))


def dspy_rate(model: str, input_tokens: int, output_tokens: int) -> Decimal | None:
    """The price of tokens of plain text by DSPy's own table, in USD, or None where it does not say."""
    lm15 = dspy.lm15
    usage = lm15.Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    request = lm15.Request(model, (lm15.Message.user("?"),))
    answer = lm15.Message.assistant([lm15.TextPart("!")])
    name = model.partition("/")[2] or model
    response = lm15.Response(id=None, model=name, message=answer, finish_reason="stop", usage=usage)
    # LiteLLM's namespace is the model's own; a bare name is OpenAI's to DSPy.
    return dspy_estimate(response, "openai" if name == model else LITELLM, request)


def in_dspy(error: Exception) -> Exception:
    """The same error as one that DSPy hands through as it is, and never retries.

    DSPy turns what it does not know into an LMUnexpectedError, and a test that looks for a CassetteMiss would not
    find it.
    """
    cls = type(error)
    if issubclass(cls, LMError):
        return error
    members = {"__module__": cls.__module__, "__reduce__": lambda self: (_revived, (cls, self.args, vars(self)))}
    mixed = _MIXED.setdefault(cls, type(cls.__name__, (cls, LMError), members))
    twin = mixed.__new__(mixed)
    twin.args = error.args
    twin.__dict__.update(dict.fromkeys(("code", "model", "provider", "provider_code", "status", "request_id")))
    twin.__dict__.update({"retry_after": None, "message": str(error), **error.__dict__})
    twin.__cause__, twin.__traceback__ = error.__cause__, error.__traceback__
    vars(error)["_handed"] = twin
    return cast("Exception", twin)


def as_caught(error: Exception) -> Exception:
    """An error as it went through DSPy, with every step to where the program caught it; itself where it did not."""
    return cast("Exception", getattr(error, "_handed", error))


_MIXED: dict[type, Any] = {}


def _revived(kind: type[LMTestError], args: tuple[Any, ...], state: dict[str, Any]) -> Exception:
    """The twin that :func:`in_dspy` made, in another process."""
    return in_dspy(revived(kind, args, state))


class handed_through:  # noqa: N801 - read as a verb; a class, because every played call passes it
    """Raise what lmtest raises inside as an error that DSPy hands through as it is."""

    def __enter__(self) -> None:
        """Nothing is held."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, LMTestError):
            # It was made for DSPy's boundary; its story starts there, not here.
            raise in_dspy(error) from error.__cause__
