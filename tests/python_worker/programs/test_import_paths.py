"""Programs of one's own, by import path: what the allow-list lets in, and what is known of their signatures."""

import pytest

import lmtest
from python_worker.client import Reason
from python_worker.runtime import Imports
from python_worker.settings import Settings

from ..calling import refused  # noqa: TID252 - tests are no installed package

SKY = {"sky": {"answer": "blue", "reasoning": "Rayleigh.", "mood": "calm"}}

SOURCE = '''
"""Programs of a user's own."""

import os
from os import getcwd

import dspy
from pydantic import BaseModel

print("imported")


class Qa(dspy.Module):
    def __init__(self):
        super().__init__()
        self.answer = dspy.ChainOfThought("question -> answer")

    def forward(self, question):
        return self.answer(question=question)


class Steps(dspy.Module):
    """Two predictors, and no signature of its own."""

    def __init__(self):
        super().__init__()
        self.first = dspy.Predict("question -> answer")
        self.second = dspy.Predict("question, answer -> mood")
        self.runs = 0

    def forward(self, question):
        self.runs += 1
        answer = self.first(question=question).answer
        mood = self.second(question=question, answer=answer).mood
        return dspy.Prediction(answer=answer, mood=mood, runs=self.runs, point=Point(x=1), pair=(1, 2))


class Point(BaseModel):
    x: int


class Strict(dspy.Module):
    """Says what it takes and answers."""

    signature = dspy.Signature("question: str -> answer: str, stars: int")

    def __init__(self):
        super().__init__()
        self.steps = Steps()

    def forward(self, question):
        return dspy.Prediction(answer=self.steps(question=question).answer, stars="many")


class Bare(dspy.Module):
    def forward(self, question):
        return question


def make():
    return Qa()


def fail():
    raise RuntimeError("no such model")


def score(inputs, prediction):
    return len(prediction.answer) / 4


def bad_score(inputs, prediction):
    return "good"


made = Qa()
text = "no program"
'''


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module that can be imported, by a name of its own."""
    name = f"mine_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.fixture
def worker(start_worker, mine):
    return start_worker(SKY, allow_imports=(f"{mine}:*",))


@pytest.mark.parametrize("name", ["Qa", "make", "made"])
def test_a_class_a_factory_and_an_instance_are_programs_with_the_signature_of_their_predictor(worker, mine, name):
    made = worker.client.create_program("qa", import_path=f"{mine}:{name}")
    assert (made.module, made.import_path) == (None, f"{mine}:{name}")
    assert (made.capabilities.streaming, made.capabilities.asynchronous) == (True, False)
    signature = worker.client.get_signature(made.signature_id)
    assert ":string question -> :string reasoning" in signature.text
    execution = worker.client.execute("qa", {"question": "sky"})
    assert execution.outputs == {"answer": "blue", "reasoning": "Rayleigh."}
    error = refused(worker.client.execute, "qa", {"question": 3})
    assert (error.reason, error.field) == (Reason.VALIDATION_ERROR, "question")


def test_one_without_a_signature_takes_what_it_is_given_and_each_run_has_a_copy_of_its_own(worker, mine):
    made = worker.client.create_program("steps", import_path=f"{mine}:Steps")
    assert made.signature_id == ""
    for _ in range(2):
        outputs = worker.client.execute("steps", {"question": "sky"}).outputs
        assert outputs == {"answer": "blue", "mood": "calm", "runs": 1, "point": {"x": 1}, "pair": [1, 2]}


def test_one_with_a_signature_of_its_own_is_held_to_it(worker, mine):
    worker.client.create_program("strict", import_path=f"{mine}:Strict")
    error = refused(worker.client.execute, "strict", {"question": "sky"})
    assert (error.reason, error.field, error.stage.value) == (Reason.VALIDATION_ERROR, "stars", "output_validation")


def test_one_that_answers_with_no_prediction_is_told(worker, mine):
    worker.client.create_program("bare", import_path=f"{mine}:Bare")
    assert "dspy.Prediction" in str(refused(worker.client.execute, "bare", {"question": "sky"}))


def test_the_settings_of_the_model_and_demos_are_for_it_too(worker, mine):
    demos = [{"question": "And grass?", "answer": "green"}]
    worker.client.create_program("qa", import_path=f"{mine}:Qa", format="json", demos=demos)
    refused(worker.client.execute, "qa", {"question": "sky"})  # the script answers in chat's form alone
    assert "And grass?" in str(worker.lms.engine.requests[0])
    assert "JSON object" in str(worker.lms.engine.requests[0])


def test_a_reward_of_ones_own_chooses_the_best(start_worker, mine):
    answers = [{"answer": "grey"}, {"answer": "bluish"}, {"answer": "x"}]
    worker = start_worker({"sky": answers}, allow_imports=(f"{mine}:*score",))
    qa = "signature qa: :string question -> :string answer"
    options = {"reward": f"{mine}:score", "threshold": 2.0, "of": "Predict"}
    worker.client.create_program("qa", signature=qa, module="BestOfN", module_options=options)
    assert worker.client.execute("qa", {"question": "sky"}).outputs == {"answer": "bluish"}
    worker.lms.engine.answers["sky"] = {"answer": "grey"}
    options["reward"] = f"{mine}:bad_score"
    worker.client.create_program("bad", signature=qa, module="BestOfN", module_options=options)
    error = refused(worker.client.execute, "bad", {"question": "sky"})
    assert (error.reason, "must return a finite number, not 'good'" in str(error)) == (Reason.CONFIGURATION, True)


def test_programs_of_one_instance_do_not_show_each_others_demos(worker, mine):
    for name in ("green", "white"):
        demos = [{"question": "And this?", "answer": name}]
        worker.client.create_program(name, import_path=f"{mine}:made", demos=demos)
    for name in ("green", "white"):
        worker.client.execute(name, {"question": "sky"})
    shown = [("green" in str(each), "white" in str(each)) for each in worker.lms.engine.requests]
    assert shown == [(True, False), (False, True)]


@pytest.mark.parametrize(
    ("name", "reason", "says"),
    [
        ("fail", Reason.INVALID_ARGUMENT, "failed when called: RuntimeError: no such model"),
        ("text", Reason.INVALID_ARGUMENT, "is str, not a dspy.Module"),
        ("score", Reason.INVALID_ARGUMENT, "failed when called: TypeError"),
        ("nothing", Reason.CONFIGURATION, "has no attribute 'nothing'"),
        ("os.system", Reason.INVALID_ARGUMENT, "is no import path"),
        ("getcwd", Reason.PERMISSION_DENIED, "--allow-import 'posix:getcwd'"),
    ],
)
def test_what_is_no_program_is_refused(worker, mine, name, reason, says):
    error = refused(worker.client.create_program, "p", import_path=f"{mine}:{name}")
    assert (error.reason, error.field) == (reason, "import_path")
    assert says in str(error)


def test_nothing_is_importable_unless_the_worker_was_told(start_worker, mine):
    error = refused(start_worker().client.create_program, "p", import_path=f"{mine}:Qa")
    assert (error.reason, error.field) == (Reason.PERMISSION_DENIED, "import_path")
    assert f"which is empty: start the worker with --allow-import '{mine}:Qa'" in str(error)


def test_a_program_whose_path_is_not_allowed_any_more_does_not_run(database, start_worker, mine):
    start_worker(SKY, database=database, allow_imports=(f"{mine}:*",)).client.create_program(
        "qa", import_path=f"{mine}:Qa"
    )
    later = start_worker(SKY, database=database)
    error = refused(later.client.execute, "qa", {"question": "sky"})
    assert (error.reason, error.stage.value) == (Reason.PERMISSION_DENIED, "signature_compilation")


@pytest.mark.parametrize(
    "options", [{"signature": "q -> a"}, {"module": "Predict"}, {"module_options": {"n": 1}}, {"tools": ["search"]}]
)
def test_an_import_path_goes_with_no_signature_module_or_options(worker, mine, options):
    assert refused(worker.client.create_program, "p", import_path=f"{mine}:Qa", **options).reason is (
        Reason.INVALID_ARGUMENT
    )


@pytest.mark.parametrize(
    ("pattern", "path", "allowed"),
    [
        ("a.b:C", "a.b:C", True),
        ("a.b:C", "a.b:D", False),
        ("a.*:*", "a.b.c:D", True),
        ("a.*:*", "ab.c:D", False),
        ("a:?", "a:C", True),
        ("[a]:C", "a:C", False),
        ("a:*", "a.b:C", False),
    ],
)
def test_patterns_of_the_allow_list(pattern, path, allowed):
    imports = Imports([pattern])
    if allowed:
        imports.check(path)
    else:
        assert refused(imports.check, path).reason is Reason.PERMISSION_DENIED


@pytest.mark.parametrize("pattern", ["mine", "mine:", ":x", "a:b:c", ""])
def test_a_pattern_that_allows_nothing_is_refused_at_the_start(tmp_path, pattern):
    settings = Settings(mode=lmtest.Mode.MOCK, cassette_dir=tmp_path, data_dir=tmp_path, allow_imports=(pattern,))
    with pytest.raises(lmtest.ConfigurationError, match="--allow-import"):
        settings.check({})
