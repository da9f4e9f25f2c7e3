"""The only file that names what DSPy keeps private, and the check that it still is as it was.

Every call of every ``dspy.LM`` passes three functions of ``dspy.clients.execution``: ``prepare`` decides whether DSPy's
cache may answer, ``_engine`` chooses who does, ``_price_result`` says what it cost. :func:`hook` stands before all
three, and hands through every call that belongs to no scope. It stays there: a call that outlives its scope must be
refused, not sent. A scope travels in DSPy's own settings overrides, because DSPy
carries those into the threads and tasks it starts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import os
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol, cast

import lmtest

# DSPy fetches prices and capabilities from the network at first use, and capabilities change the prompts it writes:
# recorded online, replayed offline, they would differ.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "true")

import dspy

from lmtest.errors import ConfigurationError, LMTestError

_NEWEST = (3, 6)


def _unsupported(reason: object) -> ConfigurationError:
    return ConfigurationError(
        f"dspy {dspy.__version__} is not a version lmtest {lmtest.__version__} can record: {reason}. "
        "Install one it knows: pip install 'dspy>=3.4,<3.6'"
    )


try:
    from dspy._vendor.lm15 import serde
    from dspy._vendor.lm15.errors import error_class_for_code
    from dspy._vendor.lm15.result import StreamAccumulator
    from dspy._vendor.lm15.router import LMRouter
    from dspy._vendor.lm15.transports import StdlibTransport
    from dspy.clients import execution, model_metadata
    from dspy.clients.backend_selection import select_backend
    from dspy.clients.costs import estimate_cost
    from dspy.clients.engines import AsyncLiteLLMEngine, LiteLLMEngine
    from dspy.dsp.utils.settings import thread_local_overrides
    from dspy.utils.exceptions import LMError
except ImportError as error:
    raise _unsupported(error) from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

__all__ = [
    "Billed",
    "Claim",
    "StreamAccumulator",
    "bind",
    "bound",
    "connections",
    "dspy_estimate",
    "error_class_for_code",
    "hook",
    "in_dspy",
    "is_litellm",
    "most_output_tokens",
    "serde",
]

_KEY = "lmtest_scope"


class Billed(str):  # noqa: SLOT000 - its attribute is what it is for
    """A provider's name that also carries what its call cost, from the engine that answers to DSPy's history.

    Attributes:
        cost: USD, or None where the price is unknown.
    """

    cost: float | None = None


class Claim(Protocol):
    """What a scope does with a call that is its own."""

    def model(self, lm: dspy.LM) -> dspy.LM:
        """Say which LM answers a call to one: itself, but where another model is tried out."""

    def engine(self, lm: dspy.LM, request: Any, live: Callable[[], tuple[Any, Any]], *, asynchronous: bool) -> Any:
        """Choose who answers.

        Args:
            lm: The LM that was called.
            request: The canonical request, the same in every mode.
            live: Gives DSPy's own choice of a backend, and the request as that backend wants it.
            asynchronous: Whether an async engine is wanted.

        Returns:
            The engine, the request it is to be given, and the provider's name.
        """


# ── the check ────────────────────────────────────────────────────────────────────────────────────────────────────────

_EXPECTED = {
    "prepare": ("lm", "prompt", "messages", "kwargs"),
    "_engine": ("lm", "call", "asynchronous"),
    "_canonical": ("call",),
    "_price_result": ("lm", "result", "response", "provider", "request"),
}
"""The functions of dspy.clients.execution that we stand before or call, with their first parameters."""


def check() -> None:
    """Make sure that DSPy looks the way this file needs. Done when this module is imported.

    Raises:
        ConfigurationError: It does not; the message names the versions.
    """
    version = tuple(int(part) for part in dspy.__version__.split(".")[:2])
    if version >= _NEWEST:
        raise _unsupported("it is newer than any that was tried")
    for name, parameters in _EXPECTED.items():
        function = getattr(execution, name, None)
        if function is None:
            raise _unsupported(f"dspy.clients.execution has no {name}")
        found = tuple(inspect.signature(function).parameters)
        if found[: len(parameters)] != parameters:
            raise _unsupported(
                f"dspy.clients.execution.{name} takes ({', '.join(found)}) where ({', '.join(parameters)}) was expected"
            )
    for owner, names in ((StdlibTransport, ("_send_request", "_make_release")), (LMRouter, ("_shared_transport",))):
        for name in names:
            if not hasattr(owner, name):
                raise _unsupported(f"{owner.__module__}.{owner.__name__} has no {name}")


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
        if _is_ours(lm) and claim() is not None:
            call.cache = False
        return call

    @functools.wraps(engine)
    def choose_engine(lm: Any, call: Any, asynchronous: bool) -> Any:  # noqa: FBT001 - DSPy's signature
        owner = claim() if _is_ours(lm) else None
        if owner is None:
            return engine(lm, call, asynchronous)
        lm, call = _redirected(lm, owner.model(lm), call)
        request = _canonical(lm, call)

        def live() -> tuple[Any, Any]:
            backend, live_request, _ = engine(lm, call, asynchronous)
            # On the compatibility path DSPy would speak LiteLLM's own types; the same engine takes canonical ones.
            return backend, request if live_request is None else live_request

        return owner.engine(lm, request, live, asynchronous=asynchronous)

    @functools.wraps(price)
    def price_as_billed(lm: Any, result: Any, response: Any, provider: Any, request: Any) -> None:
        if not isinstance(provider, Billed):
            price(lm, result, response, provider, request)
        elif provider.cost is not None:
            result.cost, result.cost_details = provider.cost, {"kind": "lmtest"}

    execution.prepare, execution._engine, execution._price_result = prepare_uncached, choose_engine, price_as_billed


def _redirected(lm: Any, other: Any, call: Any) -> tuple[Any, Any]:
    """A call to one LM as a call to another."""
    if other is lm:
        return lm, call
    asked = call.request and dataclasses.replace(call.request, model=other.model)
    settings = {name: value for name, value in call.legacy.items() if lm.kwargs.get(name) != value}
    return other, dataclasses.replace(call, request=asked, legacy={**other.kwargs, **settings, "model": other.model})


def _is_ours(lm: Any) -> bool:
    """Whether a call of this LM is one to answer: a dspy.LM, and not one that carries a cassette of its own."""
    return isinstance(lm, dspy.LM) and not getattr(lm.engine, "lmtest_answers", False)


def _canonical(lm: Any, call: Any) -> Any:
    """The call as a canonical request, the same whichever backend would carry it.

    Only where that cannot be built does the provider's own compatibility decide, as it would live.
    """
    try:
        return execution._canonical(call)
    except (TypeError, ValueError, dspy.lm15.LM15Error):
        if not isinstance(lm.engine, str):
            raise
        resolution = select_backend(lm, call.legacy).resolution
        if resolution is None:
            raise
        return execution._canonical(call, compat=resolution.compat)


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


# ── conversions ──────────────────────────────────────────────────────────────────────────────────────────────────────


def is_litellm(backend: Any) -> bool:
    """Whether a backend is DSPy's way through LiteLLM."""
    return isinstance(backend, (LiteLLMEngine, AsyncLiteLLMEngine))


@functools.cache
def most_output_tokens(model: str) -> int | None:
    """How many tokens a model can answer with at most, by DSPy's table of models; None where it does not say."""
    provider, _, name = model.partition("/")
    most = model_metadata.model_info(provider, name).get("max_output_tokens")
    return most if isinstance(most, int) else None


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


def in_dspy(error: Exception) -> Exception:
    """The same error as one that DSPy hands through as it is, and never retries.

    DSPy turns what it does not know into an LMUnexpectedError, and a test that looks for a CassetteMiss would not
    find it.
    """
    cls = type(error)
    if issubclass(cls, LMError):
        return error
    mixed = _MIXED.setdefault(cls, type(cls.__name__, (cls, LMError), {"__module__": cls.__module__}))
    twin = mixed.__new__(mixed)
    twin.args = error.args
    twin.__dict__.update(dict.fromkeys(("code", "model", "provider", "provider_code", "status", "request_id")))
    twin.__dict__.update({"retry_after": None, "message": str(error), **error.__dict__})
    twin.__cause__, twin.__traceback__ = error.__cause__, error.__traceback__
    return cast("Exception", twin)


_MIXED: dict[type, Any] = {}


class handed_through:  # noqa: N801 - read as a verb; a class, because every played call passes it
    """Raise what lmtest raises inside as an error that DSPy hands through as it is."""

    def __enter__(self) -> None:
        """Nothing is held."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, LMTestError):
            # It was made for DSPy's boundary; its story starts there, not here.
            raise in_dspy(error) from error.__cause__
