"""Actions around an execution: what they refuse never reaches a model, or nobody; what they say is told."""

import importlib
import math
import sys
from datetime import date

import pytest

from python_worker.client import Reason, WorkerError
from python_worker.domain.action import Action, ActionContext, ActionMoment, ActionOutcome
from python_worker.domain.stage import Stage, StageStatus
from python_worker.domain.tensor import Tensor
from python_worker.runtime import Actions, Imports

MODULE = '''
from datetime import date

from python_worker.domain.tensor import Tensor
from python_worker.domain.action import ActionRefused

seen = []

class Office:
    """Open from nine."""

    def before(self, context):
        if context.options["hour"] < context.options.get("opens", 9):
            raise ActionRefused("we open at nine", {"opens": 9})
        return {"program": context.program, "question": context.inputs["question"]}

    def after(self, context, outcome):
        if outcome.outputs["answer"] == "secret":
            raise ActionRefused("that is not for you")
        return {"words": len(outcome.outputs["answer"].split()), "calls": len(outcome.calls)}

class OnlyAfter:
    def after(self, context, outcome):
        seen.append("after")

def both(context, outcome):
    seen.append("before" if outcome is None else "outcome")

def crash(context, outcome):
    raise ZeroDivisionError("oops")

def unsayable(context, outcome):
    return {"what": object()}

def typed(context, outcome):
    return {"grid": Tensor.of([1.5], dtype="float32"), "day": date(2026, 11, 20)}

class Unmakeable:
    def __init__(self, needed):
        pass

number = 3
'''


@pytest.fixture
def office(tmp_path, monkeypatch):
    name = "office_of_the_test"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


def details(execution):
    return {record.stage: record.detail for record in execution.stages}


# ---- users' own


def test_what_an_action_tells_before_and_after_is_in_the_result_and_in_the_trail(run, office):
    action = Action(name=f"{office}:Office", options={"hour": 10})
    execution, _ = run(action, allow_imports=(f"{office}:*",))
    assert [(each.action, each.moment, each.refused, each.values) for each in execution.action_results] == [
        (action.name, ActionMoment.BEFORE, False, {"program": "qa", "question": "sky"}),
        (action.name, ActionMoment.AFTER, False, {"words": 3, "calls": 1}),
    ]
    assert details(execution)[Stage.INPUT_VALIDATION] == f"2 inputs hold; before: {action.name}"
    assert details(execution)[Stage.OUTPUT_VALIDATION] == f"1 outputs hold; after: {action.name}"


def test_one_that_refuses_before_stops_the_run_before_any_model_is_asked(run, office):
    error, worker = run(Action(name=f"{office}:Office", options={"hour": 8}), allow_imports=(f"{office}:*",))
    assert (error.reason, error.stage, error.retryable) == (Reason.ACTION_REFUSED, Stage.INPUT_VALIDATION, False)
    assert error.message == f"action '{office}:Office' refused the run: we open at nine"
    assert worker.lms.engine.prompts == []
    stages = worker.client.get_execution(error.execution_id).stages
    assert [(record.stage, record.status) for record in stages] == [
        (Stage.SIGNATURE_COMPILATION, StageStatus.OK),
        (Stage.INPUT_VALIDATION, StageStatus.FAILED),
    ]


def test_one_that_refuses_after_keeps_the_outputs_back_and_the_raw_answer_in_the_trail(run, office):
    action = Action(name=f"{office}:Office", options={"hour": 10})
    error, worker = run(action, answer="secret", allow_imports=(f"{office}:*",))
    assert (error.reason, error.stage) == (Reason.ACTION_REFUSED, Stage.OUTPUT_VALIDATION)
    stored = worker.client.get_execution(error.execution_id)
    assert stored.outputs == {}
    assert "secret" in stored.raw_answer


def test_one_hook_is_enough_and_a_function_is_called_at_both_moments(run, office):
    execution, _ = run(
        Action(name=f"{office}:OnlyAfter"), Action(name=f"{office}:both"), allow_imports=(f"{office}:*",)
    )
    assert importlib.import_module(office).seen == ["before", "after", "outcome"]
    assert [each.action.rpartition(":")[2] for each in execution.action_results] == ["OnlyAfter", "both"] * 2


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("crash", "failed before the run: ZeroDivisionError: oops (the worker's log has the traceback)"),
        ("unsayable", "failed before the run"),
        ("Unmakeable", "failed when it was made: TypeError"),
        ("number", "failed when it was made: TypeError: a int has neither before nor after"),
    ],
)
def test_one_that_fails_is_an_error_that_names_it(run, office, name, told):
    error, worker = run(Action(name=f"{office}:{name}"), allow_imports=(f"{office}:*",))
    assert error.reason is Reason.INTERNAL
    assert f"action '{office}:{name}' {told}" in error.message
    assert worker.lms.engine.prompts == []


def test_one_that_is_not_allowed_or_not_there_is_refused_by_name(run, office):
    assert run(Action(name=f"{office}:Office"))[0].reason is Reason.PERMISSION_DENIED
    error, _ = run(Action(name="complex_validations"))
    assert error.reason is Reason.INVALID_ARGUMENT
    assert "there is no action 'complex_validations'. Did you mean 'complex_validation'?" in error.message


def test_actions_can_be_checked_without_running_or_importing_them():
    actions = Actions(builtin={}, imports=Imports(["gone_module:*"]), serialize=len)
    actions.check([Action(name="gone_module:Gone")])


def test_the_programs_actions_come_before_those_of_the_request():
    order = []

    class Noting:
        def __init__(self, name):
            self.name = name

        def before(self, context):
            order.append((self.name, context.options["n"]))

        def after(self, context, outcome):
            order.append((self.name, context.options["n"] + len(outcome.outputs)))

    actions = Actions(builtin={"a": lambda: Noting("a")}, imports=Imports(), serialize=len)
    context = ActionContext(program="p", version=1, execution_id="e", session="", inputs={})
    around = actions.open([Action(name="a", options={"n": n}) for n in (1, 2)], context)
    around.before({}, frozenset())
    around.after(ActionOutcome(outputs={"answer": 1}))
    assert order == [("a", 1), ("a", 2), ("a", 2), ("a", 3)]


def test_a_programs_actions_are_run_around_its_every_execution(start_worker, office):
    worker = start_worker({"sky": {"answer": "blue"}}, allow_imports=(f"{office}:*",))
    own = Action(name=f"{office}:Office", options={"hour": 10})
    worker.client.create_program("qa", signature="question -> answer", actions=[own])
    asked = Action(name="resource_management")
    execution = worker.client.execute("qa", {"question": "sky"}, actions=[asked])
    assert [each.action for each in execution.action_results] == [own.name, asked.name] * 2


# ---- complex_validation


def rules(*listed):
    return Action(name="complex_validation", options={"rules": list(listed)})


def test_rules_about_inputs_hold_before_and_those_about_outputs_after(run):
    action = rules({"field": "question", "min_length": 2}, {"field": "answer", "min_words": {"field": "least"}})
    execution, _ = run(action, least=3)
    assert [(each.moment, each.values["rules"]) for each in execution.action_results] == [
        (ActionMoment.BEFORE, 1),
        (ActionMoment.AFTER, 1),
    ]
    error, worker = run(action, least=4)
    assert error.reason is Reason.ACTION_REFUSED
    assert "answer must have at least least (4) words" in error.message
    assert len(worker.lms.engine.prompts) == 1


def test_a_broken_rule_about_inputs_never_reaches_a_model(run):
    error, worker = run(
        rules({"if": {"field": "question", "contains": "sky"}, "then": {"field": "least", "at_least": 5}})
    )
    assert error.reason is Reason.ACTION_REFUSED
    assert "least must be at least 5" in error.message
    assert worker.lms.engine.prompts == []


@pytest.mark.parametrize(
    ("options", "field", "told"),
    [
        ({"rules": 3}, "rules", "must be a list of rules"),
        ({"rule": []}, "rule", "there is 'rules' alone"),
        ({"rules": [{"field": "answer"}]}, "rules[0]", "at least one check of min_words"),
        ({"rules": [{"field": "answer", "min_word": 3}]}, "rules[0]", "'min_word', which it does not know (known: "),
        ({"rules": [{"field": "answer", "min_word": 3}]}, "rules[0]", "Did you mean 'min_words'?"),
        ({"rules": [{"feild": "answer", "min_words": 3}]}, "rules[0]", "'not' and 'if'. Did you mean 'field'?"),
        ({"rules": [{"if": {"field": "answer", "filled": True}, "than": {}}]}, "rules[0]", "Did you mean 'then'?"),
        ({"rules": [{"field": "answer", "min_words": "3"}]}, "rules[0].min_words", "must be of type int"),
        ({"rules": [{"field": "answer", "matches": "("}]}, "rules[0].matches", "is no pattern"),
        ({"rules": [{"if": {"field": "answer", "filled": True}}]}, "rules[0]", "must have 'then'"),
        ({"rules": [{"field": "asnwer", "filled": True}]}, "rules", "no field 'asnwer': there are answer, least, q"),
        ({"rules": [{"field": "asnwer", "filled": True}]}, "rules", "Did you mean 'answer'?"),
        ({"rules": [{"field": "least", "less_than": {"field": "quest"}}]}, "rules", "Did you mean 'question'?"),
    ],
)
def test_rules_that_cannot_be_are_refused_with_their_place_before_any_model_is_asked(run, options, field, told):
    error, worker = run(Action(name="complex_validation", options=options))
    assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, field)
    assert told in error.message
    assert worker.lms.engine.prompts == []


# ---- resource_management


def test_what_a_run_used_is_told(run):
    execution, _ = run(Action(name="resource_management"))
    before, after = execution.action_results
    assert before.values["busy_threads"] == before.values["waiting"] == 0
    assert after.values["model_calls"] == 1
    assert (after.values["input_tokens"], after.values["output_tokens"], after.values["tool_calls"]) == (12, 3, 0)
    assert after.values["cost_usd"] is None
    assert after.values["memory_mib"] > 1


def test_a_run_is_refused_while_the_worker_has_more_memory_than_it_may(run):
    error, worker = run(Action(name="resource_management", options={"max_memory_mib": 1}))
    assert error.reason is Reason.ACTION_REFUSED
    assert "memory_mib is " in error.message
    assert ", beyond max_memory_mib of 1." in error.message
    assert worker.lms.engine.prompts == []


def test_a_limit_that_it_does_not_know_is_refused_with_the_nearest_that_it_does(run):
    error, _ = run(Action(name="resource_management", options={"max_memory": 1}))
    assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, "max_memory")
    assert error.message == (
        "resource_management: option 'max_memory': there are max_memory_mib, max_busy_threads, max_waiting, "
        "min_budget_usd, each a number. Did you mean 'max_memory_mib'?"
    )


def test_what_an_action_tells_is_told_later_as_it_was_told_then(run, office):
    execution, worker = run(Action(name=f"{office}:typed"), allow_imports=(f"{office}:*",))
    assert execution.action_results[0].values == {"grid": Tensor.of([1.5], dtype="float32"), "day": date(2026, 11, 20)}
    assert worker.client.get_execution(execution.id) == execution


@pytest.mark.parametrize(
    ("name", "reason", "told"),
    [
        ("complex_validaton", Reason.INVALID_ARGUMENT, "Did you mean 'complex_validation'?"),
        ("os:system", Reason.PERMISSION_DENIED, "--allow-import 'os:system'"),
    ],
)
def test_a_program_is_not_made_with_an_action_that_there_is_not(start_worker, name, reason, told):
    client, typo = start_worker().client, Action(name=name)
    client.create_program("qa", signature="question -> answer")
    made, known = client.get_program("qa"), Action(name="resource_management")
    for refused in (
        lambda: client.create_program("other", signature="question -> answer", actions=[known, typo]),
        lambda: client.update_program("qa", actions=[known, typo]),
    ):
        with pytest.raises(WorkerError) as caught:
            refused()
        assert (caught.value.reason, caught.value.field) == (reason, "actions[1].name")
        assert told in caught.value.message
    assert [*client.programs()] == [made]


@pytest.mark.parametrize(("bound", "told"), [(math.nan, "NaN"), (True, "true"), ("3", '"3"')])
def test_a_bound_that_is_no_number_bounds_nothing_and_is_refused(run, bound, told):
    error, _ = run(Action(name="resource_management", options={"max_waiting": bound}))
    assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, "max_waiting")
    assert error.message.endswith("each a number.")
    assert f"option 'max_waiting' is {told}: there are" in error.message
