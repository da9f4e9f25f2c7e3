"""A budget: what live calls may cost, held against each call before it is sent.

A call holds the most it could cost, and settles what it did cost when the answer is there. What is spent and what is
held never exceed a limit together, however many processes share the ledger. A call that would fit but for what others
hold waits until they settle.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from lmtest.errors import BudgetExceeded
from lmtest.money import under_way
from lmtest.money.amounts import to_pico, to_usd
from lmtest.money.horizon import SECOND, time_of
from lmtest.money.ledger import periods
from lmtest.money.limits import bare
from lmtest.money.origin import Origin
from lmtest.money.queue import Block, Take
from lmtest.money.under_way import UnderWay

if TYPE_CHECKING:
    from collections.abc import Collection

    from lmtest.money.database import Connection, Rows
    from lmtest.money.ledger import Ledger
    from lmtest.money.limits import Limits
    from lmtest.money.queue import Ahead, Asked

_LOG = logging.getLogger("lmtest")
_warned: set[str] = set()

OnUnknownPrice = Literal["refuse", "allow"]
"""What becomes of a call of unknown price when a budget is set."""


class Budget:
    """The USD limits of one run.

    Args:
        ledger: Where spending is kept; all processes that share it share the limits.
        limits: What calls may cost, of all models together and of single ones.
        run: The run's id.
        on_unknown_price: Whether a call of unknown price is refused, or sent unheld.
        origin: Where the limits were set.
        assumed: Which of the limits nobody set: what has no known price passes them, with a warning.
    """

    def __init__(
        self,
        ledger: Ledger,
        limits: Limits,
        *,
        run: str,
        on_unknown_price: OnUnknownPrice = "refuse",
        origin: Origin | None = None,
        assumed: Collection[str] = (),
    ) -> None:
        self._ledger = ledger
        self._limits = limits
        self._run = run
        self._on_unknown_price = on_unknown_price
        self._origin = origin or Origin()
        self._assumed = assumed

    def holding(self, asked: Asked) -> list[Allowance]:
        """The limits that hold a call."""
        priced = asked.estimate is not None
        if not priced and any(name.startswith("usd_") for name in self._assumed):
            _warn_once(asked.model)
        if not priced and self._on_unknown_price == "allow":
            return []
        return self._allowances(asked.model, asked.test, priced=priced)

    def left(self, *, model: str, test: str | None = None, now: float) -> Decimal | None:
        """USD that calls to a model may still cost: the least that any limit leaves, and never below 0.

        What calls under way hold counts as spent.

        Args:
            model: As DSPy names it.
            test: The test that calls.
            now: Seconds since 1970.

        Returns:
            None where no limit holds such a call.
        """
        held = self._allowances(model, test)
        if not held:
            return None
        with self._ledger.database.reading() as connection:
            if connection is None:
                return min(each.limit for each in held)
            moment, calls = int(now * SECOND), UnderWay(under_way.ask(connection))
            used = [sum(each.used(each.ask(connection, moment), calls, moment)) for each in held]
        return max(Decimal(0), min(each.limit - to_usd(its) for each, its in zip(held, used, strict=True)))

    def _allowances(self, model: str, test: str | None, *, priced: bool = True) -> list[Allowance]:
        limits = self._limits if priced else self._limits.without(self._assumed)
        return [
            Allowance(
                field=field,
                run=self._run,
                test=test,
                model=whose,
                limit=limit,
                assumed=not whose and field in self._assumed,
                origin=self._origin,
            )
            for whose, its in limits.holding(model)
            for field in ("usd_per_month", "usd_per_run", "usd_per_test")
            if (limit := its.held(field)) is not None and (test is not None or field != "usd_per_test")
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """One limit in USD that a call is held against.

    Attributes:
        field: The limit's field of `lmtest.money.limits.Limits`.
        run: The run that calls.
        test: The test that calls.
        model: The model that it holds, as the limit names it; "" is all models together.
        limit: USD.
        assumed: Whether nobody set it.
        origin: Where it was set.
    """

    field: str
    run: str
    test: str | None
    model: str
    limit: Decimal
    assumed: bool
    origin: Origin

    @property
    def name(self) -> str:
        """The name by which it is waited for."""
        return f"{self.field} {self.run} {self.test or ''} {self.model}"

    @property
    def weight(self) -> int:
        """The limit in picodollars: whoever is allowed less, such as a session, keeps nobody else waiting."""
        return to_pico(self.limit)

    def ask(self, connection: Connection, now: int) -> Rows:
        """As `lmtest.money.queue.Limit.ask`: what was spent, by model."""
        period = self._period(now)
        if self.model and "/" not in self.model:  # that model at any provider
            return connection.execute("SELECT model, usd FROM spend WHERE period = ?", (period,))
        return connection.execute("SELECT model, usd FROM spend WHERE period = ? AND model = ?", (period, self.model))

    def used(self, kept: Rows, calls: UnderWay, now: int) -> tuple[int, int]:
        """Picodollars that are spent, and that calls under way hold.

        Args:
            kept: What `ask` asked for.
            calls: The calls under way.
            now: Nanoseconds since 1970, in whose period.
        """
        spent = sum(usd for model, usd in kept if self.model in {model, bare(model)})
        return spent, sum(calls.holding(self._held_as(now)).values())

    def room(self, kept: Rows, calls: UnderWay, asked: Asked, now: int, ahead: Ahead) -> Block | Take:
        """As `lmtest.money.queue.Limit.room`."""
        if asked.estimate == 0:
            return Take()  # it can exceed no limit, not even one that is exceeded
        spent, held = self.used(kept, calls, now)
        limit = self.weight
        wanted = None if asked.estimate is None else to_pico(asked.estimate)
        passed = not any(its >= limit for its in ahead.weights)
        if wanted is not None and passed and spent + held + wanted <= limit:
            return Take(holds={self._held_as(now): wanted})
        holding = calls.holding(self._held_as(now))
        of_others = held - sum(holding.get(id_, 0) for id_ in asked.within)  # which settle only after this one
        final = wanted is None or spent + held - of_others + wanted > limit
        aside = _dollars(to_usd(held))
        why = f"{self._whose} is {_dollars(self.limit)}, of which {aside} is set aside by calls under way"
        return Block(self._refusal(asked, spent, held), why=why, final=final)

    def _period(self, now: int) -> str:
        """Give whose calls count, see `lmtest.money.ledger.periods`: a month's border may pass while a call waits."""
        return periods(time=time_of(now), run=self.run, test=self.test)[self.field]

    def _held_as(self, now: int) -> str:
        return f"{self._period(now)} {self.model}".rstrip()

    @property
    def _whose(self) -> str:
        return f"{self.field} for {self.model!r}" if self.model else self.field

    def _refusal(self, asked: Asked, spent: int, held: int) -> BudgetExceeded:
        limit = _dollars(self.limit) + (" by default" if self.assumed else "")
        return BudgetExceeded(
            f"The call to {asked.model!r} {_could(asked)} {self._whose} is {limit}: {_dollars(to_usd(spent))} is spent "
            f"and {_dollars(to_usd(held))} reserved by calls under way. It was not sent. {self._mend(asked)}.",
            spent=to_usd(spent + held),
            limit=self.limit,
            estimate=asked.estimate,
        )

    def _mend(self, asked: Asked) -> str:
        if asked.estimate is None:
            return "Name its price in LMTEST_PRICES, or set on_unknown_price to 'allow' to send it unheld"
        lifted = " (or lift it: none)" if self.assumed else ""
        raised = f"{self.field} ({self.origin.told(self.field, self.limit, model=self.model)}){lifted}"
        if asked.because:
            return f"Set max_tokens, or raise {raised}, or answer from cassettes: LM_MODE=replay"
        return f"Raise {raised}, lower max_tokens, or answer from cassettes: LM_MODE=replay"


def _could(asked: Asked) -> str:
    """What was asked for, up to the limit that refuses it."""
    if asked.estimate is None:
        return "has no known price, and"
    if asked.because:
        return f"could cost up to {_dollars(asked.estimate)}: {asked.because}."
    return f"could cost {_dollars(asked.estimate)}, and"


def _warn_once(model: str) -> None:
    if model not in _warned:
        _warned.add(model)
        told = "The default budget does not hold calls to %r: their price is unknown. Name it in LMTEST_PRICES."
        _LOG.warning(told, model)


def _dollars(usd: Decimal) -> str:
    return f"${usd:f}"
