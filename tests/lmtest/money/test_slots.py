"""How many calls are under way at once."""

from __future__ import annotations

import asyncio
import multiprocessing
from types import SimpleNamespace

import pytest

from lmtest.errors import RateLimited
from lmtest.money.ledger import Ledger
from lmtest.money.slots import Slots


def slots(database, clock, **options):
    return Slots(database, "max_concurrency", clock=clock, **options)


def test_no_more_than_the_limit_are_held_at_once(database, clock):
    limit = slots(database, clock, limit=2)

    with (
        limit.held(timeout=0),
        limit.held(timeout=0),
        pytest.raises(RateLimited, match="is 2 at once"),
        limit.held(timeout=0),
    ):
        pass


def test_a_slot_is_free_after_its_block(database, clock):
    limit = slots(database, clock, limit=1)

    with pytest.raises(KeyError), limit.held(timeout=0):
        raise KeyError
    with limit.held(timeout=0):
        pass


def test_a_refusal_comes_when_the_wait_is_over_and_says_when_a_slot_is_free_at_the_latest(database, clock):
    limit = slots(database, clock, limit=1, lease=60)

    with limit.held(), pytest.raises(RateLimited) as caught, limit.held(timeout=2):
        pass

    assert clock.passed == pytest.approx(2)
    assert caught.value.retry_after == pytest.approx(58)


def test_a_slot_whose_holder_died_is_free_when_its_lease_ends(database, clock, place):
    limit = slots(database, clock, limit=1, lease=60)
    context = multiprocessing.get_context("spawn")
    died = context.Process(target=hold_and_die, args=(place,))
    died.start()
    died.join(60)
    assert died.exitcode == -9

    with limit.held():
        assert clock.passed == pytest.approx(60, abs=0.3)


def hold_and_die(place):
    import os
    import signal

    held = Slots(
        Ledger(place).database, "max_concurrency", limit=1, lease=60, clock=SimpleNamespace(now=lambda: 1_795_176_000.0)
    )
    with held.held():
        os.kill(os.getpid(), signal.SIGKILL)


def test_slots_of_other_names_are_their_own(database, clock):

    with Slots(database, "a", limit=1, clock=clock).held(), Slots(database, "b", limit=1, clock=clock).held(timeout=0):
        pass


@pytest.mark.asyncio
async def test_tasks_wait_for_each_other(database):
    limit = Slots(database, "max_concurrency", limit=2)
    inside, most = 0, 0
    pair = asyncio.Barrier(2)  # nobody leaves alone

    async def call():
        nonlocal inside, most
        async with limit.held_async():
            inside += 1
            most = max(most, inside)
            await pair.wait()
            inside -= 1

    await asyncio.wait_for(asyncio.gather(*(call() for _ in range(6))), 60)

    assert most == 2


@pytest.mark.asyncio
async def test_a_cancelled_task_gives_its_slot_back(database):
    limit = Slots(database, "max_concurrency", limit=1)

    async def hold():
        async with limit.held_async():
            await asyncio.Event().wait()

    for turns in range(12):  # cancelled before, while and after it takes the slot
        holder = asyncio.ensure_future(hold())
        for _ in range(turns):
            await asyncio.sleep(0)
        holder.cancel()
        with pytest.raises(asyncio.CancelledError):
            await holder

    async with limit.held_async(timeout=0):
        pass
