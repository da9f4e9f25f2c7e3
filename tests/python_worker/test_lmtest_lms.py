"""Which model a program gets, and which cassette an execution."""

import asyncio

import dspy
import pytest

import lmtest
from lmtest.money.ledger import Ledger
from lmtest.testing import fields
from python_worker.domain.program import ProgramConfig
from python_worker.domain.session import SessionLM
from python_worker.domain.stage import Stage
from python_worker.runtime import LmtestLMs
from python_worker.runtime.last_words import LastWords, listen
from python_worker.runtime.lmtest_lms import MAX_MODELS

from .calling import refused


@pytest.fixture
def lms(tmp_path):
    base = "http://127.0.0.1:1/v1beta"
    return LmtestLMs(mode=lmtest.Mode.REPLAY, cassette_dir=tmp_path, model="gemini/gemini-2.5-flash", api_base=base)


def test_the_cassette_is_named_by_the_program_and_by_what_was_asked(lms, tmp_path):
    path = lms.cassette_path("qa", {"question": "why", "n": None}, SessionLM())
    assert path == lms.cassette_path("qa", {"n": None, "question": "why"}, SessionLM())
    assert path.parent == tmp_path / "qa"
    assert path != lms.cassette_path("qa", {"question": "how", "n": None}, SessionLM())
    assert path != lms.cassette_path("qb", {"question": "why", "n": None}, SessionLM())


def test_a_program_that_names_no_model_gets_the_workers(lms):
    assert lms.lm(ProgramConfig(), SessionLM()).model == "gemini/gemini-2.5-flash"
    assert lms.lm(ProgramConfig(model="openai/gpt-5-mini"), SessionLM()).model == "openai/gpt-5-mini"


def test_settings_a_program_names_reach_the_model(lms):
    settings = {"temperature": 0.5, "max_tokens": 99}
    assert settings.items() <= lms.lm(ProgramConfig(**settings), SessionLM()).kwargs.items()


def test_programs_of_equal_settings_share_a_model(lms):
    assert lms.lm(ProgramConfig(temperature=0.5), SessionLM()) is lms.lm(ProgramConfig(temperature=0.5), SessionLM())
    assert lms.lm(ProgramConfig(temperature=0.5), SessionLM()) is not lms.lm(ProgramConfig(), SessionLM())


def test_models_are_not_kept_without_bound(lms):
    first = lms.lm(ProgramConfig(max_tokens=1), SessionLM())
    for number in range(2, MAX_MODELS + 2):
        lms.lm(ProgramConfig(max_tokens=number), SessionLM())
    assert lms.lm(ProgramConfig(max_tokens=1), SessionLM()) is not first


def test_the_ledgers_row_names_the_execution(lms, tmp_path, monkeypatch):
    monkeypatch.setenv("LMTEST_LEDGER", str(tmp_path / "ledger.sqlite3"))
    session = SessionLM(mode="mock")
    with lms.scope("qa", {}, session, execution_id="exec_1"), dspy.context(lm=lms.lm(ProgramConfig(), session)):
        dspy.Predict("question -> answer")(question="What is the capital of France?")
    with Ledger(tmp_path / "ledger.sqlite3") as ledger:
        assert [row.execution for row in ledger] == ["exec_1"]


def test_the_last_words_are_heard_of_a_model_asked_either_way_and_of_its_copies(lms, monkeypatch):
    monkeypatch.setenv("LMTEST_LEDGER", "off")
    session = SessionLM(mode="mock")
    model = lms.lm(ProgramConfig(), session)
    with lms.scope("qa", {}, session, execution_id="exec_1"):
        for lm in (model, model.copy(temperature=0.5)):
            listen(once := LastWords())
            assert lm("What is the capital of France?") == [once.text]
            listen(awaited := LastWords())
            assert asyncio.run(lm.acall("And of Spain?")) == [awaited.text]


@pytest.mark.parametrize("call", ["execute", "stream"])
def test_an_execution_that_fails_for_its_outputs_leaves_no_recording(call, live, tmp_path):
    worker = live(fields(answer="blue", confidence=1.5), fields(answer="blue", confidence=0.9), mode=lmtest.Mode.RECORD)
    ask = getattr(worker.client, call)
    error = refused(lambda: list(ask("qa", {"question": "sky"})))
    assert error.stage is Stage.OUTPUT_VALIDATION
    assert [*tmp_path.glob("cassettes/**/*.yaml")] == []
    worker.client.execute("qa", {"question": "sky"})
    assert len([*tmp_path.glob("cassettes/**/*.yaml")]) == 1


def test_half_a_character_is_recorded_and_replayed_alike(live, tmp_path):
    recorder = live("[[ ## answer ## ]]\nhalf \ud83e end\n\n[[ ## confidence ## ]]\n0.9\n", mode=lmtest.Mode.RECORD)
    recorded = recorder.client.execute("qa", {"question": "sky"}).outputs
    player = live(mode=lmtest.Mode.REPLAY)
    assert recorded == player.client.execute("qa", {"question": "sky"}).outputs
    assert recorded["answer"] == "half \ufffd end"
