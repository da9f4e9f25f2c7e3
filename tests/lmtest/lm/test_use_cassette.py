"""What ``use_cassette`` promises: every call is answered as the mode says, and nothing in the program changes."""

import asyncio
from pathlib import Path

import dspy

import lmtest

from .recordings import QUESTION, acall, qa, record


def test_what_was_recorded_is_replayed_without_server_or_key(lm, provider, unreachable_lm):
    [answer], _ = record(lm, QUESTION)
    provider.close()
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml", mode="replay") as cassette:
        assert qa(question=QUESTION).answer == answer
    assert [call.hit for call in cassette.calls] == ["cassette"]
    assert cassette.unplayed == ()


def test_replay_is_the_mode_where_nobody_says_one(lm, unreachable_lm):
    [answer], _ = record(lm, QUESTION)
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml") as cassette:
        assert qa(question=QUESTION).answer == answer
    assert cassette.mode is lmtest.Mode.REPLAY


def test_the_environment_wins_over_the_argument(lm, monkeypatch, provider):
    monkeypatch.setenv("LM_MODE", "mock")
    with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="record") as cassette:
        assert qa(question=QUESTION).answer
    assert cassette.mode is lmtest.Mode.MOCK
    assert provider.requests == []


def test_mock_mode_needs_no_recording_and_touches_nothing(unreachable_lm, project):
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette(mode="mock") as cassette:
        result = dspy.ChainOfThought("question -> answer: int, sure: bool")(question=QUESTION)
    assert isinstance(result.answer, int)
    assert isinstance(result.sure, bool)
    assert [call.hit for call in cassette.calls] == ["mock"]
    assert list(project.glob("*.yaml")) == []


def test_live_mode_calls_and_writes_nothing(lm, provider, project):
    with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="live") as cassette:
        qa(question=QUESTION)
    assert len(provider.requests) == 1
    assert [call.hit for call in cassette.calls] == ["live"]
    assert not Path("qa.yaml").exists()


def test_the_modes_of_the_enum_are_whole():
    assert [mode.value for mode in lmtest.Mode] == ["mock", "replay", "record", "auto", "refresh", "live"]


def test_a_warm_dspy_cache_does_not_answer_instead(lm, provider, fresh_question):
    with dspy.context(lm=lm):
        qa(question=fresh_question)
    _, cassette = record(lm, fresh_question)
    assert len(cassette.recorded) == 1
    assert len(provider.requests) == 2


def test_dspy_and_its_cache_are_as_they_were_afterwards(lm, provider, fresh_question):
    record(lm, fresh_question)
    with dspy.context(lm=lm):
        qa(question=fresh_question)
        qa(question=fresh_question)
    assert len(provider.requests) == 2, "of two equal calls outside, DSPy's own cache answers the second"


def test_history_and_usage_read_the_same_in_replay(lm, unreachable_lm):
    record(lm, QUESTION)
    with dspy.context(lm=unreachable_lm, track_usage=True), lmtest.use_cassette("qa.yaml"):
        result = qa(question=QUESTION)
    then, now = lm.history[-1], unreachable_lm.history[-1]
    assert now["usage"] == then["usage"]
    assert now["cost"] == then["cost"] > 0
    assert result.get_lm_usage()["gemini/gemini-2.5-flash"]["prompt_tokens"] == then["usage"]["prompt_tokens"]


def test_a_dummy_lm_answers_for_itself():
    with (
        dspy.context(lm=dspy.utils.DummyLM([{"answer": "blue"}])),
        lmtest.use_cassette("none.yaml", may_be_absent=True),
    ):
        assert qa(question="What colour is the sky?").answer == "blue"


def test_it_decorates_functions_and_coroutines(lm, unreachable_lm):
    [answer], _ = record(lm, QUESTION)

    @lmtest.use_cassette("qa.yaml")
    def ask():
        return qa(question=QUESTION).answer

    @lmtest.use_cassette("qa.yaml")
    async def ask_async():
        return await acall(QUESTION)

    with dspy.context(lm=unreachable_lm):
        assert [ask(), ask(), asyncio.run(ask_async())] == [answer] * 3
