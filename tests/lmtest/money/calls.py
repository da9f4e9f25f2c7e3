"""Calls as the tests of money make them: let through by a queue, then settled or released."""

import contextlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from lmtest.money.budget import Budget
from lmtest.money.ledger import Ledger
from lmtest.money.queue import Asked, Queue
from lmtest.money.row import LedgerRow
from lmtest.money.under_way import UNSETTLED
from lmtest.money.waiting import Clock

NOVEMBER = datetime(2026, 11, 20, 12, tzinfo=UTC)


def row(cost, *, time=NOVEMBER, model="gemini/gemini-2.5-flash", **said):
    return LedgerRow(time=time, model=model, mode="record", hit="live", cost=cost, **said)


def asked(model="m", *, run="r", test=None, time=NOVEMBER, **said):
    return Asked(model=model, row=row(None, time=time, model=model, run=run, test=test, outcome=UNSETTLED), **said)


@dataclass
class Call:
    """A call that was let through."""

    ledger: Ledger
    asked: Asked
    limits: list

    @property
    def id(self):
        return self.asked.id

    def settle(self, row):
        ours = self.asked.row
        row = replace(row, run=ours.run, test=ours.test, model=ours.model)
        self.ledger.settle(self.id, row, at_most=self.asked.estimate)
        self._ring()

    def release(self):
        self.ledger.release(self.id)
        self._ring()

    def _ring(self):
        self.ledger.database.line.ring([limit.name for limit in self.limits])


class Spender:
    """Whoever asks for calls under a budget."""

    def __init__(self, ledger, limits, *, run="r", clock=None, **options):
        self.ledger, self.clock, self.run = ledger, clock or Clock(), run
        self.budget = Budget(ledger, limits, run=run, **options)

    def _asked(self, model, estimate, test=None, within=()):
        time = datetime.fromtimestamp(self.clock.now(), UTC)
        return asked(model, run=self.run, test=test, time=time, estimate=estimate, within=frozenset(within))

    def reserve(self, *, model, estimate, timeout=None, **said):
        call = self._asked(model, estimate, **said)
        limits = self.budget.holding(call)
        Queue(self.ledger, clock=self.clock).enter(call, limits, timeout=timeout)
        return Call(self.ledger, call, limits)

    async def reserve_async(self, *, model, estimate, timeout=None, **said):  # noqa: ASYNC109 - a refusal
        call = self._asked(model, estimate, **said)
        limits = self.budget.holding(call)
        await Queue(self.ledger, clock=self.clock).enter_async(call, limits, timeout=timeout)
        return Call(self.ledger, call, limits)

    def left(self, *, model, test=None):
        return self.budget.left(model=model, test=test, now=self.clock.now())


@contextlib.contextmanager
def held(ledger, limit, clock, *, timeout=None):
    """Let a call through that a limit holds, for the length of the block."""
    call = asked(estimate=Decimal(0), time=datetime.fromtimestamp(clock.now(), UTC))
    Queue(ledger, clock=clock).enter(call, [limit], timeout=timeout)
    try:
        yield
    finally:
        ledger.release(call.id)
        ledger.database.line.ring([limit.name])


@contextlib.asynccontextmanager
async def held_async(ledger, limit, clock, *, timeout=None):  # noqa: ASYNC109 - a refusal, no cancellation
    call = asked(estimate=Decimal(0), time=datetime.fromtimestamp(clock.now(), UTC))
    await Queue(ledger, clock=clock).enter_async(call, [limit], timeout=timeout)
    try:
        yield
    finally:
        ledger.release(call.id)
        ledger.database.line.ring([limit.name])
