"""Budgets: no call is sent that could exceed a limit."""

from __future__ import annotations

import multiprocessing
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from lmtest.errors import BudgetExceeded, Stopped
from lmtest.money.ledger import Ledger
from lmtest.money.limits import Limits
from lmtest.money.queue import Queue
from lmtest.money.rate import Rate
from lmtest.money.report import cost_report
from lmtest.money.waiting import Clock

from .calls import NOVEMBER, Spender, asked, row
from .calls import held as let_through

MODEL = "gemini/gemini-2.5-flash"
CENT = Decimal("0.01")


def at(moment):
    return SimpleNamespace(now=moment.timestamp)


def budget(ledger, run="run-1", clock=None, **limits):
    return Spender(ledger, Limits(**limits), run=run, clock=clock or at(NOVEMBER))


def test_a_call_that_fits_is_let_through_and_its_cost_is_kept(ledger):
    reservation = budget(ledger, usd_per_run=CENT).reserve(model=MODEL, estimate=CENT)
    reservation.settle(row(Decimal("0.004")))

    assert [(each.run, each.cost) for each in ledger] == [("run-1", Decimal("0.004"))]


def test_a_call_that_does_not_fit_names_spent_reserved_limit_and_estimate(ledger):
    under_way = budget(ledger, usd_per_run=CENT)
    under_way.reserve(model=MODEL, estimate=Decimal("0.005")).settle(row(Decimal("0.004")))
    under_way.reserve(model=MODEL, estimate=Decimal("0.003"))

    with pytest.raises(BudgetExceeded) as caught:
        under_way.reserve(model=MODEL, estimate=Decimal("0.0042"), timeout=0)

    assert str(caught.value) == (
        "The call to 'gemini/gemini-2.5-flash' could cost $0.0042, and usd_per_run is $0.01: $0.004 is spent "
        "and $0.003 reserved by calls under way. It was not sent. Raise usd_per_run (LMTEST_USD_PER_RUN), lower "
        "max_tokens, or answer from cassettes: LM_MODE=replay."
    )
    error = caught.value
    assert (error.spent, error.limit, error.estimate) == (Decimal("0.007"), CENT, Decimal("0.0042"))


def test_the_last_cent_may_be_spent(ledger):
    held = budget(ledger, usd_per_run=CENT)
    for _ in range(10):
        held.reserve(model=MODEL, estimate=CENT / 10).settle(row(CENT / 10))

    with pytest.raises(BudgetExceeded):
        held.reserve(model=MODEL, estimate=Decimal("0.000000000001"))


def test_what_was_set_aside_and_not_spent_comes_back(ledger):
    held = budget(ledger, usd_per_run=CENT)
    held.reserve(model=MODEL, estimate=CENT).release()
    held.reserve(model=MODEL, estimate=CENT).settle(row(Decimal(0)))

    held.reserve(model=MODEL, estimate=CENT)


def test_what_a_stand_in_answered_counts_at_list_price_as_it_would_live(ledger):
    held = budget(ledger, usd_per_run=CENT)
    held.reserve(model=MODEL, estimate=CENT).settle(
        replace(row(Decimal(0)), provider="stand-in", would_cost=CENT * 3 / 4)
    )

    assert held.left(model=MODEL) == CENT / 4


def test_a_run_does_not_pay_for_another(ledger):
    budget(ledger, run="run-1", usd_per_run=CENT).reserve(model=MODEL, estimate=CENT).settle(row(CENT))

    budget(ledger, run="run-2", usd_per_run=CENT).reserve(model=MODEL, estimate=CENT)


def test_a_month_is_shared_by_all_its_runs_and_keeps_what_was_spent_before_it_was_limited(ledger):
    ledger.append([row(CENT)])

    with pytest.raises(BudgetExceeded, match="usd_per_month"):
        budget(ledger, run="run-2", usd_per_month=CENT).reserve(model=MODEL, estimate=CENT)


def test_what_is_left_is_the_least_that_a_limit_leaves_of_what_is_spent_and_reserved(ledger):
    held = Spender(
        ledger,
        Limits(usd_per_run=CENT, usd_per_month=1, by_model={MODEL: Limits(usd_per_run="0.009")}),
        run="run-1",
        clock=at(NOVEMBER),
    )
    assert [held.left(model=model) for model in (MODEL, "openai/gpt-5")] == [Decimal("0.009"), CENT]
    held.reserve(model=MODEL, estimate=Decimal("0.005")).settle(row(Decimal("0.004")))
    under_way = held.reserve(model=MODEL, estimate=Decimal("0.003"))
    assert [held.left(model=model) for model in (MODEL, "openai/gpt-5")] == [Decimal("0.002"), Decimal("0.003")]
    under_way.release()
    assert held.left(model=MODEL) == Decimal("0.005")
    assert budget(ledger, usd_per_run="0.001").left(model=MODEL) == 0
    assert budget(ledger, max_concurrency=1).left(model=MODEL) is None


def test_a_new_month_begins_with_nothing_spent(ledger):
    ledger.append([row(CENT)])
    december = at(datetime(2026, 12, 1, tzinfo=UTC))

    budget(ledger, clock=december, usd_per_month=CENT).reserve(model=MODEL, estimate=CENT)


def test_a_test_does_not_pay_for_another(ledger):
    held = budget(ledger, usd_per_test=CENT)
    held.reserve(model=MODEL, estimate=CENT, test="test_a").settle(row(CENT))

    held.reserve(model=MODEL, estimate=CENT, test="test_b")
    with pytest.raises(BudgetExceeded, match="usd_per_test"):
        held.reserve(model=MODEL, estimate=CENT, test="test_a", timeout=0)


def test_the_tightest_limit_decides_and_nothing_is_set_aside_when_it_refuses(ledger):
    held = budget(ledger, usd_per_run=1, usd_per_month=CENT)

    with pytest.raises(BudgetExceeded, match="usd_per_month"):
        held.reserve(model=MODEL, estimate=CENT * 2)

    held.reserve(model=MODEL, estimate=CENT)


def test_a_model_may_have_a_limit_of_its_own(ledger):
    held = Spender(
        ledger, Limits(usd_per_run=1, by_model={MODEL: Limits(usd_per_run=CENT)}), run="r", clock=at(NOVEMBER)
    )
    held.reserve(model=MODEL, estimate=CENT).settle(row(CENT))

    held.reserve(model="openai/gpt-5-mini", estimate=CENT)
    with pytest.raises(BudgetExceeded, match=r"usd_per_run for 'gemini/gemini-2\.5-flash' is") as caught:
        held.reserve(model=MODEL, estimate=CENT)
    assert "Raise usd_per_run (gemini/gemini-2.5-flash:usd_per_run=USD in LMTEST_LIMITS)" in str(caught.value)


def test_a_call_of_unknown_price_is_refused_when_a_budget_is_set(ledger):
    with pytest.raises(BudgetExceeded, match=r"has no known price.*on_unknown_price") as caught:
        budget(ledger, usd_per_run=1).reserve(model="ollama/llama3", estimate=None)

    assert caught.value.estimate is None


def test_a_call_of_unknown_price_may_be_allowed(ledger):
    held = Spender(ledger, Limits(usd_per_run=CENT), run="r", on_unknown_price="allow", clock=at(NOVEMBER))

    held.reserve(model="ollama/llama3", estimate=None).settle(row(None, model="ollama/llama3"))

    assert cost_report(ledger, now=NOVEMBER).total.unpriced_live == 1


def test_an_answer_whose_tokens_nobody_counted_is_held_at_its_worst_case(ledger):
    held = budget(ledger, usd_per_run=CENT)
    held.reserve(model=MODEL, estimate=CENT).settle(row(None))

    with pytest.raises(BudgetExceeded):
        held.reserve(model=MODEL, estimate=CENT)


def test_a_row_is_entered_under_the_run_and_test_that_reserved(ledger):
    held = budget(ledger, usd_per_test=CENT)
    held.reserve(model=MODEL, estimate=CENT, test="test_a").settle(row(CENT, model="gemini-2.5-flash-001"))

    assert [(each.run, each.test, each.model) for each in ledger] == [("run-1", "test_a", MODEL)]


def test_a_call_held_against_a_month_is_booked_in_it_though_it_ends_in_the_next(ledger):
    last = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
    call = budget(ledger, clock=at(last), usd_per_month=CENT).reserve(model=MODEL, estimate=CENT)
    call.settle(row(CENT, time=last))

    assert budget(ledger, clock=at(last), usd_per_month=CENT).left(model=MODEL) == 0
    december = at(datetime(2026, 12, 1, tzinfo=UTC))
    assert budget(ledger, clock=december, usd_per_month=CENT).left(model=MODEL) == CENT


def test_a_call_that_waits_over_a_month_s_border_is_held_against_the_month_in_which_it_is_sent(ledger, clock):
    clock.passed = (datetime(2026, 11, 30, 23, 59, 57, tzinfo=UTC) - NOVEMBER).total_seconds()
    ledger.append([row(CENT, time=datetime(2026, 12, 1, tzinfo=UTC))])
    rate = Rate(name="requests_per_minute", permits=10)
    with let_through(ledger, rate, clock):
        pass
    call = asked(MODEL, estimate=CENT)
    december = Spender(ledger, Limits(usd_per_month=CENT), clock=clock).budget.holding(call)

    with pytest.raises(BudgetExceeded, match="usd_per_month is"):
        Queue(ledger, clock=clock).enter(call, [*december, rate])
    assert clock.now() >= datetime(2026, 12, 1, tzinfo=UTC).timestamp()


def test_a_model_without_its_provider_is_that_model_at_any_provider_together(ledger):
    held = Spender(ledger, Limits(by_model={"gpt-5": Limits(usd_per_run=CENT)}), clock=at(NOVEMBER))
    held.reserve(model="openai/gpt-5", estimate=CENT / 2).settle(row(CENT / 2))
    held.reserve(model="azure/gpt-5", estimate=CENT / 4)

    with pytest.raises(BudgetExceeded, match="usd_per_run for 'gpt-5' is"):
        held.reserve(model="openai/gpt-5", estimate=CENT / 2, timeout=0)
    held.reserve(model="openai/gpt-5-mini", estimate=CENT)


def test_a_call_that_costs_nothing_is_sent_though_all_is_spent_and_more(ledger):
    ledger.append([row(CENT * 2, run="r")])

    budget(ledger, run="r", usd_per_run=CENT).reserve(model="ollama/llama3", estimate=Decimal(0))


class Meanwhile(Clock):
    """Time that stands still; while somebody waits, the next of some things happens."""

    def __init__(self, *events):
        self.events = list(events)
        self.waits = 0

    def now(self):
        return NOVEMBER.timestamp() + self.waits

    def sleep(self, _seconds, _bell=None):
        self.waits += 1
        self.events.pop(0)()

    async def sleep_async(self, seconds, _bell=None):
        self.sleep(seconds)


def test_a_call_that_only_reservations_keep_out_waits_until_they_settle(ledger):
    limits = {"usd_per_run": CENT}
    first, second = (budget(ledger, **limits).reserve(model=MODEL, estimate=CENT / 2) for _ in range(2))
    clock = Meanwhile(lambda: first.settle(row(CENT / 10)), lambda: second.settle(row(CENT / 10)))

    budget(ledger, clock=clock, **limits).reserve(model=MODEL, estimate=CENT * 8 / 10)

    assert clock.waits == 2
    assert budget(ledger, **limits).left(model=MODEL) == 0


@pytest.mark.asyncio
async def test_a_task_waits_likewise(ledger):
    under_way = budget(ledger, usd_per_run=CENT).reserve(model=MODEL, estimate=CENT)
    clock = Meanwhile(under_way.release)

    await budget(ledger, clock=clock, usd_per_run=CENT).reserve_async(model=MODEL, estimate=CENT)

    assert clock.waits == 1


def test_a_call_that_waits_is_refused_when_what_was_spent_meanwhile_leaves_too_little(ledger):
    under_way = budget(ledger, usd_per_run=CENT).reserve(model=MODEL, estimate=CENT)
    clock = Meanwhile(lambda: under_way.settle(row(CENT / 2)))

    with pytest.raises(BudgetExceeded, match=r"\$0.005 is spent and \$0 reserved"):
        budget(ledger, clock=clock, usd_per_run=CENT).reserve(model=MODEL, estimate=CENT)
    assert clock.waits == 1


def test_a_call_that_one_limit_s_spending_refuses_does_not_wait_for_another_s_reservations(ledger):
    limits = {"usd_per_month": CENT, "usd_per_run": CENT}
    ledger.append([row(CENT / 2)])
    budget(ledger, **limits).reserve(model=MODEL, estimate=CENT / 2)

    with pytest.raises(BudgetExceeded, match="usd_per_month"):
        budget(ledger, clock=Meanwhile(), **limits).reserve(model=MODEL, estimate=CENT * 6 / 10)


def test_whoever_may_not_wait_longer_is_refused(ledger):
    budget(ledger, usd_per_run=CENT).reserve(model=MODEL, estimate=CENT)
    clock = Meanwhile(*[lambda: None] * 3)

    with pytest.raises(BudgetExceeded, match=r"\$0 is spent and \$0.01 reserved"):
        budget(ledger, clock=clock, usd_per_run=CENT).reserve(model=MODEL, estimate=CENT, timeout=3)
    assert clock.waits == 3


def test_what_ends_the_waiting_takes_nothing(ledger):
    under_way = budget(ledger, usd_per_run=CENT).reserve(model=MODEL, estimate=CENT)

    def stop():
        raise Stopped("enough")

    with pytest.raises(Stopped):
        budget(ledger, clock=Meanwhile(stop), usd_per_run=CENT).reserve(model=MODEL, estimate=CENT)
    under_way.release()
    assert budget(ledger, usd_per_run=CENT).left(model=MODEL) == CENT


def test_nobody_waits_for_a_call_in_whose_midst_it_is_made(ledger):
    stream = budget(ledger, usd_per_run=CENT).reserve(model=MODEL, estimate=CENT)

    with pytest.raises(BudgetExceeded):
        budget(ledger, clock=Meanwhile(), usd_per_run=CENT).reserve(model=MODEL, estimate=CENT, within=[stream.id])


def test_what_another_machine_has_reserved_is_waited_for_until_its_lease_ends_and_then_booked(ledger, clock):
    held = budget(ledger, clock=clock, usd_per_month=CENT)
    elsewhere = asked(MODEL, estimate=CENT / 2, id="another-machine/1@1/a")
    Queue(ledger, clock=clock).enter(elsewhere, held.budget.holding(elsewhere))

    with pytest.raises(BudgetExceeded, match=r"\$0.005 is spent and \$0 reserved"):
        held.reserve(model=MODEL, estimate=CENT)

    assert clock.passed == pytest.approx(900, abs=0.3)
    assert [(each.outcome, each.cost) for each in ledger] == [("unsettled", None)]


def spend_all(place, barrier, granted):
    with Ledger(place) as ledger:
        clock = SimpleNamespace(now=NOVEMBER.timestamp, sleep=Clock().sleep)
        held = Spender(ledger, Limits(usd_per_run=CENT * 30), run="shared", clock=clock)
        barrier.wait(60)
        count = 0
        while True:
            try:
                reservation = held.reserve(model=MODEL, estimate=CENT)
            except BudgetExceeded:
                break
            reservation.settle(row(CENT))
            count += 1
        granted.put(count)


def test_four_processes_together_spend_exactly_the_limit(ledger, place):
    context = multiprocessing.get_context("spawn")
    barrier, granted = context.Barrier(4), context.Queue()
    workers = [context.Process(target=spend_all, args=(place, barrier, granted)) for _ in range(4)]
    for worker in workers:
        worker.start()
    counts = [granted.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(60)

    assert sum(counts) == 30
    assert cost_report(ledger, now=NOVEMBER).total.spent == CENT * 30


class Spending(RuleBasedStateMachine):
    """Whatever is reserved, settled or released, however long it takes: spent and reserved never exceed the limit."""

    reservations = Bundle("reservations")
    LIMIT = Decimal(1)

    def __init__(self):
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.ledger = Ledger(Path(self.directory.name, "ledger.sqlite3"))
        self.now = NOVEMBER.timestamp()
        self.budget = Spender(
            self.ledger,
            Limits(usd_per_month=self.LIMIT),
            run="r",
            clock=SimpleNamespace(now=lambda: self.now),
        )
        self.spent = Decimal(0)
        self.reserved = {}

    def teardown(self):
        self.ledger.close()
        self.directory.cleanup()

    def under_way(self):
        return sum(self.reserved.values(), Decimal(0))

    @rule(target=reservations, estimate=st.decimals(0, 1, places=6))
    def reserve(self, estimate):
        used = self.spent + self.under_way()
        if used + estimate > self.LIMIT:
            with pytest.raises(BudgetExceeded) as caught:
                self.budget.reserve(model=MODEL, estimate=estimate, timeout=0)
            assert caught.value.spent == used
            return multiple()
        reservation = self.budget.reserve(model=MODEL, estimate=estimate)
        self.reserved[reservation.id] = estimate
        return reservation

    @rule(reservation=consumes(reservations), share=st.integers(0, 4))
    def settle(self, reservation, share):
        usd = self.reserved.pop(reservation.id)
        cost = usd * share / 4
        reservation.settle(row(cost))
        self.spent += cost

    @rule(reservation=consumes(reservations))
    def release(self, reservation):
        self.reserved.pop(reservation.id)
        reservation.release()

    @rule(seconds=st.integers(1, 2_000))
    def wait(self, seconds):
        self.now += seconds

    @invariant()
    def never_exceeds(self):
        assert self.spent + self.under_way() <= self.LIMIT
        assert cost_report(self.ledger, now=NOVEMBER).total.spent == self.spent


TestSpending = Spending.TestCase
TestSpending.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
