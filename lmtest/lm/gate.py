"""What stands in front of every live call: it waits for its turn, and for room in the budget."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from lmtest.cassette.cassette import LIVE, Call
from lmtest.cassette.interaction import Usage
from lmtest.clock import utc_now
from lmtest.errors import ConfigurationError
from lmtest.lm.estimate import estimate
from lmtest.lm.seam import most_output_tokens
from lmtest.money.budget import Budget
from lmtest.money.horizon import nanoseconds
from lmtest.money.limits import MAX_WAIT, bare
from lmtest.money.prices import worst_case
from lmtest.money.queue import Asked, Queue
from lmtest.money.rate import Rate, forgive
from lmtest.money.slots import Slots
from lmtest.money.terms import asked
from lmtest.money.under_way import UNSETTLED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

    from lmtest.cassette.interaction import Json
    from lmtest.money.budget import OnUnknownPrice
    from lmtest.money.database import Connection
    from lmtest.money.estimate import Estimate
    from lmtest.money.ledger import Ledger
    from lmtest.money.limits import Limits
    from lmtest.money.origin import Origin
    from lmtest.money.queue import Limit
    from lmtest.money.row import LedgerRow
    from lmtest.money.waiting import Clock

_TOKENS: Final = "tokens_per_minute"

_under_way: Final[ContextVar[frozenset[str]]] = ContextVar("lmtest_under_way", default=frozenset())
"""The calls in whose midst the current context is: whoever reads a stream may call in between."""


class Passage:
    """One call on its way through; whoever answers it says what became of it.

    Attributes:
        call: The call once it is answered, has failed or was given up; None while nothing was sent.
        retry_after: Seconds the provider asked everybody to wait.

    Args:
        settle: Writes the call down, and gives back what was set aside for it.
    """

    def __init__(self, settle: Callable[[Passage], None]) -> None:
        self.call: Call | None = None
        self.retry_after: float | None = None
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
        counts: Whether providers that count a call's tokens for nothing are asked to; they are not where nothing holds.

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
        counts: bool = False,
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
        self.counts = counts and bool(limits)

    @contextlib.contextmanager
    def passed(
        self,
        model: str,
        request: Json,
        most_output: int | None,
        clock: Clock | None = None,
        sent: Estimate | None = None,
    ) -> Iterator[Passage]:
        """Let one call through; its row is written when the block ends.

        Args:
            model: The model, as DSPy names it.
            request: The request, as lm15 serialises it.
            most_output: Tokens that may come back at most; None where the model sets no bound.
            clock: What it waits by; whatever its sleep raises ends the waiting.
            sent: What is sent, where its provider has counted it; by default it is estimated.

        Raises:
            BudgetExceeded: It could cost more than is left. Nothing was sent.
            RateLimited: A limit has no room within the time it may wait. Nothing was sent.
        """
        if sent is None:
            sent = estimate(request, model)
        crossing = self._crossing(model, request, most_output, clock, sent)
        begun = utc_now()
        if crossing.queue is not None:
            begun = crossing.queue.enter(crossing.asked, crossing.limits, timeout=self.patience(model))
        passage = crossing.passage(begun)
        try:
            with _within(crossing.asked.id):
                yield passage
        finally:
            passage.settle()

    @contextlib.asynccontextmanager
    async def passed_async(
        self,
        model: str,
        request: Json,
        most_output: int | None,
        clock: Clock | None = None,
        sent: Estimate | None = None,
    ) -> AsyncIterator[Passage]:
        """Let one call through as :meth:`passed` does, leaving the event loop free."""
        if sent is None:
            sent = await asyncio.to_thread(estimate, request, model)
        crossing = self._crossing(model, request, most_output, clock, sent)
        begun = utc_now()
        if crossing.queue is not None:
            begun = await crossing.queue.enter_async(crossing.asked, crossing.limits, timeout=self.patience(model))
        passage = crossing.passage(begun)
        try:
            with _within(crossing.asked.id):
                yield passage
        finally:
            # The row of a call that was billed must be written, whoever cancels.
            await asyncio.shield(asyncio.to_thread(passage.settle))

    def patience(self, model: str) -> float | None:
        """Seconds a call may wait: as its model's limits say, else those of all models, else a minute."""
        said = [limits for _, limits in self._limits.holding(model) if limits.max_wait is not None]
        patience: float | None = said[-1].held("max_wait") if said else MAX_WAIT
        return patience

    def _crossing(
        self, model: str, request: Json, most_output: int | None, clock: Clock | None, sent: Estimate
    ) -> _Crossing:
        """A call, and what holds it."""
        tokens = sent.input_tokens + (most_output or 0)
        unsettled = Call(
            key="", model=model, hit=LIVE, usage=Usage(), cost=None, worth=None, latency=None, failed=UNSETTLED
        )
        asked = Asked(
            model=model,
            row=replace(self._row(unsettled), run=self._run, test=self._test, model=model),
            estimate=self._worst(model, request, most_output, sent),
            because=_because(model, request, most_output),
            within=_under_way.get(),
        )
        if self._ledger is None:
            return _Crossing(asked=asked, limits=(), tokens=tokens, ledger=None, queue=None, row=self._row)
        limits: tuple[Limit, ...] = (
            *self._budget.holding(asked),
            *self._rates(model, tokens),
            *self._slots(model),
        )
        queue = Queue(self._ledger, clock=clock)
        return _Crossing(asked=asked, limits=limits, tokens=tokens, ledger=self._ledger, queue=queue, row=self._row)

    def _slots(self, model: str) -> Iterator[Slots]:
        for whose, limits in self._limits.holding(model):
            if (most := limits.held("max_concurrency")) is not None:
                yield Slots(name=f"max_concurrency {whose}".rstrip(), limit=most)

    def _rates(self, model: str, tokens: int) -> Iterator[Rate]:
        for whose, limits in self._limits.holding(model):
            for name, cost in (("requests_per_minute", 1), (_TOKENS, tokens)):
                if (permits := limits.held(name)) is not None:
                    yield Rate(name=f"{name} {whose}".rstrip(), permits=permits, cost=cost)

    @property
    def _budget(self) -> Budget:
        assert self._ledger is not None, "limits are kept in a ledger"
        return Budget(
            self._ledger,
            self._limits,
            run=self._run,
            on_unknown_price=self._on_unknown_price,
            origin=self._origin,
            assumed=self._assumed,
        )

    def _worst(self, model: str, request: Json, most_output: int | None, sent: Estimate) -> Decimal | None:
        """What is to be set aside for a call."""
        if most_output is not None:
            return worst_case(model, sent, most_output, utc_now(), terms=asked(request), environ=self.environ)
        if self._on_unknown_price == "refuse" and any(
            limits.in_usd for _, limits in self._limits.without(self._assumed).holding(model)
        ):
            raise ConfigurationError(
                f"a budget is set, and nobody can say what a call to {model} costs at worst: set max_tokens on the LM, "
                'or let such calls through with on_unknown_price = "allow" in [tool.lmtest].'
            )
        return None


@dataclass(frozen=True, kw_only=True)
class _Crossing:
    """A call on its way through, with what it is held by.

    Attributes:
        asked: The call.
        limits: What holds it.
        tokens: The most that it may take, in and out.
        ledger: Where it is written down, if anywhere.
        queue: What it waits in, if anything.
        row: Makes its row.
    """

    asked: Asked
    limits: Sequence[Limit]
    tokens: int
    ledger: Ledger | None
    queue: Queue | None
    row: Callable[[Call], LedgerRow]

    def passage(self, begun: datetime) -> Passage:
        """Begin to send it, at the moment at which it was let through."""
        return Passage(partial(self._settle, begun))

    def _settle(self, sent: datetime, passage: Passage) -> None:
        if self.ledger is None:
            return
        also = partial(self._correct, sent, passage)
        if passage.call is None:
            self.ledger.release(self.asked.id, also=also)
        else:
            # As what it was let through, whatever the row says, so that no budget can miss it; and in the month that it
            # was held against, in which it was sent.
            ours = self.asked.row
            row = replace(self.row(passage.call), run=ours.run, test=ours.test, model=ours.model, time=sent)
            self.ledger.settle(self.asked.id, row, at_most=self.asked.estimate, also=also)
        self.ledger.database.line.ring([limit.name for limit in self.limits])

    def _correct(self, sent: datetime, passage: Passage, connection: Connection) -> None:
        """Have the rates count what the call took, and hear what the provider said of waiting."""
        now = nanoseconds(utc_now())
        for rate in self.limits:
            if not isinstance(rate, Rate):
                continue
            if rate.name.startswith(_TOKENS):
                rate.correct(connection, _used(passage.call, self.tokens))
            if passage.retry_after is not None:
                rate.penalise(connection, passage.retry_after, now)
        if passage.call is not None and not passage.call.failed:
            scopes = dict.fromkeys(("", bare(self.asked.model), self.asked.model))
            names = [f"{name} {scope}".rstrip() for name in ("requests_per_minute", _TOKENS) for scope in scopes]
            forgive(connection, names, sent=nanoseconds(sent), now=now)


def _because(model: str, request: Json, most_output: int | None) -> str:
    """Why so much output is reserved, where the call itself does not say how much may come."""
    if not most_output or request.get("config", {}).get("max_tokens"):
        return ""
    if most_output == most_output_tokens(model):
        return f"no max_tokens is set, so the model's maximum of {most_output:,} output tokens is reserved"
    return f"no max_tokens is set, so the {most_output:,} output tokens that its recording suggests are reserved"


@contextlib.contextmanager
def _within(id_: str) -> Iterator[None]:
    """Remember that what is called inside must not wait for this call. No token: a stream may end elsewhere."""
    _under_way.set(_under_way.get() | {id_})
    try:
        yield
    finally:
        _under_way.set(_under_way.get() - {id_})


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
