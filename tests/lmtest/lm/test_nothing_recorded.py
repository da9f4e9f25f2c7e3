"""A block that calls nothing is recorded as that, and replays."""

from pathlib import Path

import dspy
import pytest

import lmtest
from lmtest.cassette.index import Index

from .recordings import QUESTION, qa, record


def record_nothing(mode="record", **options):
    with lmtest.use_cassette("qa.yaml", mode=mode, **options) as cassette:
        pass
    return cassette


@pytest.mark.parametrize("mode", ["record", "auto"])
def test_a_block_that_calls_nothing_records_nothing_and_replays(mode):
    record_nothing(mode)
    with lmtest.use_cassette("qa.yaml", mode="replay") as cassette:
        pass
    assert (cassette.played, cassette.unplayed) == ((), ())


def test_the_file_is_a_header_alone():
    record_nothing(test="test_qa.py::test_it")
    index = Index(Path("qa.yaml"))
    assert (index.entries, index.header.source, index.header.tests) == ((), "", ("test_qa.py::test_it",))


@pytest.mark.parametrize("mode", ["mock", "live", "refresh"])
def test_a_mode_that_records_no_cassette_writes_none_for_nothing(mode, project):
    record_nothing(mode)
    assert list(project.glob("*.yaml")) == []


def test_a_block_that_fails_writes_no_file():
    with pytest.raises(ZeroDivisionError), lmtest.use_cassette("qa.yaml", mode="record"):
        1 / 0  # noqa: B018
    assert not Path("qa.yaml").exists()


def test_what_asks_after_nothing_was_recorded_misses(unreachable_lm):
    record_nothing()
    with pytest.raises(lmtest.CassetteMiss), dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml"):
        qa(question=QUESTION)


def test_a_recording_takes_the_place_of_nothing_and_names_its_source_alone(lm, unreachable_lm):
    record_nothing()
    [answer], _ = record(lm, QUESTION)
    assert Index(Path("qa.yaml")).header.source == "stand-in"
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml") as cassette:
        assert qa(question=QUESTION).answer == answer
    assert cassette.unplayed == ()


def test_nothing_recorded_by_another_opening_of_the_run_takes_nothing_away(lm, unreachable_lm):
    [answer], _ = record(lm, QUESTION)
    record_nothing()
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml"):
        assert qa(question=QUESTION).answer == answer


def test_an_lm_that_answers_by_itself_is_recorded_as_nothing_and_replays():
    here = dspy.utils.DummyLM([{"answer": "own"}, {"answer": "own again"}])
    with dspy.context(lm=here), lmtest.use_cassette("qa.yaml", mode="record"):
        qa(question=QUESTION)
    with dspy.context(lm=here), lmtest.use_cassette("qa.yaml"):
        assert qa(question=QUESTION).answer == "own again"


def test_an_lm_with_a_cassette_of_its_own_that_is_never_asked_replays():
    for mode in ("record", "replay"):
        with lmtest.LM("gemini/gemini-2.5-flash", cassette="lm.yaml", mode=mode) as lm:
            pass
    assert lm.cassette.calls == ()


def test_a_decorated_function_that_calls_nothing_replays(monkeypatch):
    @lmtest.use_cassette("qa.yaml")
    def silent():
        return "silence"

    for mode in ("record", "replay"):
        monkeypatch.setenv("LM_MODE", mode)
        assert silent() == "silence"


def test_sources_of_tools_and_of_models_stand_together_in_a_header(lm):
    @lmtest.tool
    def search(query: str) -> str:
        return query

    with lmtest.use_cassette("qa.yaml", mode="record"):
        search("a")
    with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="auto"):
        qa(question=QUESTION)
    assert Index(Path("qa.yaml")).header.source == "stand-in"
