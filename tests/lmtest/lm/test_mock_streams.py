"""Typed answers as DSPy streams them in mock mode: every field in pieces, and in the end the prediction."""

import asyncio
from collections import defaultdict
from typing import Literal

import dspy
import pytest

import lmtest

from ...streamed import whole  # noqa: TID252 - tests are no installed package


class Typed(dspy.Signature):
    question: str = dspy.InputField()
    tags: list[str] = dspy.OutputField()
    numbers: list[int] = dspy.OutputField()
    score: float = dspy.OutputField(ge=5, le=6)
    sure: bool = dspy.OutputField()
    kind: Literal["a & b", "<c>"] = dspy.OutputField()
    answer: str = dspy.OutputField()


FIELDS = list(Typed.output_fields)


def stream(adapter, signature=Typed):
    """What was streamed of each field, in pieces, and the prediction at the end."""

    async def run():
        listeners = [dspy.streaming.StreamListener(signature_field_name=name) for name in signature.output_fields]
        streaming = dspy.streamify(dspy.Predict(signature), stream_listeners=listeners)
        return [each async for each in streaming(question="Who wrote Faust?")]

    lm = dspy.LM("gemini/gemini-2.5-flash", api_key="none")
    with lmtest.use_cassette(mode="mock") as cassette, dspy.context(lm=lm, adapter=adapter):
        *chunks, prediction = asyncio.run(run())
    assert len(cassette.calls) == 1
    pieces = defaultdict(list)
    for chunk in chunks:
        pieces[chunk.signature_field_name].append(chunk.chunk)
    return pieces, prediction


# What stands in each adapter's answer for a field.
WRITTEN = {
    "chat": {
        "tags": '["{0.tags[0]}", "{0.tags[1]}"]', "numbers": "[{0.numbers[0]}, {0.numbers[1]}]", "score": "{0.score}",
        "sure": "{0.sure}", "kind": "{0.kind}", "answer": "{0.answer}",
    },
    "xml": {
        "tags": "<item>{0.tags[0]}</item><item>{0.tags[1]}</item>",
        "numbers": "<item>{0.numbers[0]}</item><item>{0.numbers[1]}</item>", "score": "{0.score}", "sure": "{0.sure}",
        "answer": "{0.answer}",
    },
}  # fmt: skip


@pytest.mark.parametrize(("adapter", "name"), [(a, name) for a, names in WRITTEN.items() for name in names])
def test_every_field_is_streamed_as_it_is_written(adapter, name):
    pieces, prediction = stream({"chat": dspy.ChatAdapter(), "xml": dspy.XMLAdapter()}[adapter])
    assert whole(pieces[name]) == WRITTEN[adapter][name].format(prediction)


def test_what_xml_must_escape_is_streamed_escaped():
    pieces, prediction = stream(dspy.XMLAdapter())
    assert whole(pieces["kind"]) == prediction.kind.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@pytest.mark.parametrize("name", FIELDS)
def test_json_is_streamed_field_by_field(name):
    # DSPy's listener ends a field of JSON only where the next value can be parsed, so that pieces of it come along.
    pieces, prediction = stream(dspy.JSONAdapter())
    wanted = dspy.JSONAdapter().format_assistant_message_content(Typed, dict(prediction.items()))
    value = wanted[wanted.index(f'"{name}": ') + len(f'"{name}": ') :]
    streamed = "".join(pieces[name])
    assert streamed
    assert "".join(value.split()).startswith("".join(streamed.rstrip('"').split()))


@pytest.mark.parametrize("adapter", [dspy.ChatAdapter(), dspy.JSONAdapter(), dspy.XMLAdapter()])
def test_a_stream_ends_with_the_prediction_of_a_call(adapter):
    lm = dspy.LM("gemini/gemini-2.5-flash", api_key="none")
    with lmtest.use_cassette(mode="mock"), dspy.context(lm=lm, adapter=adapter):
        called = dspy.Predict(Typed)(question="Who wrote Faust?")
    _, prediction = stream(adapter)
    assert dict(prediction.items()) == dict(called.items())
    assert isinstance(prediction.score, float)
    assert isinstance(prediction.sure, bool)


@pytest.mark.parametrize("adapter", [dspy.ChatAdapter(), dspy.XMLAdapter()])
def test_a_long_text_comes_in_many_pieces(adapter):
    pieces, prediction = stream(adapter, dspy.Signature("question -> answer"))
    assert len(pieces["answer"]) > 3
    assert whole(pieces["answer"]) == prediction.answer
