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
from lmtest.money.ledger import Ledger
from lmtest.money.limits import Limits
from lmtest.money.owner import claimed
from lmtest.money.queue import Queue
from lmtest.money.slots import Slots
from lmtest.money.waiting import Clock

from .calls import Spender, asked, held, held_async

CENT = Decimal("0.01")


def slot(ledger, clock, *, name="max_concurrency", limit=1, timeout=None):
    return held(ledger, Slots(name=name, limit=limit), clock, timeout=timeout)


def test_no_more_than_the_limit_are_held_at_once(ledger, clock):
    with (
        slot(ledger, clock, limit=2, timeout=0),
        slot(ledger, clock, limit=2, timeout=0),
        pytest.raises(RateLimited, match="is 2 at once, and 2 are under way"),
        slot(ledger, clock, limit=2, timeout=0),
    ):
        pass


def test_a_slot_is_free_after_its_block(ledger, clock):
    with pytest.raises(KeyError), slot(ledger, clock, timeout=0):
        raise KeyError
    with slot(ledger, clock, timeout=0):
        pass


def test_a_refusal_comes_when_the_wait_is_over_and_says_when_a_slot_is_free_at_the_latest(ledger, clock):
    with slot(ledger, clock), pytest.raises(RateLimited) as caught, slot(ledger, clock, timeout=2):
        pass

    assert clock.passed == pytest.approx(2)
    assert caught.value.retry_after == pytest.approx(898)


def test_who_calls_in_the_midst_of_calls_that_have_every_slot_does_not_wait_for_itself(ledger, clock):
    outer = asked(estimate=Decimal(0))
    limit = Slots(name="max_concurrency", limit=1)
    Queue(ledger, clock=clock).enter(outer, [limit])

    with pytest.raises(RateLimited):
        Queue(ledger, clock=clock).enter(asked(within=frozenset([outer.id])), [limit])
    assert clock.passed == 0


def test_the_slot_of_a_killed_process_is_free_at_once_and_its_call_is_booked_at_its_worst_case(ledger, clock, place):
    killed(hold_and_die, place)

    with slot(ledger, clock, timeout=0):
        pass
    assert [(each.outcome, each.cost, each.run, each.model) for each in ledger] == [("unsettled", None, "r", "m")]
    assert Spender(ledger, Limits(usd_per_run=CENT), clock=clock).left(model="m") == CENT / 2


def test_a_slot_is_free_too_while_nobody_has_buried_the_process_that_held_it(ledger, clock, place):
    died = multiprocessing.get_context("spawn").Process(target=hold_and_die, args=(place,))
    died.start()
    os.waitid(os.P_PID, died.pid, os.WEXITED | os.WNOWAIT)

    with slot(ledger, clock, timeout=0):
        pass
    died.join()


def test_a_slot_is_free_at_once_when_another_process_has_the_number_of_the_one_that_held_it(ledger, clock):
    machine, process, name = claimed("a").split("/")
    assert process.partition("@")[0] == str(os.getpid())
    take(ledger, f"{machine}/{os.getpid()}@1/{name}", clock)

    with slot(ledger, clock, timeout=0):
        pass


def test_a_living_process_keeps_its_slot(ledger, clock, place):
    context = multiprocessing.get_context("spawn")
    held, end = context.Event(), context.Event()
    living = context.Process(target=hold_until, args=(place, held, end))
    living.start()
    assert held.wait(60)

    with pytest.raises(RateLimited), slot(ledger, clock, timeout=1):
        pass
    end.set()
    living.join(60)


def test_a_slot_of_another_machine_is_free_when_its_lease_ends(ledger, clock):
    take(ledger, "another-machine/1@1/a", clock)

    with slot(ledger, clock):
        assert clock.passed == pytest.approx(900, abs=0.3)


def take(ledger, id_, clock):
    Queue(ledger, clock=clock).enter(asked(estimate=Decimal(0), id=id_), [Slots(name="max_concurrency", limit=1)])


def killed(target, place):
    died = multiprocessing.get_context("spawn").Process(target=target, args=(place,))
    died.start()
    died.join(60)
    assert died.exitcode == -9


def hold_and_die(place):
    ledger, clock = Ledger(place), SimpleNamespace(now=lambda: 1_795_176_000.0)
    spender = Spender(ledger, Limits(usd_per_run=CENT), clock=clock)
    call = asked(estimate=CENT / 2)
    Queue(ledger, clock=clock).enter(call, [*spender.budget.holding(call), Slots(name="max_concurrency", limit=1)])
    os.kill(os.getpid(), signal.SIGKILL)


def hold_until(place, held, end):
    with slot(Ledger(place), SimpleNamespace(now=lambda: 1_795_176_000.0)):
        held.set()
        end.wait(60)


def test_slots_of_other_names_are_their_own(ledger, clock):
    with slot(ledger, clock, name="a"), slot(ledger, clock, name="b", timeout=0):
        pass


@pytest.mark.asyncio
async def test_tasks_wait_for_each_other(ledger):
    limit = Slots(name="max_concurrency", limit=2)
    inside, most = 0, 0
    pair = asyncio.Barrier(2)  # nobody leaves alone

    async def call():
        nonlocal inside, most
        async with held_async(ledger, limit, Clock()):
            inside += 1
            most = max(most, inside)
            await pair.wait()
            inside -= 1

    await asyncio.wait_for(asyncio.gather(*(call() for _ in range(6))), 60)

    assert most == 2


@pytest.mark.asyncio
async def test_a_cancelled_task_gives_its_slot_back(ledger):
    limit = Slots(name="max_concurrency", limit=1)

    async def hold():
        async with held_async(ledger, limit, Clock()):
            await asyncio.Event().wait()

    for turns in range(12):  # cancelled before, while and after it takes the slot
        holder = asyncio.ensure_future(hold())
        for _ in range(turns):
            await asyncio.sleep(0)
        holder.cancel()
        with pytest.raises(asyncio.CancelledError):
            await holder

    async with held_async(ledger, limit, Clock(), timeout=0):
        pass
