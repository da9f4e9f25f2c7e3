"""The mock engines keep DSPy's engine contract."""

import asyncio
from typing import Literal

import dspy
import pytest
from dspy.lm15 import Config, FunctionTool, ImagePart, Message, Reasoning, Request, TextPart, ToolChoice, ToolResultPart

from lmtest.lm.mock import AsyncMockEngine, MockEngine

WEATHER = FunctionTool(
    name="get_weather",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


def request(*messages, **settings):
    config = {key: settings.pop(key) for key in list(settings) if key not in {"tools", "system"}}
    asked = messages or (Message.user("How is the weather in Tokyo?"),)
    return Request(model="gemini-2.5-flash", messages=asked, config=Config(**config), **settings)


def test_a_response_is_marked_as_mock_and_names_the_model_asked_for():
    response = MockEngine().complete(request())
    assert response.id.startswith("mock-")
    assert response.model == "gemini-2.5-flash"
    assert response.finish_reason == "stop"


def test_usage_is_four_characters_a_token():
    response = MockEngine().complete(request())
    assert response.usage.input_tokens == -(-len("\nHow is the weather in Tokyo?") // 4)
    assert response.usage.output_tokens == -(-len(response.text) // 4)
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


def test_a_stream_adds_up_to_the_whole_response():
    whole = MockEngine().complete(request())
    start, *deltas, end = MockEngine().stream(request())
    assert len(deltas) > 1
    assert "".join(event.delta.text for event in deltas) == whole.text
    assert (start.id, end.finish_reason, end.usage) == (whole.id, "stop", whole.usage)


def test_a_tool_is_called_by_name_and_id():
    response = MockEngine().complete(request(tools=(WEATHER,)))
    (call,) = response.tool_calls
    assert (call.name, call.input, response.finish_reason) == ("get_weather", {"city": "Tokyo"}, "tool_call")
    assert call.id.startswith("mock-")


def test_a_tools_result_is_followed_by_text():
    result = Message(role="tool", parts=(ToolResultPart(id="1", name="get_weather", content=(TextPart("sunny"),)),))
    response = MockEngine().complete(request(Message.user("How is it?"), result, tools=(WEATHER,)))
    assert response.text


def test_tool_choice_none_calls_nothing():
    assert MockEngine().complete(request(tools=(WEATHER,), tool_choice=ToolChoice(mode="none"))).text


def test_a_schema_is_kept():
    schema = {"type": "object", "properties": {"n": {"const": 7}}}
    response = MockEngine().complete(request(response_format={"type": "json_schema", "schema": schema}))
    assert response.text == '{"n": 7}'


def test_max_tokens_cuts_the_answer():
    response = MockEngine().complete(request(max_tokens=2))
    assert (len(response.text), response.finish_reason) == (8, "length")


def test_thoughts_come_when_their_summary_is_asked_for():
    response = MockEngine().complete(request(reasoning=Reasoning(effort="low", summary="auto")))
    assert response.message.parts[0].type == "thinking"
    assert response.usage.reasoning_tokens > 0


def test_another_picture_gets_another_answer():
    ids = {
        MockEngine().complete(request(Message.user([ImagePart(data=data), TextPart("What?")]))).id
        for data in ("AAAA", "BBBB")
    }
    assert len(ids) == 2


@pytest.fixture
def lm():
    settings = {"engine": MockEngine(), "async_engine": AsyncMockEngine(), "cache": False}
    with dspy.context(lm=dspy.LM("gemini/gemini-2.5-flash", **settings)) as context:
        yield context


@pytest.mark.usefixtures("lm")
def test_a_program_gets_typed_fields():
    prediction = dspy.ChainOfThought("question -> count: int, names: list[str]")(question="Who?")
    assert isinstance(prediction.count, int)
    assert all(isinstance(name, str) for name in prediction.names)


@pytest.mark.usefixtures("lm")
@pytest.mark.parametrize("value", ["\\", "a\\b", "it's", 'say "x"', "x; y", "two\nlines"])
@pytest.mark.parametrize("adapter", [dspy.ChatAdapter(), dspy.JSONAdapter(), dspy.XMLAdapter()])
def test_a_choice_that_the_prompt_does_not_quote_right_is_made(value, adapter):
    signature = dspy.Signature({"question": (str, dspy.InputField()), "answer": (Literal[value], dspy.OutputField())})
    with dspy.context(adapter=adapter):
        assert dspy.Predict(signature)(question="Who?").answer == value


@pytest.mark.usefixtures("lm")
def test_acall_answers_as_a_call_does():
    program = dspy.Predict("question -> answer")
    assert asyncio.run(program.acall(question="Who?")).answer == program(question="Who?").answer


@pytest.mark.usefixtures("lm")
def test_streamify_delivers_the_answer_in_pieces():
    program = dspy.Predict("question -> answer")
    streaming = dspy.streamify(program, stream_listeners=[dspy.streaming.StreamListener(signature_field_name="answer")])

    async def run():
        return [each async for each in streaming(question="Who wrote Faust?")]

    *chunks, prediction = asyncio.run(run())
    assert len(chunks) > 1
    assert "".join(chunk.chunk for chunk in chunks).strip() == prediction.answer
