"""``lmtest.LM``: an LM that carries its cassette, for programs that choose their LM by hand."""

from pathlib import Path

import dspy
import pytest

import lmtest

from .recordings import QUESTION, qa, run


def an_lm(server, mode, engine="auto", **options):
    return lmtest.LM(
        "gemini/gemini-2.5-flash",
        cassette="lm.yaml",
        mode=mode,
        engine=engine,
        api_base=f"{server.url}/v1beta",
        api_key="k" * 12,
        **options,
    )


@pytest.mark.parametrize("engine", ["auto", "litellm"])
def test_it_records_and_replays(provider, engine):
    with an_lm(provider, "record", engine) as lm, dspy.context(lm=lm):
        recorded = [qa(question=QUESTION).answer, run(qa.acall(question="And Spain?")).answer]
    provider.close()
    with an_lm(provider, "replay", engine) as lm, dspy.context(lm=lm):
        assert [qa(question=QUESTION).answer, run(qa.acall(question="And Spain?")).answer] == recorded
    assert len(lm.cassette.played) == 2


def test_its_recording_serves_use_cassette_and_the_other_way_round(provider, unreachable_lm):
    with an_lm(provider, "record") as lm, dspy.context(lm=lm):
        recorded = dspy.ChainOfThought("question -> answer: int")(question=QUESTION).answer
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("lm.yaml"):
        assert dspy.ChainOfThought("question -> answer: int")(question=QUESTION).answer == recorded


def test_it_declares_what_the_model_can_do(provider):
    plain = dspy.LM("gemini/gemini-2.5-flash")
    with an_lm(provider, "mock") as lm:
        for name in ("supports_function_calling", "supports_reasoning", "supports_response_schema", "supported_params"):
            assert getattr(lm, name) == getattr(plain, name)


def test_its_calls_stay_its_own_inside_another_cassette(provider):
    with (
        an_lm(provider, "record") as lm,
        dspy.context(lm=lm),
        lmtest.use_cassette("other.yaml", mode="record") as other,
    ):
        qa(question=QUESTION)
    assert (len(lm.cassette.recorded), len(other.recorded)) == (1, 0)


def test_a_block_that_fails_saves_nothing(provider):
    with pytest.raises(ZeroDivisionError), an_lm(provider, "record") as lm, dspy.context(lm=lm):
        qa(question=QUESTION)
        1 / 0  # noqa: B018
    assert not Path("lm.yaml").exists()


def test_it_streams(provider):
    async def chunks(lm):
        program = dspy.streamify(
            dspy.Predict("question -> answer"), stream_listeners=[dspy.streaming.StreamListener("answer")]
        )
        with dspy.context(lm=lm):
            return [item async for item in program(question=QUESTION)]

    with an_lm(provider, "record") as lm:
        recorded = run(chunks(lm))
    with an_lm(provider, "replay") as lm:
        replayed = run(chunks(lm))
    assert len(recorded) > 1
    assert replayed[-1].answer == recorded[-1].answer
