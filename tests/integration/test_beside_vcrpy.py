"""What the README says of recorders below HTTP, held against vcrpy itself, in a mode that must not call out."""

import dspy
import pytest
import vcr

import lmtest
from lmtest.http.server import StandIn

QUESTIONS = ["What is the capital of France?", "What is the capital of Spain?", "What is the capital of Italy?"]


@pytest.fixture
def provider():
    with StandIn() as server:
        yield server


def asked(provider, questions, *, engine):
    base = f"{provider.url}/v1beta"
    lm = dspy.LM("gemini/gemini-2.5-flash", api_base=base, api_key="any-key", cache=False, engine=engine)
    qa = dspy.Predict("question -> answer")
    with dspy.context(lm=lm):
        return [qa(question=question).answer for question in questions]


def test_dspys_own_engine_goes_past_it(provider, tmp_path):
    with vcr.use_cassette(str(tmp_path / "empty.yaml"), record_mode="none"):
        asked(provider, QUESTIONS[:1], engine="auto")
    assert len(provider.requests) == 1


def test_dspys_own_engine_does_not_go_past_lmtest(provider, tmp_path):
    with pytest.raises(lmtest.CassetteNotFound), lmtest.use_cassette(tmp_path / "none.yaml", mode="replay"):
        asked(provider, QUESTIONS[:1], engine="auto")
    assert provider.requests == []


def test_with_its_own_matching_a_call_that_is_left_out_gives_the_next_one_its_answer(provider, tmp_path):
    path = str(tmp_path / "qa.yaml")
    with vcr.use_cassette(path, record_mode="all"):
        recorded = asked(provider, QUESTIONS, engine="litellm")
    with vcr.use_cassette(path, record_mode="none"):
        played = asked(provider, QUESTIONS[1:], engine="litellm")
    assert played == recorded[:2] != recorded[1:]


def test_with_its_own_matching_a_changed_prompt_plays_the_old_answer(provider, tmp_path):
    path = str(tmp_path / "qa.yaml")
    with vcr.use_cassette(path, record_mode="all"):
        recorded = asked(provider, QUESTIONS[:1], engine="litellm")
    with vcr.use_cassette(path, record_mode="none"):
        assert asked(provider, QUESTIONS[1:2], engine="litellm") == recorded


def test_with_lmtest_each_question_has_its_own_answer(provider, tmp_path):
    path = tmp_path / "qa.yaml"
    with lmtest.use_cassette(path, mode="record"):
        recorded = asked(provider, QUESTIONS, engine="litellm")
    with lmtest.use_cassette(path, mode="replay"):
        assert asked(provider, QUESTIONS[1:], engine="litellm") == recorded[1:]
