"""A recording run says at once what of it will not replay as it went."""

import pytest

from lmtest.testing import ScriptedProvider, fields, rate_limited, server_error

CAUGHT = """
import dspy, pytest

qa = dspy.Predict("question -> answer")

@pytest.mark.lmtest{arguments}
def test_it():
    try:
        qa(question="one")
    except dspy.LMError as error:
        assert error.status == 500
    assert qa(question="two").answer == "Paris"
"""


@pytest.fixture
def failing():
    with ScriptedProvider([server_error(), fields(answer="Paris")], repeat_last=True) as provider:
        yield provider


def test_a_failure_that_the_program_caught_is_told_with_the_setting_that_keeps_it(suite, failing):
    suite.write(test_x=CAUGHT.format(arguments=""))
    recorded = suite.run(mode="record", provider=failing)
    assert recorded.green
    assert "doubtful: test_x.py::test_it: " in recorded.output
    assert "a call to gemini/gemini-2.5-flash failed (server), and the program went on" in recorded.output
    assert "record it with record_failures=True" in recorded.output
    replayed = suite.run()
    assert not replayed.green
    assert (
        "If its provider failed then, and the program went on: record it with record_failures=True." in replayed.output
    )


def test_one_that_is_kept_is_no_doubt_and_replays(suite, failing):
    suite.write(test_x=CAUGHT.format(arguments="(record_failures=True)"))
    recorded = suite.run(mode="record", provider=failing)
    assert recorded.green
    assert "doubtful" not in recorded.output
    assert suite.run().green


def test_one_after_which_the_same_was_answered_is_no_doubt(suite):
    suite.write(
        test_x="""
        import dspy, pytest

        @pytest.mark.lmtest
        def test_it():
            with dspy.context(lm=dspy.settings.lm.copy(num_retries=1)):
                assert dspy.Predict("question -> answer")(question="one").answer == "Paris"
        """
    )
    with ScriptedProvider([rate_limited(retry_after=0), fields(answer="Paris")]) as provider:
        recorded = suite.run(mode="record", provider=provider)
    assert recorded.green
    assert "doubtful" not in recorded.output
    assert suite.run().green


FIXTURES = """
import dspy, pytest, unittest

qa = dspy.Predict("question -> answer")
pytestmark = pytest.mark.lmtest{arguments}

@pytest.fixture(scope="{scope}")
def known():
    answer = qa(question="before").answer
    yield answer
    qa(question="after")

def test_a(known): assert known == qa(question="a").answer
def test_b(known): assert known == qa(question="b").answer
"""
SESSION = """
import os
import dspy, pytest

@pytest.fixture(autouse=True, scope="session")
def _lm():
    base = os.environ.get("SUITE_API_BASE")
    with dspy.context(lm=dspy.LM("gemini/gemini-2.5-flash", api_base=base, api_key="a-key", num_retries=0)):
        yield
"""
TOLD = "the fixture 'known' of scope 'module' made 1 call, recorded into this test's cassette"
CURE = "share one: @pytest.mark.lmtest(scope='module')."


def test_calls_of_a_fixture_that_outlives_its_test_are_told_with_the_scope_that_cures_it(suite, paris):
    suite.write(test_x=FIXTURES.format(scope="module", arguments=""), conftest=SESSION)
    recorded = suite.run("-p", "no:randomly", mode="record", provider=paris)
    assert recorded.green
    assert f"doubtful: test_x.py::test_a: {TOLD}" in recorded.output  # as it was set up
    assert f"doubtful: test_x.py::test_b: {TOLD}" in recorded.output  # as it ended
    assert recorded.output.count(CURE) == 2
    assert not suite.run("-k", "test_b").green
    suite.write(test_x=FIXTURES.format(scope="module", arguments="(scope='module')"))
    cured = suite.run(mode="record", provider=paris)
    assert cured.green
    assert "doubtful" not in cured.output
    for part in ("test_a", "test_b", "test"):
        assert suite.run("-k", part).green


@pytest.mark.parametrize(
    ("scope", "arguments"), [("function", ""), ("module", "('one_file')"), ("class", "(scope='module')")]
)
def test_calls_that_every_test_finds_are_no_doubt(scope, arguments, suite, paris):
    suite.write(test_x=FIXTURES.format(scope=scope, arguments=arguments), conftest=SESSION)
    recorded = suite.run(mode="record", provider=paris)
    assert recorded.green
    assert "doubtful" not in recorded.output
    for part in ("test_a", "test_b"):
        assert suite.run("-k", part).green


def test_what_sets_up_a_class_is_told_by_its_name(suite, paris):
    suite.write(
        test_x="""
        import dspy, pytest, unittest

        @pytest.mark.lmtest
        class TestIt(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                cls.answer = dspy.Predict("question -> answer")(question="before").answer

            def test_it(self):
                assert self.answer == "Paris"
        """,
        conftest=SESSION,
    )
    recorded = suite.run(mode="record", provider=paris)
    assert recorded.green
    assert "the fixture 'setUpClass' of scope 'class' made 1 call" in recorded.output
