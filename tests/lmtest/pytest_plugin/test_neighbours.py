"""Beside unittest, asyncio and the plugins that people have."""

import pytest

ASYNC = """
import asyncio, dspy, pytest

pytestmark = [pytest.mark.lmtest, pytest.mark.asyncio(loop_scope="module")]

async def ask(question):
    return (await dspy.Predict("question -> answer").acall(question=question)).answer

@pytest.fixture
async def greeting(_lm):
    return await ask("Hello?")

async def test_a(greeting, lmtest_cassette):
    assert await ask("a") == "Paris"
    assert len(lmtest_cassette.calls) == 2

async def test_b(lmtest_cassette):
    answers = await asyncio.gather(ask("b1"), ask("b2"))
    assert answers == ["Paris", "Paris"]
    assert len(lmtest_cassette.calls) == 2
"""


def test_async_tests_have_cassettes_of_their_own_though_they_share_a_loop(suite, paris):
    suite.write(test_async=ASYNC)
    auto = ("-o", "asyncio_mode=auto")
    assert suite.run(*auto, mode="record", provider=paris).outcomes == {"passed": 2}
    assert suite.cassettes == ["test_async/test_a.yaml", "test_async/test_b.yaml"]
    assert suite.run(*auto).outcomes == {"passed": 2}


UNITTEST = """
import dspy, os, pytest, unittest

@pytest.mark.lmtest
class TestQA(unittest.TestCase):
    def setUp(self):
        self.first = dspy.Predict("question -> answer")(question="set up")

    def test_it(self):
        self.assertEqual(dspy.Predict("question -> answer")(question="it").answer, "Paris")

@pytest.mark.lmtest
class TestAsync(unittest.IsolatedAsyncioTestCase):
    async def test_it(self):
        # unittest copies the context before any fixture runs, so the model is said here.
        lm = dspy.LM("gemini/gemini-2.5-flash", api_base=os.environ.get("SUITE_API_BASE"), api_key="k")
        with dspy.context(lm=lm):
            answer = await dspy.Predict("question -> answer").acall(question="it")
        self.assertEqual(answer.answer, "Paris")
"""


def test_unittest_cases_have_cassettes(suite, paris):
    suite.write(test_unit=UNITTEST)
    assert suite.run(mode="record", provider=paris).outcomes == {"passed": 2}
    assert suite.cassettes == ["test_unit/TestAsync.test_it.yaml", "test_unit/TestQA.test_it.yaml"]
    assert suite.run().outcomes == {"passed": 2}


def test_a_swallowed_miss_fails_a_unittest_case(suite):
    text = """
import contextlib, dspy, pytest, unittest

@pytest.mark.lmtest
class TestQA(unittest.TestCase):
    def test_it(self):
        with contextlib.suppress(Exception):
            dspy.Predict("question -> answer")(question="it")
"""
    suite.write(test_unit=text)
    result = suite.run()
    assert result.outcomes == {"failed": 1}
    assert "there is no cassette" in result.output


MANY = """
import dspy, pytest

pytestmark = pytest.mark.lmtest

@pytest.mark.parametrize("number", range(6))
def test_it(number):
    assert dspy.Predict("question -> answer")(question=f"What is {number}?").answer == "Paris"
"""


def test_xdist_records_and_replays_and_loses_nothing(suite, paris):
    suite.write(test_many=MANY)
    assert suite.run("-n", "2", mode="record", provider=paris).outcomes == {"passed": 6}
    assert suite.cassettes == [f"test_many/test_it[{number}].yaml" for number in range(6)]
    result = suite.run("-n", "2")
    assert result.outcomes == {"passed": 6}
    assert "6 calls in 6 tests (6 played), 6 cassettes" in result.output


def test_the_order_of_tests_does_not_matter(suite, paris):
    suite.write(test_many=MANY)
    assert suite.run("-p", "randomly", "-p", "no:xdist", mode="record", provider=paris).outcomes == {"passed": 6}
    for seed in ("1", "2"):
        assert suite.run("-p", "randomly", "-p", "no:xdist", f"--randomly-seed={seed}").outcomes == {"passed": 6}


def test_coverage_is_measured_as_without_us(suite, paris):
    suite.write(test_many=MANY)
    suite.run(mode="record", provider=paris)
    result = suite.run("--cov=test_many", "--cov-report=term", subprocess=True)
    assert result.outcomes == {"passed": 6}
    assert "test_many.py" in result.output
    assert "100%" in result.output


def test_a_suite_may_have_pytest_recording_too(suite, paris):
    text = """
import dspy, pytest

@pytest.mark.lmtest
def test_ours():
    assert dspy.Predict("question -> answer")(question="Who?").answer == "Paris"

@pytest.mark.vcr
def test_theirs(vcr):
    assert vcr.play_count == 0
"""
    suite.write(test_both=text)
    assert suite.run("--record-mode=none", mode="record", provider=paris).outcomes == {"passed": 2}
    result = suite.run("--record-mode=none", "--block-network")
    assert result.outcomes == {"passed": 2}


@pytest.mark.parametrize("unloaded", ["xdist", "recording", "asyncio", "randomly", "cacheprovider", "terminalreporter"])
def test_no_other_plugin_is_needed(unloaded, suite, paris):
    suite.write(test_many=MANY)
    assert suite.run("-p", f"no:{unloaded}", mode="record", provider=paris).code == 0
    assert len(suite.cassettes) == 6


HEAVY = """
import sys, pytest

def test_it():
    heavy = {"dspy", "pydantic", "lmtest.settings", "lmtest.lm", "lmtest.cassette", "litellm", "lmtest.money"}
    assert not heavy & sys.modules.keys()
"""


def test_a_suite_that_uses_none_of_it_imports_nothing_heavy(pytester):
    pytester.makepyfile(HEAVY)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
