"""Who is let through, and when: first come, first served, each call when all that holds it has room."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal

import pytest

from lmtest.errors import BudgetExceeded, RateLimited
from lmtest.money.limits import Limits
from lmtest.money.queue import Asked, Queue
from lmtest.money.rate import Rate
from lmtest.money.slots import Slots
from lmtest.money.waiting import Clock

from .calls import Call, Spender, asked, held

CENT = Decimal("0.01")
ONE = Slots(name="max_concurrency", limit=1)
A_MINUTE = Rate(name="requests_per_minute m", permits=1)


class UntilRung(Clock):
    """Time that passes, and sleep that a bell alone ends."""

    def sleep(self, _seconds, bell):
        bell.wait(60)


def let_through(ledger, *limits, clock=None, timeout=None, **said):
    call = asked(**{"estimate": Decimal(0), **said})
    Queue(ledger, clock=clock).enter(call, limits, timeout=timeout)
    return Call(ledger, call, list(limits))


def waiting(ledger):
    """What is waited for, in order of arrival."""
    with ledger.database.reading() as connection:
        return connection.execute("SELECT name, id FROM waiting ORDER BY ticket").fetchall() if connection else []


async def somebody_waits(ledger):
    """Not before: what waits is in the ledger, and in no event of ours."""
    while not waiting(ledger):  # noqa: ASYNC110 - as above
        await asyncio.sleep(0)


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "not within a minute"


@contextmanager
def threads():
    with ThreadPoolExecutor(20) as pool:
        yield pool


def test_a_call_that_waits_for_money_takes_no_turn_at_a_rate(ledger):
    spender = Spender(ledger, Limits(usd_per_run=CENT))
    first = spender.reserve(model="m", estimate=CENT)
    call = asked(estimate=CENT)
    limits = [*spender.budget.holding(call), A_MINUTE]
    with threads() as pool:
        second = pool.submit(Queue(ledger, clock=UntilRung()).enter, call, limits)
        until(lambda: waiting(ledger))
        with ledger.database.reading() as connection:
            assert connection.execute("SELECT count(*) FROM rate").fetchone() == (0,)
        first.release()
        second.result(60)


def test_a_call_that_waits_for_its_turn_at_a_rate_holds_no_place(ledger):
    let_through(ledger, A_MINUTE).release()
    with threads() as pool:
        waits = pool.submit(let_through, ledger, A_MINUTE, ONE, timeout=60.0)
        until(lambda: waiting(ledger))

        let_through(ledger, ONE, timeout=0).release()

        with ledger.database.writing() as connection:
            connection.execute("UPDATE rate SET due = 0")
        ledger.database.line.ring([A_MINUTE.name])
        waits.result(60)


def test_calls_are_let_through_in_the_order_they_came_and_woken_one_by_one(ledger):
    first, order = let_through(ledger, ONE), []

    def wait_and_call(number):
        call = let_through(ledger, ONE, clock=UntilRung())
        order.append(number)
        call.release()

    with threads() as pool:
        calls = []
        for number in range(8):
            calls.append(pool.submit(wait_and_call, number))
            until(lambda number=number: len(waiting(ledger)) == number + 1)
        first.release()
        for call in calls:
            call.result(60)

    assert order == list(range(8))


def test_nobody_who_wants_less_passes_one_who_waits_for_more(ledger):
    spender = Spender(ledger, Limits(usd_per_run=CENT), clock=UntilRung())
    first = spender.reserve(model="m", estimate=CENT / 2)
    with threads() as pool:
        much = pool.submit(spender.reserve, model="m", estimate=CENT)
        until(lambda: waiting(ledger))
        with pytest.raises(BudgetExceeded):
            spender.reserve(model="m", estimate=CENT / 10, timeout=0)
        first.release()
        much.result(60)


def test_a_session_that_waits_by_a_limit_of_its_own_keeps_no_other_waiting(ledger):
    host, session = (Spender(ledger, Limits(usd_per_run=usd), clock=UntilRung()) for usd in (CENT, CENT / 2))
    first = host.reserve(model="m", estimate=CENT / 2)
    with threads() as pool:
        waits = pool.submit(session.reserve, model="m", estimate=CENT / 4)
        until(lambda: waiting(ledger))

        host.reserve(model="m", estimate=CENT / 4, timeout=0).release()

        first.release()
        waits.result(60)


def test_a_call_made_in_the_midst_of_another_waits_for_nobody_who_waits_for_that_one(ledger):
    spender = Spender(ledger, Limits(usd_per_run=CENT), clock=UntilRung())
    stream = spender.reserve(model="m", estimate=CENT / 2)
    with threads() as pool:
        much = pool.submit(spender.reserve, model="m", estimate=CENT)
        until(lambda: waiting(ledger))

        spender.reserve(model="m", estimate=CENT / 10, within=[stream.id], timeout=0).release()

        stream.release()
        much.result(60)


def test_one_that_gave_up_makes_room_for_those_behind_it(ledger):
    first = let_through(ledger, ONE)
    with threads() as pool:
        impatient = pool.submit(let_through, ledger, ONE, timeout=0.2)
        until(lambda: len(waiting(ledger)) == 1)
        patient = pool.submit(let_through, ledger, ONE, clock=UntilRung())
        with pytest.raises(RateLimited):
            impatient.result(60)
        until(lambda: len(waiting(ledger)) == 1)
        first.release()
        patient.result(60)


def test_whoever_waited_and_died_is_passed(ledger, clock):
    first = let_through(ledger, ONE)
    dead = f"{first.id.split('/')[0]}/{2**22 + 1}@1/dead"
    with ledger.database.writing() as connection:
        row = (ONE.name, dead, 1, 1, 2**62)
        connection.execute("INSERT INTO waiting (name, id, ticket, weight, expires) VALUES (?, ?, ?, ?, ?)", row)
    first.release()

    let_through(ledger, ONE, timeout=0)

    assert waiting(ledger) == []


@pytest.mark.asyncio
async def test_a_task_that_is_cancelled_while_it_waits_leaves_nothing(ledger):
    first = let_through(ledger, ONE)
    task = asyncio.ensure_future(Queue(ledger).enter_async(asked(estimate=Decimal(0)), [ONE]))
    await somebody_waits(ledger)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert waiting(ledger) == []
    first.release()
    let_through(ledger, ONE, timeout=0)


@pytest.mark.asyncio
async def test_tasks_are_woken_as_threads_are(ledger):
    class UntilRungTask(Clock):
        async def sleep_async(self, _seconds, bell):
            await bell.wait(60)

    first, second = let_through(ledger, ONE), asked(estimate=Decimal(0))
    task = asyncio.ensure_future(Queue(ledger, clock=UntilRungTask()).enter_async(second, [ONE]))
    await somebody_waits(ledger)
    first.release()
    await asyncio.wait_for(task, 50)


def test_a_long_wait_is_said_with_its_reason_and_its_end(ledger, clock, caplog):
    rate = Rate(name="requests_per_minute", permits=6)
    with held(ledger, rate, clock):
        pass
    with held(ledger, rate, clock, timeout=60):
        pass

    waits = "A call to m waits until 12:00:10 UTC, and gives up at 12:01:00 UTC (max_wait)"
    assert caplog.messages == [f"{waits}: 'requests_per_minute' is 6 in 60 s."]


def test_a_short_wait_is_not_said(ledger, clock, caplog):
    rate = Rate(name="requests_per_minute", permits=30)
    for _ in range(2):
        with held(ledger, rate, clock):
            pass

    assert clock.passed == pytest.approx(2)
    assert caplog.messages == []


def test_threads_that_call_again_and_again_are_served_evenly(ledger):
    served, spread, two = [0] * 8, [], Slots(name="max_concurrency", limit=2)

    def others_wait():
        """All who have calls left, but for the two that are under way."""
        return len(waiting(ledger)) >= sum(count < 5 for count in served) - 2

    def call_again_and_again(number):
        for _ in range(5):
            call = let_through(ledger, two)
            until(others_wait)
            served[number] += 1
            spread.append(max(served) - min(served))
            call.release()

    with threads() as pool:
        for call in [pool.submit(call_again_and_again, number) for number in range(8)]:
            call.result(100)

    assert served == [5] * 8
    assert max(spread) <= 2


def test_a_call_is_let_through_by_all_that_holds_it_or_takes_nothing(ledger, clock):
    let_through(ledger, ONE, clock=clock)

    with pytest.raises(RateLimited):
        Queue(ledger, clock=clock).enter(asked(estimate=Decimal(0)), [A_MINUTE, ONE], timeout=0)
    let_through(ledger, A_MINUTE, clock=clock, timeout=0)


def test_a_call_is_named_by_itself():
    assert asked().id != asked().id
    assert isinstance(asked(), Asked)
