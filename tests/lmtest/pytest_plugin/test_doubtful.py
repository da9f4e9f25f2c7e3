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
