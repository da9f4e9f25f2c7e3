"""Mode refresh: what runs is recorded anew, beside the cassette, which stays as it is."""

from pathlib import Path

import dspy
import pytest

import lmtest
from lmtest.cassette import pending
from lmtest.cassette.index import Index

from .oracle import fields

qa = dspy.Predict("question -> answer")


def ask(lm, *questions, mode="refresh", **options):
    with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode=mode, **options) as cassette:
        return [qa(question=question).answer for question in questions], cassette


@pytest.fixture
def recorded(lm):
    ask(lm, "one?", "two?", mode="record")
    return Path("qa.yaml").read_bytes()


def test_calls_go_live_and_the_cassette_stays(lm, oracle, recorded):
    oracle.says["one?"] = fields(answer="another")
    answers, cassette = ask(lm, "one?", "two?")
    assert answers[0] == "another"
    assert [call.hit for call in cassette.calls] == ["live", "live"]
    assert Path("qa.yaml").read_bytes() == recorded


def test_what_is_recorded_anew_stands_beside_and_reads_as_a_cassette(lm, oracle, recorded):
    oracle.says["one?"] = fields(answer="another")
    ask(lm, "one?", "two?")
    pending.accept(Path("qa.yaml"))
    oracle.says.clear()
    assert ask(lm, "one?", "two?", mode="replay")[0][0] == "another"
    assert not Path("qa.new.yaml").exists()


def test_refreshing_twice_keeps_the_second_alone(lm, recorded, monkeypatch):
    ask(lm, "one?", "two?")
    monkeypatch.setenv("LMTEST_RUN", "another")
    ask(lm, "one?")
    assert len(Index(Path("qa.new.yaml")).entries) == 1


def test_what_one_run_refreshes_at_several_openings_stands_beside_together(lm, recorded):
    ask(lm, "one?", test="t.py::test_one")
    ask(lm, "two?", test="t.py::test_two")
    ask(lm, "one?", test="t.py::test_one")
    index = Index(Path("qa.new.yaml"))
    assert len(index.entries) == 2
    assert index.header.tests == ("t.py::test_one", "t.py::test_two")


def fail(lm, question, test):
    with dspy.context(lm=lm), pytest.raises(ZeroDivisionError):
        with lmtest.use_cassette("qa.yaml", mode="refresh", test=test):
            qa(question=question)
            1 / 0  # noqa: B018


@pytest.mark.parametrize("failed_first", [True, False])
def test_where_one_of_a_cassettes_tests_failed_all_of_it_is_never_accepted(lm, recorded, failed_first):
    if failed_first:
        fail(lm, "one?", "t.py::test_one")
    ask(lm, "two?", test="t.py::test_two")
    if not failed_first:
        fail(lm, "one?", "t.py::test_one")
    assert len(Index(Path("qa.failed.yaml")).entries) == 1
    assert len(Index(Path("qa.new.yaml")).entries) == 1, "what the other recorded is not paid for again"
    assert pending.unfinished(Path("qa.yaml")) == ("t.py::test_one",)
    with pytest.raises(lmtest.CassetteError, match=r"t\.py::test_one of its tests did not run to the end"):
        pending.accept(Path("qa.yaml"))
    assert Path("qa.yaml").read_bytes() == recorded


def test_a_test_that_passed_and_fails_when_run_again_has_not_ended(lm, recorded, monkeypatch):
    ask(lm, "one?", test="t.py::test_one")
    ask(lm, "two?", test="t.py::test_two")
    monkeypatch.setenv("LMTEST_RUN", "another")
    fail(lm, "one?", "t.py::test_one")
    assert pending.unfinished(Path("qa.yaml")) == ("t.py::test_one",)


def test_a_test_that_failed_and_passes_when_run_again_may_be_accepted(lm, recorded):
    fail(lm, "one?", "t.py::test_one")
    ask(lm, "one?", test="t.py::test_one")
    assert len(Index(Path("qa.new.yaml")).entries) == 1
    assert not Path("qa.failed.yaml").exists()


def test_a_failed_call_is_kept_to_be_read_and_never_accepted(lm, oracle, recorded):
    oracle.says["one?"] = 429
    with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="refresh"):
        with pytest.raises(dspy.LMError):
            qa(question="one?")
        qa(question="two?")
    index = Index(Path("qa.failed.yaml"))
    assert [index.read(entry).failed for entry in index.entries] == ["rate_limit", None]
    assert not Path("qa.new.yaml").exists()
    with pytest.raises(lmtest.CassetteNotFound):
        pending.accept(Path("qa.yaml"))
    assert Path("qa.yaml").read_bytes() == recorded


def test_a_failure_that_was_overcome_by_trying_again_does_not_count(lm, oracle, recorded):
    oracle.says["one?"] = 500
    with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="refresh"):
        with pytest.raises(dspy.LMError):
            qa(question="one?")
        oracle.says.clear()
        qa(question="one?")
    assert len(Index(Path("qa.new.yaml")).entries) == 1


def test_a_block_that_fails_is_kept_to_be_read_and_never_accepted(lm, recorded):
    ask(lm, "one?", "two?")
    with dspy.context(lm=lm), pytest.raises(ZeroDivisionError), lmtest.use_cassette("qa.yaml", mode="refresh"):
        qa(question="one?")
        1 / 0  # noqa: B018
    assert Path("qa.failed.yaml").exists()
    assert not Path("qa.new.yaml").exists(), "an older one could be taken for this run's"


def test_an_interrupted_block_writes_nothing(lm, recorded):
    with dspy.context(lm=lm), pytest.raises(KeyboardInterrupt), lmtest.use_cassette("qa.yaml", mode="refresh"):
        qa(question="one?")
        raise KeyboardInterrupt
    assert [file.name for file in Path().glob("*.yaml")] == ["qa.yaml"]


def test_discarding_leaves_the_cassette(lm, recorded):
    ask(lm, "one?", "two?")
    pending.discard(Path("qa.yaml"))
    assert [file.name for file in Path().glob("*.yaml")] == ["qa.yaml"]
    assert Path("qa.yaml").read_bytes() == recorded


def test_another_model_answers_and_is_the_one_recorded(lm, oracle, recorded, monkeypatch):
    monkeypatch.setenv("LMTEST_REFRESH_TO", "gemini/gemini-2.5-pro")
    oracle.models.clear()
    ask(lm, "one?", "two?")
    index = Index(Path("qa.new.yaml"))
    assert {index.read(entry).model for entry in index.entries} == {"gemini/gemini-2.5-pro"}
    assert oracle.models == ["gemini-2.5-pro"] * 2


@pytest.mark.parametrize("stated", ["refresh", "record"])
def test_another_model_is_asked_in_a_refresh_alone(lm, oracle, monkeypatch, stated):
    monkeypatch.setenv("LMTEST_REFRESH_TO", "gemini/gemini-2.5-pro")
    oracle.models.clear()
    ask(lm, "one?", mode=stated)
    assert oracle.models == ["gemini-2.5-pro" if stated == "refresh" else "gemini-2.5-flash"]


def test_at_another_provider_the_key_and_address_of_this_one_are_not_used(lm, oracle, recorded, monkeypatch):
    monkeypatch.setenv("LMTEST_REFRESH_TO", "openai/gpt-5-mini")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    oracle.prompts.clear()
    with pytest.raises(lmtest.ConfigurationError, match="OPENAI_API_KEY"):
        ask(lm, "one?")
    assert oracle.prompts == []


def test_an_lm_that_carries_its_cassette_asks_the_other_model_too(oracle, monkeypatch):
    monkeypatch.setenv("LMTEST_REFRESH_TO", "gemini/gemini-2.5-pro")
    model, base = "gemini/gemini-2.5-flash", f"{oracle.url}/v1beta"
    with lmtest.LM(model, cassette="qa.yaml", mode="refresh", api_base=base, api_key="k" * 12) as here:
        with dspy.context(lm=here):
            qa(question="one?")
    assert oracle.models == ["gemini-2.5-pro"]
    assert Path("qa.new.yaml").exists()
