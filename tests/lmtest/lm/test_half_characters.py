"""Half a character in an answer: a recording program is handed what a replay hands out, which a file can hold."""

import asyncio
import json

import dspy
import pytest

import lmtest
from lmtest.cassette.interaction import EventStream, Interaction, StreamedEvent
from lmtest.cassette.redact import Redactor

from .loopback import Handler, Loopback

HALF = "half \ud83e end"
CUT = ["[[ ## answer ## ]]\nhi \ud83d", "\ude00 bye \ud83d", "!\n\n[[ ## completed ## ]] \ud83d"]


class _Gemini(Handler):
    def answer(self):
        self.asked()
        if ":stream" in self.path:
            bodies = [_body(piece) for piece in CUT[:-1]] + [_body(CUT[-1], finishReason="STOP")]
            text = "".join(f"data: {json.dumps(body)}\r\n\r\n" for body in bodies)
            self.send(text.encode(), "text/event-stream")
        else:
            self.send(_body(f"[[ ## answer ## ]]\n{HALF}\n\n[[ ## completed ## ]]", finishReason="STOP"))


def _body(text, **more):
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}
    content = {"role": "model", "parts": [{"text": text}]}
    return {"candidates": [{"content": content, "index": 0, **more}], "usageMetadata": usage}


@pytest.fixture
def url():
    with Loopback(_Gemini) as server:
        yield f"{server.url}/v1beta"


def by_modes(url, ask, engine="auto"):
    lm = dspy.LM("gemini/gemini-2.5-flash", api_base=url, api_key="k", cache=False, num_retries=0, engine=engine)
    for mode in ("record", "replay"):
        with dspy.context(lm=lm), lmtest.use_cassette("h.yaml", mode=mode):
            yield ask()
        yield lm.history[-1]["outputs"]


@pytest.mark.parametrize("engine", ["auto", "litellm"])
def test_a_whole_answer_is_the_same_to_the_recording_and_to_the_replay(engine, url):
    def chained():
        """What was answered goes into the next prompt, which no provider could be sent as it came."""
        qa = dspy.Predict("question -> answer")
        return qa(question=qa(question="One?").answer).answer

    recorded, its_history, played, replays = by_modes(url, chained, engine)
    assert recorded == played == "half \ufffd end"
    assert its_history == replays


def test_so_is_each_piece_of_a_stream(url):
    async def pieces():
        program = dspy.streamify(dspy.Predict("question -> answer"), is_async_program=True)
        items = [item async for item in program(question="One?")]
        said = [each.choices[0].delta.content for each in items[:-1] if each.choices[0].delta.content]
        return said, items[-1].answer

    recorded, its_history, played, replays = by_modes(url, lambda: asyncio.run(pieces()))
    assert recorded == played
    assert recorded[1] == "hi 😀 bye \ufffd!"
    assert "".join(recorded[0]).count("😀") == 1
    assert its_history == replays


def test_so_is_what_a_tool_returned():
    @lmtest.tool
    def search(word: str):
        return {"found": [word, HALF]}

    found = []
    for mode in ("record", "replay"):
        with lmtest.use_cassette("t.yaml", mode=mode):
            found.append(search("one"))
    assert found == [{"found": ["one", "half \ufffd end"]}] * 2


def test_a_tools_arguments_in_a_stream_are_recorded_as_the_program_received_them():
    delta = {"type": "tool_call", "part_index": 0, "name": "search", "input": json.dumps({"word": HALF})}
    event = StreamedEvent(at=0.1, event={"type": "delta", "delta": delta})
    stream = Interaction(key="k", request={"model": "m"}, outcome=EventStream(events=(event,)))
    redactor = Redactor()
    assert stream.saying(redactor.value, whole=redactor.streamed) == stream
