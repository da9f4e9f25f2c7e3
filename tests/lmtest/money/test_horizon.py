"""What a clock that was ahead once has left in a ledger keeps nobody waiting for it."""

from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest

from lmtest.errors import BudgetExceeded, RateLimited
from lmtest.money.horizon import SECOND
from lmtest.money.limits import Limits
from lmtest.money.queue import Queue
from lmtest.money.rate import Rate
from lmtest.money.slots import Slots

from .calls import Spender, asked, held

AHEAD = SimpleNamespace(now=datetime(2035, 1, 1, tzinfo=UTC).timestamp)
CENT = Decimal("0.01")
TEN_A_MINUTE = Rate(name="requests_per_minute", permits=10)


def penalise(ledger, clock, seconds):
    with ledger.database.writing() as connection:
        TEN_A_MINUTE.penalise(connection, seconds, int(clock.now() * SECOND))


def call(ledger, clock, **options):
    with held(ledger, TEN_A_MINUTE, clock, **options):
        pass


def test_a_place_booked_in_another_time_is_given_up_and_said_once(ledger, clock, caplog):
    call(ledger, AHEAD)

    call(ledger, clock, timeout=0)
    call(ledger, clock)

    assert clock.passed == pytest.approx(6)
    booked = "In the ledger 'requests_per_minute' was booked up to 2035-01-01, by a clock that was ahead."
    assert caplog.messages[0] == f"{booked} It counts from now again."
    assert len([said for said in caplog.messages if "ahead" in said]) == 1


def test_a_providers_word_that_was_heard_in_another_time_holds_nobody(ledger, clock):
    penalise(ledger, AHEAD, 60)

    call(ledger, clock, timeout=0)


@pytest.mark.parametrize("seconds", [43_200, 99_999_999_999, 1e300, float("inf")])
def test_a_provider_holds_calls_for_ten_minutes_at_most(ledger, clock, seconds):
    penalise(ledger, clock, seconds)

    with pytest.raises(RateLimited, match="asked everybody to wait until 12:10:00 UTC") as caught:
        call(ledger, clock, timeout=0)
    assert caught.value.retry_after == pytest.approx(600)


def test_a_slot_taken_in_another_time_is_free_when_a_lease_from_now_on_ends(ledger, clock, caplog):
    limit = Slots(name="max_concurrency", limit=1)
    Queue(ledger, clock=AHEAD).enter(asked(estimate=Decimal(0), id="another-machine/1@1/a"), [limit])

    with held(ledger, limit, clock):
        assert clock.passed == pytest.approx(900, abs=0.3)
    said = "In the ledger a call was under way until 2035-01-01, by a clock that was ahead."
    assert caplog.messages[0].startswith(said)


def test_what_was_held_in_another_time_is_booked_when_a_lease_from_now_on_ends(ledger, clock):
    elsewhere = asked(estimate=CENT, id="another-machine/1@1/a")
    ahead = Spender(ledger, Limits(usd_per_run=CENT), clock=AHEAD)
    Queue(ledger, clock=AHEAD).enter(elsewhere, ahead.budget.holding(elsewhere))

    with pytest.raises(BudgetExceeded, match=r"\$0.01 is spent and \$0 reserved"):
        Spender(ledger, Limits(usd_per_run=CENT), clock=clock).reserve(model="m", estimate=CENT)
    assert clock.passed == pytest.approx(900, abs=0.3)
