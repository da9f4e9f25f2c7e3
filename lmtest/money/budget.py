"""A budget: what live calls may cost, held against each call before it is sent.

A call reserves the most it could cost, and settles what it did cost when the answer is there. What is spent and what
is reserved never exceed a limit together, however many processes share the ledger. A call that would fit but for what
others have reserved waits until they settle. A reservation whose process died comes back when its lease ends.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from lmtest.errors import BudgetExceeded
from lmtest.money.amounts import to_pico, to_usd
from lmtest.money.horizon import LEASE, SECOND, shorten_leases
from lmtest.money.ledger import periods
from lmtest.money.origin import Origin
from lmtest.money.owner import claimed, has_died
from lmtest.money.waiting import Clock, looks, wait, wait_async

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from lmtest.money.database import Connection
    from lmtest.money.ledger import Ledger, LedgerRow
    from lmtest.money.limits import Limits

_LOG = logging.getLogger("lmtest")
_warned: set[str] = set()

OnUnknownPrice = Literal["refuse", "allow"]
"""What becomes of a call of unknown price when a budget is set."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Held:
    """One limit that a call is held against."""

    name: str
    period: str
    model: str
    limit: Decimal
    assumed: bool


class Budget:
    """The USD limits of one run.

    Args:
        ledger: Where spending is kept; all processes that share it share the limits.
        limits: What calls may cost, of all models together and of single ones.
        run: The run's id.
        on_unknown_price: Whether a call of unknown price is refused, or sent unheld.
        origin: Where the limits were set.
        assumed: Which of the limits nobody set: what has no known price passes them, with a warning.
        lease: Seconds after which a call that neither settled nor released is taken for dead; more than any call lasts.
        clock: The time, the same for all processes.
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
        lease: float = LEASE,
        clock: Clock | None = None,
    ) -> None:
        self._ledger = ledger
        self._limits = limits
        self._run = run
        self._on_unknown_price = on_unknown_price
        self._origin = origin or Origin()
        self._assumed = assumed
        self._lease = lease
        self._clock = clock or Clock()

    def reserve(
        self,
        *,
        model: str,
        estimate: Decimal | None,
        test: str | None = None,
        because: str = "",
        timeout: float | None = None,
        within: Collection[str] = (),
    ) -> Reservation:
        """Set aside what a call could cost, before it is sent.

        Args:
            model: As DSPy names it.
            estimate: USD at worst, see `lmtest.money.prices.worst_case`; None where the price is unknown.
            test: The test that calls.
            because: Why it is that much, where nobody asked for it: ``no max_tokens is set, so …``.
            timeout: Seconds it may wait for calls under way to settle; 0 for not at all, None for as long as it takes.
            within: Ids of reservations that settle only after this call, so that waiting for them is in vain.

        Raises:
            BudgetExceeded: What is spent leaves too little, or nobody is under way who could give something back in
                time; or the price is unknown and a limit is set. Nothing was sent.
        """
        reservation = self._asked(model, estimate, test, because)
        wait(self._tries(reservation, timeout, within), self._clock)
        return reservation

    async def reserve_async(
        self,
        *,
        model: str,
        estimate: Decimal | None,
        test: str | None = None,
        because: str = "",
        timeout: float | None = None,  # noqa: ASYNC109 - a refusal, no cancellation
        within: Collection[str] = (),
    ) -> Reservation:
        """Set aside what a call could cost as `reserve` does, leaving the event loop free."""
        reservation = self._asked(model, estimate, test, because)
        try:
            await wait_async(self._tries(reservation, timeout, within), self._clock)
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.to_thread(reservation.release))
            raise
        return reservation

    def _asked(self, model: str, estimate: Decimal | None, test: str | None, because: str) -> Reservation:
        if estimate is None and any(name.startswith("usd_") for name in self._assumed):
            _warn_once(model)
        unheld = estimate is None and self._on_unknown_price == "allow"
        return Reservation(
            ledger=self._ledger,
            id=claimed(uuid.uuid4().hex),
            run=self._run,
            test=test,
            model=model,
            estimate=estimate,
            held=not unheld and bool(self._held(model, test, priced=estimate is not None)),
            because=because,
        )

    def _tries(self, asked: Reservation, timeout: float | None, within: Collection[str]) -> Iterator[float]:
        if asked.held:
            yield from looks(lambda _: self._book(asked, within), self._clock, timeout)

    def _book(self, asked: Reservation, within: Collection[str]) -> BudgetExceeded | None:
        """Set it aside, or say what keeps it from fitting while others are under way."""
        now = int(self._clock.now() * SECOND)
        held = self._held(asked.model, asked.test, priced=asked.estimate is not None)
        with self._ledger.database.writing() as connection:
            connection.execute("DELETE FROM reservation WHERE expires <= ?", (now,))
            shorten_leases(connection, "reservation", now, self._lease)
            used = [(each, _used(connection, each, now)) for each in held]
            refusals = [_refusal(each, asked, its, origin=self._origin) for each, its in used]
            for refusal, (each, its) in zip(refusals, used, strict=True):
                if refusal is not None and not _may_fit_later(each, asked, its, within):
                    raise refusal
            if refusal := next(filter(None, refusals), None):
                return refusal
            expires = now + int(self._lease * SECOND)
            connection.executemany(
                "INSERT INTO reservation (id, period, model, usd, expires) VALUES (?, ?, ?, ?, ?)",
                [(asked.id, each.period, each.model, to_pico(asked.estimate), expires) for each in held],
            )
        return None

    def left(self, *, model: str, test: str | None = None) -> Decimal | None:
        """USD that calls to a model may still cost: the least that any limit leaves, and never below 0.

        What calls under way have set aside counts as spent.

        Args:
            model: As DSPy names it.
            test: The test that calls.

        Returns:
            None where no limit holds such a call.
        """
        held = self._held(model, test)
        if not held:
            return None
        now = int(self._clock.now() * SECOND)
        with self._ledger.database.reading() as connection:
            used = [0 if connection is None else _used(connection, each, now).all for each in held]
        return max(Decimal(0), min(each.limit - to_usd(its) for each, its in zip(held, used, strict=True)))

    def _held(self, model: str, test: str | None, *, priced: bool = True) -> list[_Held]:
        limits = self._limits if priced else self._limits.without(self._assumed)
        named = periods(time=datetime.fromtimestamp(self._clock.now(), UTC), run=self._run, test=test)
        return [
            _Held(name=name, period=period, model=scope, limit=limit, assumed=not scope and name in self._assumed)
            for scope, its in limits.holding(model)
            for name, period in named.items()
            if (limit := its.held(name)) is not None
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reservation:
    """What one call has set aside. Settle it or release it; either may be done twice.

    Attributes:
        ledger: Where it is kept.
        id: Its own name.
        run: The run that calls.
        test: The test that calls.
        model: The model to be called.
        estimate: USD the call could cost; None where the price is unknown.
        held: Whether any limit holds it; where none does, nothing is set aside.
        because: Why the estimate is what it is, where the caller asked for no such thing.
    """

    ledger: Ledger
    id: str
    run: str
    test: str | None
    model: str
    estimate: Decimal | None
    held: bool
    because: str = ""

    def settle(self, *rows: LedgerRow) -> None:
        """Give back what was set aside and write down what was spent, in one transaction.

        A row whose cost is unknown is charged to the budget at the estimate, the worst that it can have been.

        Args:
            rows: The call's row; several where the provider was asked more than once. They are entered under the
                reservation's run, test and model, whatever they say, so that the budget cannot miss them.
        """
        ours = [replace(row, run=self.run, test=self.test, model=self.model) for row in rows]
        with self.ledger.database.writing() as connection:
            connection.execute("DELETE FROM reservation WHERE id = ?", (self.id,))
            self.ledger.append_in(connection, ours, at_most=self.estimate)

    def release(self) -> None:
        """Give back what was set aside: the call was not sent, or the provider charges nothing for it."""
        if self.held:
            with self.ledger.database.writing() as connection:
                connection.execute("DELETE FROM reservation WHERE id = ?", (self.id,))


@dataclass(frozen=True, slots=True)
class _Used:
    """Picodollars of a limit that are spent, and that each call has reserved whose lease has not ended."""

    spent: int
    reserved: dict[str, int]

    @property
    def all(self) -> int:
        return self.spent + sum(self.reserved.values())


def _used(connection: Connection, held: _Held, now: int) -> _Used:
    where = (held.period, held.model)
    (spent,) = connection.execute(
        "SELECT CAST(coalesce(sum(usd), 0) AS BIGINT) FROM spend WHERE period = ? AND model = ?", where
    ).fetchone()
    reserved = connection.execute(
        "SELECT id, usd FROM reservation WHERE period = ? AND model = ? AND expires > ?", (*where, now)
    ).fetchall()
    return _Used(spent, dict(reserved))


def _may_fit_later(held: _Held, asked: Reservation, used: _Used, within: Collection[str]) -> bool:
    """Whether it would fit if all who can had given back what they reserved."""
    if asked.estimate is None:
        return False
    stays = sum(usd for id_, usd in used.reserved.items() if id_ in within or has_died(id_))
    return used.spent + stays + to_pico(asked.estimate) <= to_pico(held.limit)


def _refusal(held: _Held, asked: Reservation, used: _Used, *, origin: Origin) -> BudgetExceeded | None:
    model, estimate = asked.model, asked.estimate
    if estimate is not None and used.all + to_pico(estimate) <= to_pico(held.limit):
        return None
    spent, reserved = _dollars(to_usd(used.spent)), _dollars(to_usd(used.all - used.spent))
    dead = sum(usd for id_, usd in used.reserved.items() if has_died(id_))
    of_the_dead = f", {_dollars(to_usd(dead))} of it until their lease ends, for their process has died" if dead else ""
    whose = f"{held.name} for {held.model!r}" if held.model else held.name
    limit = _dollars(held.limit) + (" by default" if held.assumed else "")
    return BudgetExceeded(
        f"The call to {model!r} {_could(asked)} {whose} is {limit}: {spent} is spent and {reserved} "
        f"reserved by calls under way{of_the_dead}. It was not sent. {_mend(held, asked, origin)}.",
        spent=to_usd(used.all),
        limit=held.limit,
        estimate=estimate,
    )


def _could(asked: Reservation) -> str:
    """What was asked for, up to the limit that refuses it."""
    if asked.estimate is None:
        return "has no known price, and"
    if asked.because:
        return f"could cost up to {_dollars(asked.estimate)}: {asked.because}."
    return f"could cost {_dollars(asked.estimate)}, and"


def _mend(held: _Held, asked: Reservation, origin: Origin) -> str:
    if asked.estimate is None:
        return "Name its price in LMTEST_PRICES, or set on_unknown_price to 'allow' to send it unheld"
    lifted = " (or lift it: none)" if held.assumed else ""
    raised = f"{held.name} ({origin.told(held.name, held.limit, model=held.model)}){lifted}"
    if asked.because:
        return f"Set max_tokens, or raise {raised}, or answer from cassettes: LM_MODE=replay"
    return f"Raise {raised}, lower max_tokens, or answer from cassettes: LM_MODE=replay"


def _warn_once(model: str) -> None:
    if model not in _warned:
        _warned.add(model)
        told = "The default budget does not hold calls to %r: their price is unknown. Name it in LMTEST_PRICES."
        _LOG.warning(told, model)


def _dollars(usd: Decimal) -> str:
    return f"${usd:f}"
