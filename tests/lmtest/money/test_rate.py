"""Rates: so many permits a minute, whoever asks."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmtest.errors import RateLimited
from lmtest.money.horizon import SECOND
from lmtest.money.ledger import Ledger
from lmtest.money.rate import Rate, forgive
from lmtest.money.waiting import Clock

from .calls import held, held_async


class Limited:
    """A rate that whoever calls is held by."""

    def __init__(self, ledger, clock, name="rpm", **options):
        self.ledger, self.clock, self.name = ledger, clock, name
        self.options = {"permits": 10, "per": 60.0, **options}

    def acquire(self, cost=1, *, timeout=None):
        with held(self.ledger, self._rate(cost), self.clock, timeout=timeout):
            pass

    async def acquire_async(self, cost=1, *, timeout=None):  # noqa: ASYNC109 - a refusal, no cancellation
        async with held_async(self.ledger, self._rate(cost), self.clock, timeout=timeout):
            pass

    def correct(self, booked, used):
        with self.ledger.database.writing() as connection:
            self._rate(booked).correct(connection, used)

    def penalise(self, seconds):
        with self.ledger.database.writing() as connection:
            self._rate().penalise(connection, seconds, int(self.clock.now() * SECOND))

    def forgive(self, *, sent):
        with self.ledger.database.writing() as connection:
            forgive(connection, [self.name], sent=int(sent * SECOND), now=int(self.clock.now() * SECOND))

    def _rate(self, cost=1):
        return Rate(name=self.name, cost=cost, **self.options)


def rate(ledger, clock, **options):
    return Limited(ledger, clock, **options)


def granted(limit, count, **options):
    """How many of so many are granted without waiting."""
    total = 0
    for _ in range(count):
        try:
            limit.acquire(timeout=0, **options)
        except RateLimited:
            continue
        total += 1
    return total


def test_permits_are_evenly_spaced(ledger, clock):
    limit = rate(ledger, clock)

    at = []
    for _ in range(4):
        limit.acquire()
        at.append(clock.passed)

    assert at == pytest.approx([0, 6, 12, 18], abs=1e-5)


def test_a_burst_goes_through_at_once_and_then_waits(ledger, clock):
    limit = rate(ledger, clock, burst=3)

    assert granted(limit, 10) == 3
    clock.sleep(6)
    assert granted(limit, 10) == 1
    clock.sleep(3600)
    assert granted(limit, 10) == 3


def test_a_call_that_may_not_wait_so_long_is_refused_and_takes_nothing(ledger, clock):
    limit = rate(ledger, clock)
    limit.acquire()

    with pytest.raises(RateLimited, match=r"'rpm' is 10 in 60 s, and there is no room for 6\.00 s") as caught:
        limit.acquire(timeout=5.9)
    assert caught.value.retry_after == pytest.approx(6)
    assert clock.passed == 0

    limit.acquire(timeout=6)


def test_a_heavy_call_makes_the_next_one_wait(ledger, clock):
    limit = rate(ledger, clock, permits=60_000)
    limit.acquire(5_000)

    limit.acquire(1)

    assert clock.passed == pytest.approx(5)


def test_what_a_call_did_not_use_is_given_back(ledger, clock):
    limit = rate(ledger, clock, permits=60_000)
    limit.acquire(30_000)
    limit.correct(30_000, 2_000)

    limit.acquire(1)

    assert clock.passed == pytest.approx(2)


def test_a_call_that_is_more_than_the_limit_holds_it_for_one_period_until_it_is_known_what_it_used(ledger, clock):
    limit = rate(ledger, clock)
    limit.acquire(65_000)
    limit.acquire(1)
    assert clock.passed == pytest.approx(60)

    limit.acquire(65_000)
    limit.correct(65_000, 20)
    before = clock.passed
    limit.acquire(1)
    assert clock.passed - before == pytest.approx(120)


def test_a_providers_retry_after_holds_everybody(ledger, clock):
    limit = rate(ledger, clock)
    limit.penalise(30)

    with pytest.raises(RateLimited) as caught:
        rate(ledger, clock).acquire(timeout=1)
    assert caught.value.retry_after == pytest.approx(30)


def test_a_penalty_holds_those_who_wait_already(ledger, clock):
    limit = rate(ledger, clock)
    limit.acquire()

    clock.sleep = lambda seconds, _bell: (type(clock).sleep(clock, seconds), clock.passed < 10 and limit.penalise(30))

    rate(ledger, clock).acquire()

    assert clock.passed == pytest.approx(35)  # it was said when five seconds had passed


def test_a_shorter_penalty_does_not_end_a_longer_one(ledger, clock):
    limit = rate(ledger, clock)
    limit.penalise(30)
    limit.penalise(1)

    with pytest.raises(RateLimited) as caught:
        limit.acquire(timeout=0)
    assert caught.value.retry_after == pytest.approx(30)


def test_a_penalty_is_over_when_a_call_that_was_sent_later_is_answered(ledger, clock):
    limit = rate(ledger, clock)
    limit.penalise(30)
    limit.forgive(sent=clock.now() - 1)
    with pytest.raises(RateLimited):
        limit.acquire(timeout=0)

    limit.forgive(sent=clock.now() + 1)
    limit.acquire(timeout=0)


def test_rates_of_other_names_are_their_own(ledger, clock):
    rate(ledger, clock).acquire()

    rate(ledger, clock, name="tpm", permits=1).acquire(timeout=0)


@settings(max_examples=50, deadline=None)
@given(
    permits=st.integers(1, 7),
    burst=st.integers(1, 4),
    pauses=st.lists(st.floats(0, 20), min_size=1, max_size=25),
)
def test_no_minute_has_more_than_it_may(tmp_path_factory, new_clock, permits, burst, pauses):
    clock = new_clock()
    at = []
    with Ledger(tmp_path_factory.mktemp("rate") / "ledger.sqlite3") as ledger:
        limit = rate(ledger, clock, permits=permits, burst=burst)
        for pause in pauses:
            clock.sleep(pause)
            limit.acquire()
            at.append(clock.now())

    a_minute = 60 - 1e-3  # the clock's own resolution, in either direction
    assert all(sum(first <= other < first + a_minute for other in at) <= permits + burst - 1 for first in at)


def take_all(place, barrier, counts):
    with Ledger(place) as ledger:
        limit = rate(ledger, SimpleNamespace(now=lambda: 1_795_176_000.0), permits=3000, burst=3000)
        barrier.wait(60)
        count = 0
        while granted(limit, 1):
            count += 1
        counts.put(count)


def test_four_processes_are_granted_3000_permits_and_never_one_more(place):
    context = multiprocessing.get_context("spawn")
    barrier, counts = context.Barrier(4), context.Queue()
    workers = [context.Process(target=take_all, args=(place, barrier, counts)) for _ in range(4)]
    for worker in workers:
        worker.start()
    found = [counts.get(timeout=100) for _ in workers]
    for worker in workers:
        worker.join(60)

    assert sum(found) == 3000


def test_threads_are_granted_no_more_than_processes(ledger, clock):
    limit = rate(ledger, clock, permits=100, burst=100)
    counts = []
    threads = [threading.Thread(target=lambda: counts.append(granted(limit, 50))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(counts) == 100


@pytest.mark.asyncio
async def test_a_task_waits_as_a_thread_does(ledger, clock):
    limit = rate(ledger, clock)

    await limit.acquire_async()
    await limit.acquire_async()

    assert clock.passed == pytest.approx(6)


@pytest.mark.asyncio
async def test_waiting_leaves_the_event_loop_free(ledger):
    limit = rate(ledger, Clock(), permits=1, per=3600.0)
    await limit.acquire_async()

    waiting = asyncio.ensure_future(limit.acquire_async())
    # A loop that is held would come back from here when the hour is over.
    done, _ = await asyncio.wait([waiting], timeout=0.1)

    assert not done
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.asyncio
async def test_a_refused_task_takes_nothing(ledger, clock):
    limit = rate(ledger, clock)
    await limit.acquire_async()

    with pytest.raises(RateLimited):
        await limit.acquire_async(timeout=1)
    await limit.acquire_async(timeout=6)
