"""Whatever engine, loop or stream a call takes, it is recorded and replayed."""

import asyncio
from pathlib import Path

import dspy
import pytest

import lmtest

from .recordings import QUESTION, acall, qa, record, run


@pytest.mark.parametrize("engine", ["auto", "lm15", "litellm"])
def test_every_engine_is_recorded_and_replayed(engine, provider):
    here = dspy.LM("gemini/gemini-2.5-flash", api_base=f"{provider.url}/v1beta", api_key="k" * 12, engine=engine)
    [answer], recorded = record(here, QUESTION)
    provider.close()
    with dspy.context(lm=here), lmtest.use_cassette("qa.yaml", mode="replay"):
        assert qa(question=QUESTION).answer == answer
    assert "source: stand-in" in Path("qa.yaml").read_text()
    assert recorded.recorded[0].usage.input_tokens


def test_a_recording_serves_every_engine(lm, unreachable_lm):
    [answer], _ = record(lm, QUESTION)
    with dspy.context(lm=unreachable_lm.copy(engine="litellm")), lmtest.use_cassette("qa.yaml"):
        assert qa(question=QUESTION).answer == answer


@pytest.mark.parametrize("engine", ["auto", "litellm"])
def test_async_calls_are_recorded_and_replayed(engine, provider):
    here = dspy.LM("gemini/gemini-2.5-flash", api_base=f"{provider.url}/v1beta", api_key="k" * 12, engine=engine)

    async def ask(mode):
        with dspy.context(lm=here):
            async with lmtest.use_cassette("qa.yaml", mode=mode):
                return await asyncio.gather(*(acall(f"{QUESTION} {n}") for n in range(4)))

    answers = run(ask("record"))
    provider.close()
    assert run(ask("replay")) == answers


async def _streamed(program, question):
    chunks, prediction = [], None
    async for item in program(question=question):
        if isinstance(item, dspy.Prediction):
            prediction = item
        else:
            chunks.append(item)
    return chunks, prediction


def _stream(here, mode, path="stream.yaml"):
    program = dspy.streamify(
        dspy.Predict("question -> answer"), stream_listeners=[dspy.streaming.StreamListener("answer")]
    )
    with dspy.context(lm=here), lmtest.use_cassette(path, mode=mode):
        chunks, prediction = run(_streamed(program, QUESTION))
    return "".join(chunk.chunk for chunk in chunks), prediction.answer


@pytest.mark.parametrize("engine", ["auto", "litellm"])
def test_streams_are_recorded_and_replayed(engine, provider):
    here = dspy.LM("gemini/gemini-2.5-flash", api_base=f"{provider.url}/v1beta", api_key="k" * 12, engine=engine)
    recorded = _stream(here, "record")
    provider.close()
    assert _stream(here, "replay") == recorded
    assert recorded[0].strip() == recorded[1]


def test_a_stream_is_answered_from_a_whole_recording(lm, unreachable_lm):
    [answer], _ = record(lm, QUESTION)
    chunks, whole = _stream(unreachable_lm, "replay", "qa.yaml")
    assert (chunks.strip(), whole) == (answer, answer)


def test_a_whole_call_is_answered_from_a_recorded_stream(lm, unreachable_lm):
    _, answer = _stream(lm, "record", "qa.yaml")
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml"):
        assert qa(question=QUESTION).answer == answer


def test_the_kth_candidate_gets_the_kth_recording(lm, unreachable_lm):
    several = dspy.Predict("question -> answer", n=3, temperature=1.0)
    with dspy.context(lm=lm), lmtest.use_cassette("n.yaml", mode="record") as cassette:
        recorded = several(question=QUESTION).completions.answer
    assert len(cassette.recorded) == 3
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("n.yaml") as cassette:
        assert several(question=QUESTION).completions.answer == recorded
    assert cassette.unplayed == ()
