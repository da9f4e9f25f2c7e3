"""Two function calls that Gemini streams in two chunks, of which DSPy makes one: said, shown, found, and replayed."""

import asyncio
import json

import dspy
import pytest
from click.testing import CliRunner
from dspy import lm15
from hypothesis import given
from hypothesis import strategies as st

import lmtest
from lmtest.cassette.assembled import parts
from lmtest.cli import cli
from lmtest.lm import translate
from lmtest.lm.seam import StreamAccumulator

from .loopback import Handler, Loopback

CALLS = [{"functionCall": {"name": name, "args": {"word": name[0]}}} for name in ("search", "finish")]


class _Gemini(Handler):
    def answer(self):
        self.asked()
        bodies = [_body(CALLS[:1]), _body(CALLS[1:], finishReason="STOP")]
        content = "".join(f"data: {json.dumps(body)}\r\n\r\n" for body in bodies).encode()
        self.send(content, "text/event-stream")


def _body(said, **more):
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}
    return {"candidates": [{"content": {"role": "model", "parts": said}, "index": 0, **more}], "usageMetadata": usage}


@pytest.fixture
def url():
    with Loopback(_Gemini) as server:
        yield f"{server.url}/v1beta"


def search(word: str) -> str:
    return word


class Choose(dspy.Signature):
    question: str = dspy.InputField()
    tools: list[dspy.Tool] = dspy.InputField()
    calls: dspy.ToolCalls = dspy.OutputField()


async def chosen():
    asked = {"question": "Which?", "tools": [dspy.Tool(search), dspy.Tool(search, name="finish")]}
    items = [item async for item in dspy.streamify(dspy.Predict(Choose))(**asked)]
    return [(call.name, call.args) for call in items[-1].calls.tool_calls]


def ask(url, mode, engine="auto"):
    lm = dspy.LM("gemini/gemini-2.5-flash", api_base=url, api_key="k", cache=False, num_retries=0, engine=engine)
    adapter = dspy.ChatAdapter(use_native_function_calling=True)
    with dspy.context(lm=lm, adapter=adapter), lmtest.use_cassette("c.yaml", mode=mode):
        return asyncio.run(chosen())


def command(*arguments):
    return CliRunner().invoke(cli, arguments).output


def test_the_recording_warns_and_show_and_verify_tell_what_the_program_received(url, caplog):
    received = ask(url, "record")
    assert received == [("finish", {"partial_json": '{"word":"s"}{"word":"f"}'})]
    assert "c.yaml: " in caplog.text
    assert "the provider streamed 2 calls of tools ('search' and 'finish') under one number" in caplog.text
    assert 'engine="litellm"' in caplog.text
    assert ask(url, "replay") == received
    assert json.dumps(received[0][1]) in command("show", "c.yaml")
    assert "streamed 2 calls of tools ('search' and 'finish') under one number" in command("verify", "c.yaml")


def test_by_litellm_there_are_two(url, caplog):
    received = ask(url, "record", engine="litellm")
    assert received == [("search", {"word": "s"}), ("finish", {"word": "f"})]
    assert "under one number" not in caplog.text
    assert ask(url, "replay", engine="litellm") == received
    assert "good" in command("verify", "c.yaml")


NUMBERS = st.integers(0, 2)
TEXTS = st.text('ab {}":1', max_size=4)
DELTAS = st.one_of(
    st.builds(lm15.TextDelta, text=TEXTS, part_index=NUMBERS),
    st.builds(lm15.ThinkingDelta, text=TEXTS, part_index=NUMBERS),
    st.builds(lm15.ToolCallDelta, input=TEXTS, part_index=NUMBERS, name=st.sampled_from(["f", "g"])),
    st.builds(
        lm15.ImageDelta, data=st.sampled_from(["aQ==", "Zw=="]), part_index=NUMBERS, media_type=st.just("image/png")
    ),
    st.builds(lm15.CitationDelta, text=st.sampled_from(["a", "b"]), part_index=NUMBERS),
)


@given(st.lists(DELTAS, min_size=1, max_size=6))
def test_a_stream_is_shown_as_dspy_puts_it_together(deltas):
    accumulator = StreamAccumulator(lm15.Request("m", (lm15.Message.user("?"),)))
    for delta in deltas:
        accumulator.push(lm15.StreamDeltaEvent(delta=delta))
    received = translate.reply(accumulator.response()).response["message"]["parts"]
    shown = parts(translate.event_json(lm15.StreamDeltaEvent(delta=delta)) for delta in deltas)
    assert shown == [{name: value for name, value in part.items() if name != "id"} for part in received]
