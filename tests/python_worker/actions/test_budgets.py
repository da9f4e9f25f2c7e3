"""``resource_management`` and money: what budgets have left of a run's calls, on a real ledger."""

from decimal import Decimal

import pytest

import lmtest
from lmtest.testing.provider import fields
from python_worker.client import Reason, SessionLimits, SessionLM, WorkerError
from python_worker.domain.action import Action, ActionMoment
from python_worker.domain.stage import Stage

ASKED = {"question": "sky"}
GOOD = fields(answer="blue", confidence=0.9)
TOLD = Action(name="resource_management")


def at_least(usd):
    return Action(name="resource_management", options={"min_budget_usd": usd})


def left(execution):
    before, _ = execution.action_results
    assert before.moment is ActionMoment.BEFORE
    told = before.values["budget_left_usd"]
    return told if told is None else Decimal(told)


def cost(execution):
    return sum(call.cost for call in execution.stages[2].calls)


@pytest.fixture
def budget(live, monkeypatch):
    """A worker that may spend a dollar, on a model that nothing else limits."""
    monkeypatch.setenv("LMTEST_USD_PER_RUN", "1")
    return live(GOOD)


def test_what_is_left_falls_by_what_each_run_has_cost(budget):
    first = budget.client.execute("qa", ASKED, actions=[TOLD])
    second = budget.client.execute("qa", ASKED, actions=[TOLD])
    assert cost(first) > 0
    assert (left(first), left(second)) == (1, 1 - cost(first))


def test_a_run_is_refused_before_anything_is_sent_when_less_is_left(budget):
    spent = cost(budget.client.execute("qa", ASKED, actions=[at_least(1)]))
    with pytest.raises(WorkerError) as caught:
        budget.client.execute("qa", ASKED, actions=[at_least(1)])
    error = caught.value
    assert (error.reason, error.stage) == (Reason.ACTION_REFUSED, Stage.INPUT_VALIDATION)
    assert error.message == (
        f"action 'resource_management' refused the run: budget_left_usd is {1 - spent:f}, less than min_budget_usd of "
        "1. Raise the limits in USD of the worker (--limit) or of the session, or answer from cassettes."
    )
    (told,) = budget.client.get_execution(error.execution_id).action_results
    assert (told.refused, Decimal(told.values["budget_left_usd"])) == (True, 1 - spent)
    assert len(budget.provider.requests) == 1


def test_the_smallest_amount_is_compared_as_it_was_written(budget):
    spent = cost(budget.client.execute("qa", ASKED))
    assert left(budget.client.execute("qa", ASKED, actions=[at_least(float(1 - spent))])) == 1 - spent


def test_a_sessions_own_budget_holds_where_it_is_the_tighter(budget):
    for name, usd in (("ada", "0.25"), ("bob", "5")):
        budget.client.session(name, lm=SessionLM(limits=SessionLimits(usd_per_run=usd)))
    spent = cost(budget.client.execute("qa", ASKED, session="ada", actions=[at_least(0.25)]))
    assert left(budget.client.execute("qa", ASKED, session="bob", actions=[TOLD])) == 1 - spent
    with pytest.raises(WorkerError) as caught:
        budget.client.execute("qa", ASKED, session="ada", actions=[at_least(0.25)])
    assert caught.value.reason is Reason.ACTION_REFUSED


def test_a_budget_of_the_programs_own_model_holds_it_and_no_other(live, monkeypatch):
    monkeypatch.setenv("LMTEST_LIMITS", "gemini-2.5-pro:usd_per_month=0.5")
    client = live(GOOD).client
    client.create_program("pro", signature="qa", model="gemini/gemini-2.5-pro", max_tokens=100)
    assert left(client.execute("pro", ASKED, actions=[TOLD])) == Decimal("0.5")
    assert left(client.execute("qa", ASKED, actions=[at_least(1)])) is None


def test_where_nothing_is_sent_no_budget_holds(budget):
    budget.client.session("offline", lm=SessionLM(mode="mock"))
    for options in ({"adapters": ["mock"]}, {"session": "offline"}):
        assert left(budget.client.execute("qa", ASKED, actions=[at_least(5)], **options)) is None
    assert budget.provider.requests == []


def test_where_there_is_no_budget_none_is_too_small(live):
    assert left(live(GOOD).client.execute("qa", ASKED, actions=[at_least(5)])) is None


def test_a_budget_that_no_ledger_keeps_is_a_mistake_of_the_configuration(budget, monkeypatch):
    monkeypatch.setenv("LMTEST_LEDGER", "off")
    with pytest.raises(WorkerError) as caught:
        budget.client.execute("qa", ASKED, actions=[TOLD])
    assert caught.value.reason is Reason.CONFIGURATION
    assert "cannot be kept without a ledger" in caught.value.message


def test_an_action_of_ones_own_can_ask_what_is_left(live, monkeypatch, tmp_path):
    (tmp_path / "thrift_of_the_test.py").write_text(
        "def tell(context, outcome):\n    return {} if outcome else {'left': str(context.budget_left())}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("LMTEST_USD_PER_RUN", "0.5")
    worker = live(GOOD, allow_imports=("thrift_of_the_test:*",), mode=lmtest.Mode.RECORD)
    told = worker.client.execute("qa", ASKED, actions=[Action(name="thrift_of_the_test:tell")]).action_results[0]
    assert told.values == {"left": "0.5"}
