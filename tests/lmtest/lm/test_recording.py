"""What a recording leaves behind: the file, and rows in the ledger."""

from decimal import Decimal
from pathlib import Path

import dspy
import pytest

import lmtest
from lmtest.money.ledger import Ledger

from .recordings import QUESTION, qa, record


def test_an_exception_in_the_block_keeps_the_old_bytes(lm):
    record(lm, QUESTION)
    before = Path("qa.yaml").read_bytes()
    with dspy.context(lm=lm), pytest.raises(ZeroDivisionError), lmtest.use_cassette("qa.yaml", mode="record"):
        qa(question="Something else?")
        1 / 0  # noqa: B018
    assert Path("qa.yaml").read_bytes() == before


def test_a_block_that_called_nothing_keeps_the_old_bytes(lm):
    record(lm, QUESTION)
    before = Path("qa.yaml").read_bytes()
    with lmtest.use_cassette("qa.yaml", mode="record"):
        pass
    assert Path("qa.yaml").read_bytes() == before


def test_recording_without_a_key_says_what_to_set(monkeypatch):
    here = dspy.LM("gemini/gemini-2.5-flash")
    with (
        dspy.context(lm=here),
        pytest.raises(lmtest.ConfigurationError, match="GEMINI_API_KEY"),
        lmtest.use_cassette("qa.yaml", mode="record"),
    ):
        qa(question=QUESTION)
    assert not Path("qa.yaml").exists()


def test_the_key_of_the_provider_is_not_in_the_file(lm):
    record(lm, QUESTION)
    assert "a-key-for-the-stand-in" not in Path("qa.yaml").read_text()


def test_a_secret_in_a_prompt_is_redacted_and_still_replays(lm, unreachable_lm, monkeypatch):
    monkeypatch.setenv("SERVICE_TOKEN", "hush-hush-hush")
    question = "Why does hush-hush-hush not work?"
    [answer], _ = record(lm, question)
    assert "hush-hush-hush" not in Path("qa.yaml").read_text()
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml"):
        assert "Mock answer" in qa(question=question).answer
        assert answer


def test_failures_of_the_provider_are_kept_only_on_demand(provider):
    here = dspy.LM("gemini/no-such-model", api_base=f"{provider.url}/v1beta", api_key="k" * 12)
    for keep in (False, True):
        with dspy.context(lm=here), lmtest.use_cassette("f.yaml", mode="record", record_failures=keep):
            with pytest.raises(dspy.LMError):
                qa(question=QUESTION)
        assert Path("f.yaml").exists() is keep


def test_a_recorded_failure_is_the_same_exception_in_replay(provider):
    here = dspy.LM("gemini/no-such-model", api_base=f"{provider.url}/v1beta", api_key="k" * 12)
    caught = []
    for mode in ("record", "replay"):
        with dspy.context(lm=here), lmtest.use_cassette("f.yaml", mode=mode, record_failures=True):
            with pytest.raises(dspy.LMError) as error:
                qa(question=QUESTION)
        caught.append(error.value)
    assert type(caught[0]) is type(caught[1])
    assert str(caught[0]) == str(caught[1])
    assert (caught[0].status, caught[0].retry_after) == (caught[1].status, caught[1].retry_after)


def test_the_stand_in_never_passes_for_gemini(lm):
    record(lm, QUESTION)
    assert "source: stand-in" in Path("qa.yaml").read_text().split("---")[0]


def test_every_call_is_a_row_of_the_ledger(lm, unreachable_lm, project):
    _, recorded = record(lm, QUESTION, test="a::b")
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml", test="a::b"):
        qa(question=QUESTION)
    live, played = list(Ledger(project / ".lmtest" / "ledger.sqlite3"))
    assert (live.hit, live.mode, live.test, live.cassette) == ("live", "record", "a::b", "qa.yaml")
    assert live.would_cost == recorded.cost > 0
    assert (played.hit, played.cost, played.would_cost) == ("cassette", Decimal(0), live.would_cost)


def test_a_stand_in_charges_nothing_and_its_row_says_what_a_provider_would_have(lm, project):
    _, recorded = record(lm, QUESTION)
    [row] = Ledger(project / ".lmtest" / "ledger.sqlite3")
    assert (row.provider, row.cost, row.would_cost) == ("stand-in", 0, recorded.calls[0].cost)
    assert recorded.calls[0].spent == 0


def test_the_rows_of_live_and_played_calls_name_the_execution(lm, unreachable_lm, project):
    record(lm, "What is the capital of France?", execution="exec_1")
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml", execution="exec_2"):
        qa(question="What is the capital of France?")
    rows = list(Ledger(project / ".lmtest" / "ledger.sqlite3"))
    assert [(row.hit, row.execution) for row in rows] == [("live", "exec_1"), ("cassette", "exec_2")]


def test_the_ledger_can_be_switched_off(lm, project, monkeypatch):
    monkeypatch.setenv("LMTEST_LEDGER", "off")
    record(lm, QUESTION)
    assert not (project / ".lmtest").exists()


def test_a_ledger_that_cannot_be_written_does_not_fail_a_replay(lm, unreachable_lm, monkeypatch, caplog):
    [answer], _ = record(lm, QUESTION)
    monkeypatch.setenv("LMTEST_LEDGER", "/proc/nowhere/ledger.sqlite3")
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml"):
        assert qa(question=QUESTION).answer == answer
    assert "Played calls are not counted" in caplog.text
    assert "LMTEST_LEDGER=off" in caplog.text
