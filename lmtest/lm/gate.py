"""What stands in front of every live call: it waits for its turn, and for room in the budget."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypedDict

from lmtest.clock import utc_now
from lmtest.errors import ConfigurationError
from lmtest.lm.seam import most_output_tokens
from lmtest.money.budget import Budget
from lmtest.money.prices import worst_case
from lmtest.money.rate import Rate
from lmtest.money.slots import Slots
from lmtest.money.terms import asked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
    from decimal import Decimal

    from lmtest.cassette.cassette import Call
    from lmtest.cassette.interaction import Json
    from lmtest.money.budget import OnUnknownPrice, Reservation
    from lmtest.money.ledger import Ledger, LedgerRow
    from lmtest.money.limits import Limits
    from lmtest.money.origin import Origin
    from lmtest.money.waiting import Clock

BYTES_PER_TOKEN: Final = 3
"""For the estimate before a call: English has about four bytes a token, code and other languages fewer."""

TOKENS_PER_MEDIUM: Final = 2_000
"""For the estimate before a call: more than providers count for one image or a page of a document."""

_MEDIA: Final = frozenset({"image", "audio", "video", "document", "binary"})


_under_way: Final[ContextVar[frozenset[str]]] = ContextVar("lmtest_under_way", default=frozenset())
"""The reservations of calls in whose midst the current context is: whoever reads a stream may call in between."""


class _Asked(TypedDict):
    model: str
    estimate: Decimal | None
    test: str | None
    because: str


class Passage:
    """One call on its way through; whoever answers it says what became of it.

    Attributes:
        call: The call once it is answered, has failed or was given up; None while nothing was sent.
        retry_after: Seconds the provider asked everybody to wait.
        reservation: What was set aside for it.

    Args:
        settle: Writes the call down, and gives back what was set aside for it.
    """

    def __init__(self, settle: Callable[[Passage], None]) -> None:
        self.call: Call | None = None
        self.retry_after: float | None = None
        self.reservation: Reservation | None = None
        self._settle = settle
        self._lock = threading.Lock()
        self._settled = False

    def settle(self) -> None:
        """Write down what became of it, once: it may be given up in one thread while another still waits for it."""
        with self._lock:
            if not self._settled:
                self._settled = True
                self._settle(self)


class Gate:
    """Lets live calls through, one row of the ledger each.

    Args:
        ledger: Where rows, rates and reservations are kept; None keeps none, and then nothing can be limited.
        limits: What calls may use up.
        run: The run's id.
        row: Makes a call's row.
        test: The test that calls.
        on_unknown_price: Whether a call of unknown price is refused when a budget is set.
        origin: Where the limits were set.
        assumed: Which of the limits nobody set: what has no known price passes them.
        environ: The environment as it was when the cassette was opened, where prices of one's own are named.

    Raises:
        ConfigurationError: There are limits and no ledger to keep them in.
    """

    def __init__(
        self,
        ledger: Ledger | None,
        limits: Limits,
        *,
        run: str,
        row: Callable[[Call], LedgerRow],
        test: str | None = None,
        on_unknown_price: OnUnknownPrice = "refuse",
        origin: Origin | None = None,
        assumed: Collection[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        if limits and ledger is None:
            raise unkept(limits)
        self._ledger = ledger
        self._limits = limits
        self._row = row
        self._test = test
        self._on_unknown_price = on_unknown_price
        self._run = run
        self._origin = origin
        self._assumed = assumed
        self.environ = environ

    @contextlib.contextmanager
    def passed(
        self, model: str, request: Json, most_output: int | None, clock: Clock | None = None
    ) -> Iterator[Passage]:
        """Let one call through; its row is written when the block ends.

        Args:
            model: The model, as DSPy names it.
            request: The request, as lm15 serialises it.
            most_output: Tokens that may come back at most; None where the model sets no bound.
            clock: What it waits by; whatever its sleep raises ends the waiting.

        Raises:
            BudgetExceeded: It could cost more than is left. Nothing was sent.
            RateLimited: A limit has no room within the time it may wait. Nothing was sent.
        """
        tokens, patience = estimated_tokens(request) + (most_output or 0), self._patience(model)
        with contextlib.ExitStack() as held:
            for slots in self._slots(model, clock):
                held.enter_context(slots.held(timeout=patience))
            for _, rate, cost in self._rates(model, tokens, clock):
                rate.acquire(cost, timeout=patience)
            # Last, because a reservation has a lease and waiting for a turn may outlast it.
            passage = Passage(partial(self._settle, model, tokens))
            try:
                if (budget := self._budget(clock)) is not None:
                    asked = self._asked(model, request, most_output)
                    passage.reservation = budget.reserve(**asked, timeout=patience, within=_under_way.get())
                with _within(passage.reservation):
                    yield passage
            finally:
                passage.settle()

    @contextlib.asynccontextmanager
    async def passed_async(
        self, model: str, request: Json, most_output: int | None, clock: Clock | None = None
    ) -> AsyncIterator[Passage]:
        """Let one call through as :meth:`passed` does, leaving the event loop free."""
        tokens, patience = estimated_tokens(request) + (most_output or 0), self._patience(model)
        async with contextlib.AsyncExitStack() as held:
            for slots in self._slots(model, clock):
                await held.enter_async_context(slots.held_async(timeout=patience))
            for _, rate, cost in self._rates(model, tokens, clock):
                await rate.acquire_async(cost, timeout=patience)
            passage = Passage(partial(self._settle, model, tokens))
            try:
                if (budget := self._budget(clock)) is not None:
                    asked = self._asked(model, request, most_output)
                    passage.reservation = await budget.reserve_async(**asked, timeout=patience, within=_under_way.get())
                with _within(passage.reservation):
                    yield passage
            finally:
                # The row of a call that was billed must be written, whoever cancels.
                await asyncio.shield(asyncio.to_thread(passage.settle))

    def _patience(self, model: str) -> float | None:
        """Seconds a call may wait: as its model's limits say, else those of all models."""
        said = [limits for _, limits in self._limits.holding(model) if limits.max_wait is not None]
        patience: float | None = said[-1].held("max_wait") if said else None
        return patience

    def _slots(self, model: str, clock: Clock | None) -> Iterator[Slots]:
        for whose, limits in self._limits.holding(model):
            most = limits.held("max_concurrency")
            if self._ledger is not None and most is not None:
                yield Slots(self._ledger.database, f"max_concurrency {whose}".rstrip(), limit=most, clock=clock)

    def _rates(self, model: str, tokens: int, clock: Clock | None = None) -> Iterator[tuple[str, Rate, int]]:
        for whose, limits in self._limits.holding(model):
            for name, cost in (("requests_per_minute", 1), ("tokens_per_minute", tokens)):
                permits = limits.held(name)
                if self._ledger is not None and permits is not None:
                    whole = f"{name} {whose}".rstrip()
                    yield name, Rate(self._ledger.database, whole, permits=permits, clock=clock), cost

    def _budget(self, clock: Clock | None) -> Budget | None:
        if self._ledger is None:
            return None
        return Budget(
            self._ledger,
            self._limits,
            run=self._run,
            on_unknown_price=self._on_unknown_price,
            origin=self._origin,
            assumed=self._assumed,
            clock=clock,
        )

    def _asked(self, model: str, request: Json, most_output: int | None) -> _Asked:
        """What is to be set aside for a call."""
        worst = None
        if most_output is not None:
            tokens, terms = estimated_tokens(request), asked(request)
            worst = worst_case(model, tokens, most_output, utc_now(), terms=terms, environ=self.environ)
        elif self._on_unknown_price == "refuse" and any(
            limits.in_usd for _, limits in self._limits.without(self._assumed).holding(model)
        ):
            raise ConfigurationError(
                f"a budget is set, and nobody can say what a call to {model} costs at worst: set max_tokens on the LM, "
                'or let such calls through with on_unknown_price = "allow" in [tool.lmtest].'
            )
        return {"model": model, "estimate": worst, "test": self._test, "because": _because(model, request, most_output)}

    def _settle(self, model: str, tokens: int, passage: Passage) -> None:
        for name, rate, _ in self._rates(model, tokens):
            if name == "tokens_per_minute":
                rate.correct(tokens, _used(passage.call, tokens))
            if passage.retry_after is not None:
                rate.penalise(passage.retry_after)
        if passage.reservation is None:
            return
        if passage.call is None:
            passage.reservation.release()
        else:
            passage.reservation.settle(self._row(passage.call))


def _because(model: str, request: Json, most_output: int | None) -> str:
    """Why so much output is reserved, where the call itself does not say how much may come."""
    if not most_output or request.get("config", {}).get("max_tokens"):
        return ""
    if most_output == most_output_tokens(model):
        return f"no max_tokens is set, so the model's maximum of {most_output:,} output tokens is reserved"
    return f"no max_tokens is set, so the {most_output:,} output tokens that its recording suggests are reserved"


@contextlib.contextmanager
def _within(reservation: Reservation | None) -> Iterator[None]:
    """Remember that what is called inside must not wait for a reservation. No token: a stream may end elsewhere."""
    own = frozenset({reservation.id} if reservation is not None and reservation.held else ())
    _under_way.set(_under_way.get() | own)
    try:
        yield
    finally:
        _under_way.set(_under_way.get() - own)


def unkept(limits: Limits) -> ConfigurationError:
    """The error for limits without a ledger."""
    return ConfigurationError(
        f"{limits} cannot be kept without a ledger, and it is off (LMTEST_LEDGER, or ledger in [tool.lmtest]): "
        "name a ledger, or take the limits away."
    )


def _used(call: Call | None, at_most: int) -> int:
    """Tokens that a call took: none where nothing answered, the most that it could where nobody counted them."""
    if call is None:
        return 0
    counted = call.usage.total_tokens or (call.usage.input_tokens or 0) + (call.usage.output_tokens or 0)
    return counted or (0 if call.failed and call.cost == 0 else at_most)


def received_tokens(events: Iterable[Json]) -> int:
    """Estimate the output tokens of what was received of an answer, rather too many than too few.

    Args:
        events: Of a stream, as lm15 serialises them.

    >>> received_tokens([{"type": "delta", "delta": {"type": "text", "text": "Paris, the capital"}}])
    6
    """
    deltas = (event.get("delta") or {} for event in events)
    texts = (delta.get("text") or delta.get("input") or "" for delta in deltas)
    return math.ceil(sum(_measure(text)[0] for text in texts) / BYTES_PER_TOKEN)


def estimated_tokens(request: Json) -> int:
    """Estimate a request's input tokens from its length, rather too many than too few.

    >>> estimated_tokens({"system": "Be brief.", "messages": []})
    8
    """
    length, media = _measure(request)
    return math.ceil(length / BYTES_PER_TOKEN) + media * TOKENS_PER_MEDIUM


def _measure(value: Any) -> tuple[int, int]:
    """Bytes of text, and how many media."""
    if isinstance(value, str):
        return len(value.encode()), 0
    if isinstance(value, dict):
        if isinstance(kind := value.get("type"), str) and kind in _MEDIA:  # a schema may have a field of that name
            return 0, 1
        # Names of fields cost tokens too where they are part of a schema.
        parts = [_measure(item) for item in value.values()]
        return sum(p[0] for p in parts) + sum(map(len, value)), sum(p[1] for p in parts)
    if isinstance(value, list):
        parts = [_measure(item) for item in value]
        return sum(p[0] for p in parts), sum(p[1] for p in parts)
    return 2, 0
