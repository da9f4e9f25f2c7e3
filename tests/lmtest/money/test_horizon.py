"""What a clock that was ahead once has left in a ledger keeps nobody waiting for it."""

from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest

from lmtest.errors import BudgetExceeded, RateLimited
from lmtest.money.budget import Budget
from lmtest.money.limits import Limits
from lmtest.money.rate import Rate
from lmtest.money.slots import Slots

AHEAD = SimpleNamespace(now=datetime(2035, 1, 1, tzinfo=UTC).timestamp)
CENT = Decimal("0.01")


def rate(database, clock):
    return Rate(database, "requests_per_minute", permits=10, clock=clock)


def test_a_place_booked_in_another_time_is_given_up_and_said_once(database, clock, caplog):
    rate(database, AHEAD).acquire()

    rate(database, clock).acquire(timeout=0)
    rate(database, clock).acquire()

    assert clock.passed == pytest.approx(6)
    assert caplog.messages == [
        (
            "In the ledger 'requests_per_minute' was booked up to 2035-01-01, by a clock that was ahead. "
            "It counts from now again."
        )
    ]


def test_a_providers_word_that_was_heard_in_another_time_holds_nobody(database, clock):
    rate(database, AHEAD).penalise(60)

    rate(database, clock).acquire(timeout=0)


def test_a_queue_of_many_calls_is_no_clock_that_was_ahead(database, clock, caplog):
    limit = Rate(database, "tokens_per_minute", permits=10, clock=clock)
    for _ in range(100):
        next(limit._turns(10, None), None)

    with pytest.raises(RateLimited) as caught:
        limit.acquire(timeout=0)
    assert caught.value.retry_after == pytest.approx(6_000)
    assert not caplog.messages


def test_a_provider_holds_calls_for_a_day_at_most(database, clock):
    rate(database, clock).penalise(1e9)

    with pytest.raises(RateLimited) as caught:
        rate(database, clock).acquire(timeout=0)
    assert caught.value.retry_after == pytest.approx(86_400)


def test_a_slot_taken_in_another_time_is_free_when_a_lease_from_now_on_ends(database, clock, caplog):
    with database.writing() as connection:
        row = ("max_concurrency", "another-machine/1@1/a", int(AHEAD.now() * 1e9))
        connection.execute("INSERT INTO slot (name, id, expires) VALUES (?, ?, ?)", row)

    with Slots(database, "max_concurrency", limit=1, clock=clock).held():
        assert clock.passed == pytest.approx(900, abs=0.3)
    [said] = caplog.messages
    assert said.startswith("In the ledger a slot of a call was given until 2035-01-01, by a clock that was ahead.")


def test_a_reservation_of_another_time_comes_back_when_a_lease_from_now_on_ends(ledger, clock):
    limits, asked = Limits(usd_per_run=CENT), {"model": "m", "estimate": CENT}
    Budget(ledger, limits, run="r", clock=AHEAD).reserve(**asked)

    now = Budget(ledger, limits, run="r", clock=clock)
    with pytest.raises(BudgetExceeded):
        now.reserve(**asked, timeout=0)
    clock.sleep(901)
    now.reserve(**asked, timeout=0)
