"""What a test prints that an error of lmtest's ended: the user's own lines and the sentence, whichever way it came."""

import re

import pytest

from lmtest.testing import ScriptedProvider, fields, rate_limited

PROGRAMS = """
import asyncio, dspy, pytest, unittest

pytestmark = pytest.mark.lmtest

class Program(dspy.Module):
    def __init__(self):
        super().__init__()
        self.answer = dspy.Predict("question -> answer")

    def forward(self, question):
        return self.answer(question=question)

qa = dspy.Predict("question -> answer")
pairs = [(qa, {"question": "Who?"}), (qa, {"question": "Why?"})]

@pytest.fixture
def answered():
    return qa(question="Who?")  # the line

def test_predict():
    qa(question="Who?")  # the line

def test_chain_of_thought():
    dspy.ChainOfThought("question -> answer")(question="Who?")  # the line

def test_lm():
    dspy.settings.lm("Who?")  # the line

def test_module():
    Program()(question="Who?")  # the line

def test_async():
    async def go():
        await qa.acall(question="Who?")
    asyncio.run(go())  # the line

def test_group():
    async def go():
        async with asyncio.TaskGroup() as group:
            group.create_task(qa.acall(question="Who?"))
    asyncio.run(go())

def test_stream():
    async def go():
        async for _ in dspy.streamify(qa)(question="Who?"):  # the line
            pass
    asyncio.run(go())

def test_sync_stream():
    for _ in dspy.streamify(qa, async_streaming=False)(question="Who?"):  # the line
        pass

def test_wrapped():
    try:
        qa(question="Who?")  # the line
    except Exception as error:
        raise ValueError("no answer") from error

def test_subtest(subtests):
    with subtests.test("one"):
        qa(question="Who?")  # the line

def test_fixture(answered):
    pass

class TestCase(unittest.TestCase):
    def test_of_a_class(self):
        qa(question="Who?")  # the line
"""
CAUGHT = """
import dspy, pytest

pytestmark = pytest.mark.lmtest

qa = dspy.Predict("question -> answer")
pairs = [(qa, {"question": "Who?"}), (qa, {"question": "Why?"})]

def test_caught():
    try:
        qa(question="Who?")  # the line
    except Exception:
        pass

def test_caught_and_gone_on_without():
    found = None
    try:
        found = qa(question="Who?")  # the line
    except Exception:
        pass
    found.answer

def test_parallel():
    dspy.Parallel(num_threads=2, max_errors=1, disable_progress_bar=True)(pairs)  # the line

def test_parallel_and_gone_on_without():
    one, _ = dspy.Parallel(num_threads=1, disable_progress_bar=True)(pairs)
    one.answer  # the line

def test_evaluate():
    examples = [dspy.Example(question="Who?").with_inputs("question")]
    dspy.Evaluate(devset=examples, metric=lambda *_: 1, num_threads=1, max_errors=1)(qa)  # the line
"""
REFUSALS = {
    "a budget, recording": ("record", {"LMTEST_USD_PER_RUN": "0.0000001"}, "BudgetExceeded: The call to"),
    "a budget, live": ("live", {"LMTEST_USD_PER_RUN": "0.0000001"}, "BudgetExceeded: The call to"),
    "a rate": ("record", {"LMTEST_TOKENS_PER_MINUTE": "1", "LMTEST_MAX_WAIT": "0"}, "RateLimited: "),
    "a recording that is not there": ("replay", {}, "CassetteNotFound: there is no cassette"),
    "a price that is not known": (
        "record",
        {"LMTEST_USD_PER_RUN": "1", "SUITE_MODEL": "openai/none"},
        "set max_tokens",
    ),
}
CONFTEST = """
import os
import dspy, pytest

@pytest.fixture(autouse=True)
def _lm():
    model, base = os.environ.get("SUITE_MODEL", "gemini/gemini-2.5-flash"), os.environ.get("SUITE_API_BASE")
    with dspy.context(lm=dspy.LM(model, api_base=base, api_key="a-key", num_retries=0)):
        yield
"""


def failures(result):
    """What was printed of each test that failed or had no fixture, without what it printed itself."""
    told = re.split(r"=+ (?:FAILURES|ERRORS) =+\n", result.output, maxsplit=1)[1]
    told = re.split(r"^=+ (?:lmtest|short test summary info) =+$", told, maxsplit=1, flags=re.MULTILINE)[0]
    parts = re.split(r"^_{3,} (?:ERROR at setup of |TestCase\.)?(test_\w+)(?: .*)? _{3,}$", told, flags=re.MULTILINE)
    shown = {}
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        shown.setdefault(name, re.split(r"^-+ Captured ", text, maxsplit=1, flags=re.MULTILINE)[0])
    return shown


@pytest.fixture
def provider():
    with ScriptedProvider([fields(answer="You.", reasoning="So.")], repeat_last=True) as server:
        yield server


@pytest.mark.parametrize(("mode", "environ", "sentence"), REFUSALS.values(), ids=REFUSALS)
def test_an_error_of_ours_is_told_by_the_users_line_and_its_sentence(mode, environ, sentence, suite, provider):
    suite.write(test_qa=PROGRAMS, conftest=CONFTEST)
    result = suite.run(mode=mode, provider=provider, environ=environ)
    shown = failures(result)
    passed = result.outcomes.get("passed", 0)  # a rate lets the first one through
    assert passed <= ("TOKENS" in str(environ))
    assert len(shown) == PROGRAMS.count("def test_") - passed
    for name, text in shown.items():
        assert sentence in text, name
        assert name == "test_group" or "# the line" in text, name
        assert len(text.splitlines()) <= 25, text
        assert not re.search(r"site-packages|lmtest/(lm|money|pytest_plugin)/|asyncio/", text), text


@pytest.mark.parametrize("mode", ["record", "replay"])
def test_one_that_the_program_caught_is_too(mode, suite, provider):
    suite.write(test_qa=CAUGHT)
    shown = failures(suite.run(mode=mode, provider=provider, environ={"LMTEST_USD_PER_RUN": "0.0000001"}))
    assert len(shown) == CAUGHT.count("def test_")
    for name, text in shown.items():
        assert "# the line" in text or (mode == "replay" and name == "test_caught"), name
        assert "BudgetExceeded: The call to" in text or mode == "replay", name
        assert len(text.splitlines()) <= 25, text
        assert not re.search(r"site-packages|lmtest/(lm|money|pytest_plugin)/|asyncio/", text), text


def test_what_dspy_logs_of_a_refusal_is_not_told_again(suite, provider):
    suite.write(test_qa=CAUGHT)
    result = suite.run("-k", "evaluate", mode="record", provider=provider, environ={"LMTEST_USD_PER_RUN": "0.0000001"})
    assert result.output.count("The call to 'gemini/gemini-2.5-flash' could cost") == 1
    assert "(refused: told with the failure)" in result.output


def test_a_failure_of_the_providers_is_told_as_ever(suite):
    suite.write(test_qa=PROGRAMS)
    with ScriptedProvider([rate_limited()], repeat_last=True) as provider:
        result = suite.run("-k", "test_predict", mode="record", provider=provider)
    assert "dspy/clients/execution.py" in failures(result)["test_predict"]


def test_all_steps_are_told_where_they_are_asked_for(suite, provider):
    suite.write(test_qa=PROGRAMS)
    result = suite.run("-k", "test_predict", "--full-trace", mode="replay", provider=provider)
    assert "lmtest/lm/replay.py" in failures(result)["test_predict"]


def test_an_unmarked_test_is_told_so_too(suite, provider):
    suite.write(test_qa=PROGRAMS.replace("pytestmark = ", "_ = "))
    shown = failures(
        suite.run("-k", "test_predict", mode="live", provider=provider, environ={"LMTEST_USD_PER_RUN": "0.0000001"})
    )
    assert "# the line" in shown["test_predict"]
    assert len(shown["test_predict"].splitlines()) <= 25
