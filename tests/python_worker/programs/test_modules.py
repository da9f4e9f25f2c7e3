"""Programs of each of DSPy's modules: what they answer with, how often they ask, what their options do."""

import contextlib
import json
import math
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import dspy
import pytest
from dspy.primitives.local_interpreter import LocalInterpreter

import lmtest
from python_worker.client import Reason, WorkerError
from python_worker.domain.field import REQUIRED
from python_worker.domain.module_options import OPTIONS
from python_worker.domain.program import Module, Program, ProgramConfig
from python_worker.runtime import Imports, Modules
from python_worker.runtime.modules import accept_outputs, answers
from python_worker.signatures import parse

from ..calling import refused  # noqa: TID252 - tests are no installed package
from ..scripted import ScriptedLMs  # noqa: TID252 - tests are no installed package

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "worker.md"

QA = "signature qa: :string question -> :string answer, :confidence_score confidence"
SKY = {"answer": "blue", "confidence": 0.9}


def program(worker, module, **options):
    made = {name: options.pop(name) for name in ("format", "demos", "tools") if name in options}
    worker.client.create_program("qa", signature=QA, module=module, module_options=options, **made)
    return worker


@pytest.mark.parametrize(
    ("module", "options", "answered"),
    [
        ("Predict", {}, ["answer", "confidence"]),
        ("ChainOfThought", {}, ["answer", "confidence", "reasoning"]),
        ("ReAct", {}, ["answer", "confidence", "reasoning", "trajectory"]),
        ("BestOfN", {"reward": "field:confidence", "threshold": 2.0}, ["answer", "confidence", "reasoning"]),
        ("Refine", {"reward": "field:confidence", "of": "Predict", "n": 2}, ["answer", "confidence"]),
        ("BestOfN", {"reward": "field:confidence", "of": "ReAct", "max_iters": 2}, None),
        ("MultiChainComparison", {"m": 2}, ["answer", "confidence", "rationale"]),
    ],
)
def test_every_module_runs_in_mock_mode(mocked, module, options, answered):
    mocked.create_program("p", signature=QA, module=module, module_options=options)
    execution = mocked.execute("p", {"question": "What colour is the sky?"})
    assert answered is None or sorted(execution.outputs) == answered
    assert {call.hit for call in execution.stages[2].calls} == {"mock"}


def test_parallel_answers_many_inputs_with_calls_on_record(mocked):
    mocked.create_program("p", signature=QA, module="Parallel", module_options={"of": "ChainOfThought"})
    execution = mocked.execute("p", {"items": [{"question": str(number)} for number in range(9)]})
    assert [sorted(each) for each in execution.outputs["results"]] == [["answer", "confidence", "reasoning"]] * 9
    assert len(execution.stages[2].calls) == 9


# ---- what the options do


def test_best_of_n_keeps_the_best_and_stops_at_the_threshold(start_worker):
    answers = [{"answer": str(n), "confidence": n / 10} for n in (3, 8, 5, 9)]
    worker = program(
        start_worker({"sky": answers}), "BestOfN", of="Predict", n=4, reward="field:confidence", threshold=0.75
    )
    assert worker.client.execute("qa", {"question": "sky"}).outputs == {"answer": "8", "confidence": 0.8}
    assert len(worker.lms.engine.requests) == 2


def test_refine_tries_again_with_advice(start_worker):
    advice = {"discussion": "It was not sure.", "advice": '{"module": "Be sure."}'}
    answers = {"target_threshold": advice, "Be sure.": SKY, "sky": {"answer": "grey", "confidence": 0.1}}
    worker = program(start_worker(answers), "Refine", of="Predict", n=2, reward="field:confidence", threshold=0.5)
    assert worker.client.execute("qa", {"question": "sky"}).outputs == SKY
    assert len(worker.lms.engine.requests) == 3


@pytest.mark.parametrize(("fail_count", "succeeds"), [(None, True), (2, True), (1, False), (0, False)])
def test_as_many_tries_may_fail_as_the_program_says_whatever_ran_before(start_worker, fail_count, succeeds):
    broken = ZeroDivisionError("a bug")
    worker = start_worker({"sky": [broken, broken, SKY, broken, broken, SKY]})
    given = {} if fail_count is None else {"fail_count": fail_count}
    program(worker, "BestOfN", of="Predict", n=3, reward="field:confidence", threshold=0.5, **given)
    if succeeds:
        for _ in range(2):
            assert worker.client.execute("qa", {"question": "sky"}).outputs == SKY
    else:
        assert "a bug" in str(refused(worker.client.execute, "qa", {"question": "sky"}))
        assert len(worker.lms.engine.requests) == fail_count + 1


def test_a_miss_is_not_taken_for_a_try_that_failed(start_worker):
    worker = start_worker({"sky": [SKY | {"confidence": 0.1}, lmtest.CassetteMiss("not recorded"), SKY]})
    program(worker, "BestOfN", of="Predict", n=3, reward="field:confidence")
    assert refused(worker.client.execute, "qa", {"question": "sky"}).reason is Reason.CASSETTE_MISS


def test_a_multi_chain_comparison_asks_for_each_chain_and_compares_them(start_worker):
    chains = [{"reasoning": f"Because {n}.", "answer": str(n), "confidence": 0.5} for n in range(4)]
    worker = start_worker({"Because 3.": {"rationale": "The third says it.", **SKY}, "sky": chains})
    program(worker, "MultiChainComparison", m=4, temperature=0.9)
    assert worker.client.execute("qa", {"question": "sky"}).outputs == {"rationale": "The third says it.", **SKY}
    requests = worker.lms.engine.requests
    assert [request.config.temperature for request in requests] == [0.9] * 5
    assert "Because 0." in requests[4].messages[-1].text


def test_react_stops_after_so_many_tools_and_tells_its_trajectory(start_worker):
    step = {"next_thought": "Hm.", "next_tool_name": "finish", "next_tool_args": "{}"}
    worker = start_worker({"next_tool_name": step, "sky": {"reasoning": "Rayleigh.", **SKY}})
    outputs = program(worker, "ReAct", max_iters=1).client.execute("qa", {"question": "sky"}).outputs
    assert outputs["trajectory"] == {
        "thought_0": "Hm.",
        "tool_name_0": "finish",
        "tool_args_0": {},
        "observation_0": "Completed.",
    }
    assert (outputs["reasoning"], outputs["answer"]) == ("Rayleigh.", "blue")


def react(*names):
    return Program(
        id="prog_1",
        name="qa",
        signature_id="sig_1",
        module=Module.REACT,
        config=ProgramConfig(tools=names),
        created_at=datetime.now(UTC),
    )


def test_react_calls_the_tools_it_is_built_with_and_tells_what_they_said():
    signature = parse(QA)
    made = react("look_up", "mine.tools:later")
    when = datetime(2026, 11, 20, tzinfo=UTC)
    tools = [dspy.Tool(lambda word: {word: when}, name="look_up", args={"word": {"type": "string"}})]
    tools.append(dspy.Tool(lambda: 1, name="later", desc="Waits."))
    call = {"next_thought": "Look.", "next_tool_name": "look_up", "next_tool_args": '{"word": "sky"}'}
    done = {"next_thought": "Done.", "next_tool_name": "finish", "next_tool_args": "{}"}
    lms = ScriptedLMs({"next_tool_name": [call, done], "sky": {"reasoning": "It says so.", **SKY}})
    with dspy.context(lm=lms.lm(made.config, None)):
        prediction = Modules(Imports()).build(made, signature, tools)(question="sky?")
    outputs = accept_outputs(made, signature, answers(prediction))
    assert outputs["trajectory"]["observation_0"] == {"sky": "2026-11-20T00:00:00+00:00"}
    assert "Waits." in str(lms.engine.requests[0])


def test_react_does_not_run_without_a_tool_it_was_promised():
    error = refused(Modules(Imports()).build, react("look_up"), parse(QA))
    assert (error.reason, error.retryable) == (Reason.TOOL_FAILURE, True)
    assert "'look_up'" in str(error)


def test_parallel_answers_in_the_order_of_its_items(start_worker):
    answers = {f"<{n}>": {"answer": str(n), "confidence": 0.5} for n in range(20)}
    worker = program(start_worker(answers), "Parallel", num_threads=8)
    outputs = worker.client.execute("qa", {"items": [{"question": f"<{n}>"} for n in range(20)]}).outputs
    assert outputs == {"results": [{"answer": str(n), "confidence": 0.5} for n in range(20)]}


def test_an_item_that_fails_fails_the_run_with_its_own_reason(start_worker):
    worker = start_worker({"sky": SKY, "sea": lmtest.CassetteMiss("not recorded")})
    program(worker, "Parallel", num_threads=2)
    items = [{"question": "sky"}, {"question": "sea"}, {"question": "sky"}]
    assert refused(worker.client.execute, "qa", {"items": items}).reason is Reason.CASSETTE_MISS


def test_an_item_that_is_no_input_is_named_by_its_path(start_worker):
    worker = program(start_worker(), "Parallel")
    error = refused(worker.client.execute, "qa", {"items": [{"question": "sky"}, {"question": 3}]})
    assert (error.reason, error.field) == (Reason.VALIDATION_ERROR, "items[1].question")


def test_program_of_thought_runs_the_models_code_where_there_is_a_sandbox():
    signature = parse(QA)
    modules = Modules(Imports(), interpreter=LocalInterpreter)
    made = Program(
        id="prog_1",
        name="qa",
        signature_id="sig_1",
        module=Module.PROGRAM_OF_THOUGHT,
        config=ProgramConfig(),
        created_at=datetime.now(UTC),
    )
    modules.check(made, signature)
    code = {"reasoning": "Compute.", "generated_code": "```python\nresult = 6 * 7\nresult\n```"}
    lms = ScriptedLMs(
        {"code_output": {"reasoning": "It says 42.", "answer": "42", "confidence": 1.0}, "6": code},
    )
    with dspy.context(lm=lms.lm(made.config, None)):
        prediction = modules.build(made, signature)(question="6 times 7?")
    assert accept_outputs(made, signature, answers(prediction))["answer"] == "42"
    assert "code_output ## ]]\n42" in lms.engine.prompts[-1]


def test_program_of_thought_is_refused_where_its_sandbox_does_not_run(start_worker, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "deno", None)  # the package that brings it
    error = refused(program, start_worker(), "ProgramOfThought")
    assert (error.reason, error.field) == (Reason.CONFIGURATION, "module")
    assert "pip install 'dspy[deno]'" in str(error)


# ---- formats and demos


@pytest.mark.parametrize(
    ("format_", "wants"),
    [
        ("chat", "[[ ## answer ## ]]"),
        ("json", "JSON object"),
        ("xml", "<answer>"),
        ("baml", "JSON object"),
        ("two_step", "laid out|lay out"),
    ],
)
def test_the_format_is_how_the_prompt_is_written(mocked, start_worker, format_, wants):
    mocked.create_program("p", signature=QA, module="Predict", format=format_)
    assert sorted(mocked.execute("p", {"question": "sky"}).outputs) == ["answer", "confidence"]
    worker = program(start_worker({"": SKY}), "Predict", format=format_)
    with contextlib.suppress(WorkerError):  # the script answers in chat's form alone
        worker.client.execute("qa", {"question": "sky"})
    first = worker.lms.engine.requests[0]
    assert re.search(wants.replace("[", r"\["), str(first))


@pytest.mark.parametrize(
    ("module", "options"),
    [
        ("Predict", {}),
        ("ChainOfThought", {}),
        ("MultiChainComparison", {"m": 2}),
        ("BestOfN", {"reward": "field:confidence"}),
    ],
)
def test_demos_reach_the_prompt(start_worker, module, options):
    answer = {"reasoning": "So.", "rationale": "So.", **SKY}
    worker = program(
        start_worker({"sky": answer}), module, demos=[{"question": "And grass?", "answer": "green"}], **options
    )
    worker.client.execute("qa", {"question": "sky"})
    assert "And grass?" in str(worker.lms.engine.requests[0])
    assert worker.client.get_program("qa").config.demos == ({"question": "And grass?", "answer": "green"},)


def test_a_demo_that_breaks_the_signature_is_refused_by_its_path(start_worker):
    error = refused(program, start_worker(), "Predict", demos=[{"answer": "x"}, {"confidence": 2.0, "colour": "red"}])
    assert [problem.field for problem in error.problems] == ["demos[1].confidence", "demos[1].colour"]


# ---- what is refused


@pytest.mark.parametrize(
    ("module", "options", "says"),
    [
        ("ReAct", {"max_iter": 3}, "max_iters"),
        ("ReAct", {"max_iters": 0}, "below minimum 1"),
        ("Predict", {"n": 3}, "n"),
        ("BestOfN", {}, "reward"),
        ("BestOfN", {"reward": "field:answer"}, "'field:confidence'"),
        ("BestOfN", {"reward": "os:getcwd"}, "--allow-import 'os:getcwd'"),
        ("Parallel", {"of": "Refine"}, "ChainOfThought"),
        ("MultiChainComparison", {"m": 1}, "below minimum 2"),
        ("Refine", {"reward": "field:confidence", "format": "two_step"}, "two_step"),
        ("Predict", {"tools": ["search"]}, "use ReAct"),
        ("ReAct", {"tools": ["not a name"]}, "names no tool"),
        ("ReAct", {"tools": ["search", "search"]}, "twice"),
        ("Predict", {"format": "yaml"}, "baml"),
    ],
)
def test_what_a_module_does_not_take_is_refused_at_creation(start_worker, module, options, says):
    worker = start_worker()
    assert says in str(refused(program, worker, module, **options))
    assert list(worker.client.programs()) == []


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("ReAct", "signature s: :string trajectory -> :string answer"),
        ("ChainOfThought", "signature s: :string reasoning -> :string answer"),
        ("MultiChainComparison", "signature s: :string q -> :string rationale"),
    ],
)
def test_a_field_that_a_module_uses_itself_is_refused(start_worker, module, text):
    error = refused(start_worker().client.create_program, "p", signature=text, module=module)
    assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, "signature")


@pytest.mark.parametrize(
    ("setting", "value"), [("model", " "), ("temperature", -1.0), ("temperature", math.nan), ("max_tokens", 0)]
)
def test_a_setting_that_is_none_is_refused(start_worker, setting, value):
    error = refused(start_worker().client.create_program, "p", signature=QA, **{setting: value})
    assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, f"config.{setting}")


def test_the_documentation_lists_every_module_with_its_options_and_defaults():
    told = DOCUMENTATION.read_text()
    for module, options in OPTIONS.items():
        (row,) = re.findall(rf"^\| `{module}` \|.*\|$", told, re.MULTILINE)
        for option in options:
            default = "" if option.default is REQUIRED else f" = {json.dumps(option.default)}"
            assert f"`{option.name}{default}`" in row
