"""How many calls are under way at once."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from decimal import Decimal
from types import SimpleNamespace

import pytest

from lmtest.errors import RateLimited
from lmtest.money.budget import Budget
from lmtest.money.ledger import Ledger
from lmtest.money.limits import Limits
from lmtest.money.owner import claimed
from lmtest.money.slots import Slots

CENT = Decimal("0.01")


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


def test_the_slot_of_a_killed_process_is_free_at_once_and_what_its_call_may_cost_stays_reserved(database, clock, place):
    killed(hold_and_die, place)

    with slots(database, clock, limit=1).held(timeout=0):
        pass
    assert budget(Ledger(place), clock).left(model="m") == CENT / 2


def test_a_slot_is_free_too_while_nobody_has_buried_the_process_that_held_it(database, clock, place):
    died = multiprocessing.get_context("spawn").Process(target=hold_and_die, args=(place,))
    died.start()
    os.waitid(os.P_PID, died.pid, os.WEXITED | os.WNOWAIT)

    with slots(database, clock, limit=1).held(timeout=0):
        pass
    died.join()


def test_a_slot_is_free_at_once_when_another_process_has_the_number_of_the_one_that_held_it(database, clock):
    machine, process, name = claimed("a").split("/")
    assert process.partition("@")[0] == str(os.getpid())
    take(database, f"{machine}/{os.getpid()}@1/{name}", clock)

    with slots(database, clock, limit=1).held(timeout=0):
        pass


def test_a_living_process_keeps_its_slot(database, clock, place):
    context = multiprocessing.get_context("spawn")
    held, end = context.Event(), context.Event()
    living = context.Process(target=hold_until, args=(place, held, end))
    living.start()
    assert held.wait(60)

    with pytest.raises(RateLimited), slots(database, clock, limit=1).held(timeout=1):
        pass
    end.set()
    living.join(60)


def test_a_slot_of_another_machine_is_free_when_its_lease_ends(database, clock):
    take(database, "another-machine/1@1/a", clock)

    with slots(database, clock, limit=1).held():
        assert clock.passed == pytest.approx(60, abs=0.3)


def take(database, slot, clock):
    with database.writing() as connection:
        row = ("max_concurrency", slot, int((clock.now() + 60) * 1e9))
        connection.execute("INSERT INTO slot (name, id, expires) VALUES (?, ?, ?)", row)


def budget(ledger, clock):
    return Budget(ledger, Limits(usd_per_run=CENT), run="r", clock=clock)


def killed(target, place):
    died = multiprocessing.get_context("spawn").Process(target=target, args=(place,))
    died.start()
    died.join(60)
    assert died.exitcode == -9


def hold_and_die(place):
    ledger, clock = Ledger(place), SimpleNamespace(now=lambda: 1_795_176_000.0)
    with slots(ledger.database, clock, limit=1).held():
        budget(ledger, clock).reserve(model="m", estimate=CENT / 2)
        os.kill(os.getpid(), signal.SIGKILL)


def hold_until(place, held, end):
    with slots(Ledger(place).database, SimpleNamespace(now=lambda: 1_795_176_000.0), limit=1).held():
        held.set()
        end.wait(60)


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
