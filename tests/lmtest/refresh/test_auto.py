"""Mode auto: what is recorded is played, what is not is recorded, and the file loses nothing."""

import asyncio
import subprocess
import sys
from pathlib import Path

import dspy
import pytest

import lmtest
from lmtest.cassette.index import Index

from .oracle import fields

qa = dspy.Predict("question -> answer")


def ask(lm, *questions, mode="auto", path="qa.yaml", **options):
    with dspy.context(lm=lm), lmtest.use_cassette(path, mode=mode, **options) as cassette:
        answers = [qa(question=question).answer for question in questions]
    return answers, cassette


def documents(path="qa.yaml"):
    index = Index(Path(path))
    return [index.text(entry) for entry in index.entries]


def test_without_a_file_everything_is_recorded(lm, oracle):
    _, cassette = ask(lm, "one?", "two?")
    assert (len(cassette.recorded), len(cassette.played), len(oracle.prompts)) == (2, 0, 2)
    assert len(documents()) == 2


def test_what_is_recorded_is_played_and_the_rest_recorded(lm, oracle):
    [recorded], _ = ask(lm, "one?", mode="record")
    oracle.says["one?"] = fields(answer="something else")
    answers, cassette = ask(lm, "one?", "two?")
    assert answers[0] == recorded
    assert [call.hit for call in cassette.calls] == ["cassette", "live"]
    assert len(oracle.prompts) == 2


def test_the_file_keeps_its_documents_in_order_and_gains_the_rest_after_them(lm):
    ask(lm, "one?", "two?", mode="record")
    before = documents()
    ask(lm, "three?", "one?")
    assert documents()[:2] == before
    assert len(documents()) == 3


def test_what_auto_has_completed_replays(lm, oracle):
    ask(lm, "one?", mode="record")
    answers, _ = ask(lm, "two?", "one?")
    replayed, cassette = ask(lm, "two?", "one?", mode="replay")
    assert replayed == answers
    assert cassette.unplayed == ()
    assert len(oracle.prompts) == 2


def test_a_file_that_lacks_nothing_is_not_written(lm):
    ask(lm, "one?", mode="record")
    before = Path("qa.yaml").stat().st_mtime_ns
    ask(lm, "one?")
    assert Path("qa.yaml").stat().st_mtime_ns == before


def test_asking_once_more_than_recorded_is_answered_live_and_recorded(lm, oracle):
    ask(lm, "one?", mode="record")
    _, cassette = ask(lm, "one?", "one?")
    assert [call.hit for call in cassette.calls] == ["cassette", "live"]
    assert cassette.missed == ()
    assert [entry.key for entry in Index(Path("qa.yaml")).entries] == [cassette.calls[0].key] * 2


def test_candidates_beyond_the_recorded_ones_are_answered_live(lm, oracle):
    ask(lm, "one?", mode="record")
    several = dspy.Predict("question -> answer", n=3, temperature=1.0)
    for hits in (["live"] * 3, ["cassette"] * 3):
        with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="auto") as cassette:
            assert len(several(question="one?").completions.answer) == 3
        assert [call.hit for call in cassette.calls] == hits


def test_a_candidate_more_than_recorded_is_answered_live(lm):
    for n, hits in ((2, ["live"] * 2), (3, ["cassette", "cassette", "live"])):
        with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="auto") as cassette:
            dspy.Predict("question -> answer", n=n, temperature=1.0)(question="one?")
        assert [call.hit for call in cassette.calls] == hits


def test_what_is_recorded_needs_neither_server_nor_key(lm):
    [answer], _ = ask(lm, "one?", mode="record")
    nobody = dspy.LM(lm.model, api_base="http://127.0.0.1:9/v1beta")
    assert ask(nobody, "one?")[0] == [answer]


def test_a_block_that_fails_leaves_the_file_as_it_was(lm):
    ask(lm, "one?", mode="record")
    before = Path("qa.yaml").read_bytes()
    with dspy.context(lm=lm), pytest.raises(ZeroDivisionError), lmtest.use_cassette("qa.yaml", mode="auto"):
        qa(question="two?")
        1 / 0  # noqa: B018
    assert Path("qa.yaml").read_bytes() == before


def test_a_call_that_fails_is_not_recorded_and_the_rest_is(lm, oracle):
    ask(lm, "one?", mode="record")
    oracle.says["two?"] = 429
    with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="auto"):
        with pytest.raises(dspy.LMError):
            qa(question="two?")
        qa(question="three?")
    assert len(documents()) == 2


@pytest.mark.parametrize("engine", ["auto", "litellm"])
def test_async_calls_are_completed_too(lm, oracle, engine):
    here = lm.copy(engine=engine)

    async def gather(*questions):
        with dspy.context(lm=here):
            async with lmtest.use_cassette("qa.yaml", mode="auto") as cassette:
                answers = await asyncio.gather(*(qa.acall(question=each) for each in questions))
        return [each.answer for each in answers], [call.hit for call in cassette.calls]

    first, _ = asyncio.run(gather("one?"))
    both, hits = asyncio.run(gather("one?", "two?"))
    assert both[0] == first[0]
    assert sorted(hits) == ["cassette", "live"]
    assert len(oracle.prompts) == 2


async def _stream(question, cassette="qa.yaml"):
    program = dspy.streamify(qa, stream_listeners=[dspy.streaming.StreamListener("answer")])
    async with lmtest.use_cassette(cassette, mode="auto") as opened:
        *chunks, prediction = [item async for item in program(question=question)]
    return "".join(each.chunk for each in chunks).strip(), prediction.answer, [call.hit for call in opened.calls]


def test_streams_are_completed_too(lm):
    with dspy.context(lm=lm):
        first = asyncio.run(_stream("one?"))
        again = asyncio.run(_stream("one?"))
        other = asyncio.run(_stream("two?"))
    assert (first[2], again[2], other[2]) == (["live"], ["cassette"], ["live"])
    assert first[:2] == again[:2]
    assert other[0] == other[1]
    assert len(documents()) == 2


def test_a_recorded_failure_that_was_tried_again_plays_as_it_went(lm, oracle):
    patient = lm.copy(num_retries=1)
    oracle.says["one?"] = 500
    with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="record", record_failures=True):
        with pytest.raises(dspy.LMError):
            qa(question="one?")
        oracle.says.clear()
        [answer] = [qa(question="one?").answer]
    [replayed], cassette = ask(patient, "one?")
    assert replayed == answer
    assert [(call.hit, call.failed) for call in cassette.calls] == [("cassette", "server"), ("cassette", None)]


def test_one_hosts_answers_do_not_pass_for_anothers(lm):
    ask(lm, "one?", mode="record")
    text = Path("qa.yaml").read_text()
    Path("qa.yaml").write_text(text.replace("source: stand-in", "source: generativelanguage.googleapis.com"))
    ask(lm, "two?")
    assert Index(Path("qa.yaml")).header.source == "generativelanguage.googleapis.com, stand-in"


def test_an_lm_that_carries_its_cassette_completes_it(oracle):
    for questions, hits in ((["one?"], ["live"]), (["one?", "two?"], ["cassette", "live"])):
        here = lmtest.LM(
            "gemini/gemini-2.5-flash",
            cassette="lm.yaml",
            mode="auto",
            api_base=f"{oracle.url}/v1beta",
            api_key="k" * 12,
        )
        with here, dspy.context(lm=here):
            for question in questions:
                qa(question=question)
        assert [call.hit for call in here.cassette.calls] == hits


@pytest.mark.parametrize(("allowed", "mode"), [("", lmtest.Mode.REPLAY), ("1", lmtest.Mode.AUTO)])
def test_under_ci_auto_replays_unless_recording_is_allowed(lm, monkeypatch, allowed, mode):
    ask(lm, "one?", mode="record")
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("LMTEST_ALLOW_RECORD_IN_CI", allowed)
    assert ask(lm, "one?")[1].mode is mode


_ANOTHER = """\
import sys, dspy, lmtest
lm = dspy.LM("gemini/gemini-2.5-flash", api_base=sys.argv[1], api_key="k" * 12, num_retries=0)
with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="auto"):
    for question in sys.argv[2:]:
        dspy.Predict("question -> answer")(question=question)
"""


def test_what_two_processes_record_at_once_is_not_there_twice(lm, oracle):
    ask(lm, "none?", mode="record")
    gate = oracle.hold(after=0)
    with subprocess.Popen([sys.executable, "-c", _ANOTHER, f"{oracle.url}/v1beta", "one?", "two?"]) as other:
        gate.reached.wait(60)
        ask(lm, "one?", "three?")
        gate.open.set()
    assert other.returncode == 0

    answers, cassette = ask(lm, "none?", "one?", "two?", "three?", mode="replay")

    assert len(answers) == 4
    assert cassette.unplayed == ()


def test_what_is_asked_once_more_in_one_process_than_in_another_is_kept(lm, oracle):
    gate = oracle.hold(after=0)
    with subprocess.Popen([sys.executable, "-c", _ANOTHER, f"{oracle.url}/v1beta", "one?", "one?"]) as other:
        gate.reached.wait(60)
        ask(lm, "one?")
        gate.open.set()
    assert other.returncode == 0
    assert ask(lm, "one?", "one?", mode="replay")[1].unplayed == ()
