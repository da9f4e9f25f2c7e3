"""What is asked and not recorded."""

import dspy
import pytest

import lmtest

from .recordings import QUESTION, qa, record


def test_a_miss_shows_the_word_that_changed_and_how_to_record_it(lm, unreachable_lm):
    record(lm, QUESTION, test="tests/test_qa.py::test_capital")
    with (
        dspy.context(lm=unreachable_lm),
        pytest.raises(lmtest.CassetteMiss) as caught,
        lmtest.use_cassette("qa.yaml", test="tests/test_qa.py::test_capital"),
    ):
        qa(question="What is the capital of Spain?")
    text = str(caught.value)
    assert "What is the capital of [-France-]{+Spain+}?" in text
    assert "messages[0].user" in text
    assert "qa.yaml" in text
    assert "LM_MODE=record pytest 'tests/test_qa.py::test_capital'" in text
    [near] = caught.value.nearest
    assert [difference.path for difference in near.differences] == ["messages[0].user"]


def test_a_miss_is_not_retried_by_dspy(lm, unreachable_lm):
    record(lm, QUESTION)
    with (
        dspy.context(lm=unreachable_lm),
        pytest.raises(lmtest.CassetteMiss),
        lmtest.use_cassette("qa.yaml") as cassette,
    ):
        qa(question="Another?")
    assert len(cassette.missed) == 1


def test_a_swallowed_miss_is_raised_when_the_block_ends(lm, unreachable_lm):
    record(lm, QUESTION)
    with dspy.context(lm=unreachable_lm), pytest.raises(lmtest.CassetteMiss), lmtest.use_cassette("qa.yaml"):
        try:
            qa(question="Another?")
        except Exception:
            pass


def test_a_miss_that_is_expected_may_be_caught(lm, unreachable_lm):
    record(lm, QUESTION)
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml", allow_misses=True) as cassette:
        with pytest.raises(lmtest.CassetteMiss):
            qa(question="Another?")
    assert len(cassette.missed) == 1


def test_asking_once_more_than_was_recorded_is_exhausted(lm, unreachable_lm):
    record(lm, QUESTION)
    with (
        dspy.context(lm=unreachable_lm),
        pytest.raises(lmtest.CassetteExhausted, match="recorded 1 time"),
        lmtest.use_cassette("qa.yaml"),
    ):
        qa(question=QUESTION)
        qa(question=QUESTION)


def test_repeat_last_answers_once_more(lm, unreachable_lm):
    [answer], _ = record(lm, QUESTION)
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml", repeat="last"):
        assert [qa(question=QUESTION).answer for _ in range(3)] == [answer] * 3


def test_a_missing_cassette_says_how_to_record_it():
    with pytest.raises(lmtest.CassetteNotFound, match="LM_MODE=record"), lmtest.use_cassette("absent.yaml"):
        pass
