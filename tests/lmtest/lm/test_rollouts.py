"""``rollout_id`` tells apart calls that ask the same, as it does in DSPy's own cache."""

import subprocess
import sys
from pathlib import Path

import dspy
import pytest

import lmtest
from lmtest.testing import ScriptedProvider, fields

qa = dspy.Predict("question -> answer")


def ask(lm, rollout):
    with dspy.context(lm=lm):
        config = {} if rollout is None else {"rollout_id": rollout}
        return qa(question="Heads?", config={"temperature": 1.0, **config}).answer


@pytest.fixture
def recorded(project):
    """A cassette of two rollouts, in order."""
    with ScriptedProvider([fields(answer="one"), fields(answer="two")]) as provider:
        with lmtest.use_cassette("qa.yaml", mode="record"):
            assert [ask(provider.lm(), rollout) for rollout in (1, 2)] == ["one", "two"]
    return "qa.yaml"


def test_rollouts_asked_in_another_order_get_their_own_answers(recorded, unreachable_lm):
    with lmtest.use_cassette(recorded, mode="replay") as cassette:
        assert [ask(unreachable_lm, rollout) for rollout in (2, 1)] == ["two", "one"]
    assert not cassette.unplayed


def test_a_rollout_that_is_not_recorded_is_missed(recorded, unreachable_lm):
    with (
        pytest.raises(lmtest.CassetteMiss, match=r"rollout_id: \[-\d-\]\{\+3\+\}"),
        lmtest.use_cassette(recorded, mode="replay"),
    ):
        ask(unreachable_lm, 3)


def test_a_cassette_without_rollouts_still_plays(project, unreachable_lm):
    with ScriptedProvider([fields(answer="one"), fields(answer="two")]) as provider:
        with lmtest.use_cassette("qa.yaml", mode="record"):
            for _ in range(2):
                ask(provider.lm(), None)
    with lmtest.use_cassette("qa.yaml", mode="replay"):
        assert [ask(unreachable_lm, rollout) for rollout in (1, 2)] == ["one", "two"]


def test_an_lm_that_carries_its_cassette_tells_them_apart_too(project):
    with ScriptedProvider([fields(answer="one"), fields(answer="two")]) as provider:
        where = {"api_base": f"{provider.url}/v1beta", "api_key": "k"}
        with lmtest.LM("gemini/gemini-2.5-flash", cassette="qa.yaml", mode="record", **where) as lm:
            assert [ask(lm, rollout) for rollout in (1, 2)] == ["one", "two"]
    with lmtest.LM("gemini/gemini-2.5-flash", cassette="qa.yaml", mode="replay", **where) as lm:
        assert [ask(lm, rollout) for rollout in (2, 1)] == ["two", "one"]


def test_candidates_of_a_rollout_play_in_order(project, unreachable_lm):
    with ScriptedProvider([fields(answer="one"), fields(answer="two")]) as provider:
        with lmtest.use_cassette("qa.yaml", mode="record"), dspy.context(lm=provider.lm()):
            said = qa(question="Heads?", config={"temperature": 1.0, "rollout_id": 1, "n": 2}).completions.answer
    with lmtest.use_cassette("qa.yaml", mode="replay"), dspy.context(lm=unreachable_lm):
        assert qa(question="Heads?", config={"temperature": 1.0, "rollout_id": 1, "n": 2}).completions.answer == said


def test_in_a_process_that_opened_no_other_cassette_it_does_so_too():
    test = f"{__file__}::{test_an_lm_that_carries_its_cassette_tells_them_apart_too.__name__}"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    alone = subprocess.run(command, cwd=Path(__file__).parents[3], check=False)
    assert alone.returncode == 0
