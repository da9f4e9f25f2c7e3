"""Programs from saved DSPy programs: their JSON, and what is no such JSON."""

import json
import pickle

import dspy
import pytest

from python_worker.client import Reason
from python_worker.runtime.saved_state import MOST_BYTES, SAVED_WITH
from python_worker.signatures import parse, to_dspy

from ..calling import refused  # noqa: TID252 - tests are no installed package

QA = "signature qa: :string question -> :string answer, :integer n"
SKY = {"sky": {"answer": "blue", "n": 1, "reasoning": "Rayleigh.", "rationale": "Rayleigh."}}


def saved(tmp_path, module):
    """What DSPy saves of a module that was tuned: its instructions, and a demo."""
    for _, predictor in module.named_predictors():
        predictor.signature = predictor.signature.with_instructions("Answer like a pirate.")
        predictor.demos = [dspy.Example(question="And grass?", answer="green", n=2)]
    module.save(tmp_path / "program.json")
    return (tmp_path / "program.json").read_text()


def signature():
    return to_dspy(parse(QA))


@pytest.mark.filterwarnings("ignore:The 'prefix' argument:DeprecationWarning")  # DSPy's own use of it
@pytest.mark.parametrize(
    ("name", "module", "options"),
    [
        ("Predict", lambda: dspy.Predict(signature()), {}),
        ("ChainOfThought", lambda: dspy.ChainOfThought(signature()), {}),
        ("ReAct", lambda: dspy.ReAct(signature(), tools=[]), {}),
        ("BestOfN", lambda: dspy.BestOfN(dspy.Predict(signature()), 1, len, 0), {"of": "Predict", "reward": "field:n"}),
        ("MultiChainComparison", lambda: dspy.MultiChainComparison(signature(), M=2), {"m": 2}),
        ("Parallel", lambda: dspy.Predict(signature()), {}),
    ],
)
def test_a_saved_program_runs_as_it_was_tuned(start_worker, tmp_path, name, module, options):
    step = {"next_thought": "Hm.", "next_tool_name": "finish", "next_tool_args": "{}"}
    worker = start_worker({"next_tool_name": step, **SKY})
    state = saved(tmp_path, module())
    made = worker.client.create_program("qa", signature=QA, module=name, state=state, module_options=options)
    assert (made.has_state, made.metadata) == (True, {})
    worker.client.execute("qa", {"items": [{"question": "sky"}]} if name == "Parallel" else {"question": "sky"})
    prompt = str(worker.lms.engine.requests)
    assert "Answer like a pirate." in prompt
    assert "And grass?" in prompt


def test_demos_of_the_config_come_beside_those_of_the_state(start_worker, tmp_path):
    worker = start_worker(SKY)
    state = saved(tmp_path, dspy.Predict(signature()))
    worker.client.create_program(
        "qa", signature=QA, state=state, demos=[{"question": "And snow?", "answer": "white", "n": 3}]
    )
    worker.client.execute("qa", {"question": "sky"})
    assert all(each in str(worker.lms.engine.requests[0]) for each in ("And grass?", "And snow?"))


def test_an_update_gives_a_program_a_state(start_worker, tmp_path):
    worker = start_worker(SKY)
    worker.client.create_program("qa", signature=QA)
    updated = worker.client.update_program("qa", state=saved(tmp_path, dspy.Predict(signature())))
    assert (updated.version, updated.has_state) == (2, True)
    worker.client.execute("qa", {"question": "sky"})
    worker.client.execute("qa", {"question": "sky"}, version=1)
    assert ["pirate" in str(request) for request in worker.lms.engine.requests] == [True, False]


def test_the_versions_it_was_saved_with_are_recorded_where_they_are_others(start_worker, tmp_path):
    state = json.loads(saved(tmp_path, dspy.Predict(signature())))
    state["metadata"]["dependency_versions"]["dspy"] = "2.6.0"
    made = start_worker().client.create_program("qa", signature=QA, state=json.dumps(state), metadata={"a": "b"})
    assert made.metadata == {"a": "b", SAVED_WITH: f"dspy 2.6.0 (here {dspy.__version__})"}


def test_a_saved_language_model_is_left_out_for_the_config_names_the_model(start_worker, tmp_path):
    module = dspy.Predict(signature())
    module.set_lm(dspy.LM("openai/elsewhere", api_base="http://elsewhere.example"))
    worker = start_worker(SKY)
    worker.client.create_program("qa", signature=QA, state=saved(tmp_path, module))
    assert worker.client.execute("qa", {"question": "sky"}).stages[2].calls[0].model == "scripted/model"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gASVBgAAAAAAAAB9lC4=", "pickles are never read"),
        ("[]", "no map of saved predictors"),
        ('{"self": 3}', "no map of saved predictors"),
        ("{}", "holds the predictors [], and the program has ['self']"),
        ('{"self": {"signature": {}, "lm": null}}', "does not load"),
        ('{"self": {"lm": null, "config": {"api_base": "http://elsewhere.example"}}}', "which DSPy does not save"),
        (json.dumps({"metadata": {"padding": "x" * MOST_BYTES}}), "at most 1,048,576 are taken"),
    ],
)
def test_what_is_no_saved_program_is_refused(start_worker, text, says):
    error = refused(start_worker().client.create_program, "qa", signature=QA, state=text)
    assert (error.reason in {Reason.INVALID_ARGUMENT, Reason.LIMIT}, error.field) == (True, "state")
    assert says in str(error)


@pytest.mark.parametrize("given", [pickle.dumps({"predict": {}}), {"predict": {}}], ids=["a pickle", "a dictionary"])
def test_the_client_says_that_it_wants_json_where_it_is_given_no_text(start_worker, given):
    client = start_worker(SKY).client
    client.create_program("qa", signature=QA)
    for call, more in ((client.create_program, {"signature": QA}), (client.update_program, {})):
        error = refused(call, "qa", state=given, **more)
        assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, "state")
        assert "pickles are never read: save it by module.save('program.json')" in str(error)


def test_a_file_of_json_may_be_given_as_bytes(start_worker, tmp_path):
    client = start_worker(SKY).client
    made = client.create_program("qa", signature=QA, state=saved(tmp_path, dspy.Predict(signature())).encode())
    assert made.has_state


def test_the_state_of_another_module_or_signature_is_refused(start_worker, tmp_path):
    client = start_worker().client
    state = saved(tmp_path, dspy.ChainOfThought(signature()))
    assert "['predict']" in str(refused(client.create_program, "qa", signature=QA, state=state))
    state = saved(tmp_path, dspy.Predict("a, b -> c, d"))
    assert "4 fields" in str(refused(client.create_program, "qa", signature=QA, state=state))
