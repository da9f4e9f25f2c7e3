"""What a program received of a stream, where its provider numbers the parts of each chunk anew."""

import pytest

from lmtest.cassette import assembled
from lmtest.cassette.conversation import turns
from lmtest.cassette.interaction import EventStream, Interaction, StreamedEvent


def streamed(*deltas):
    events = tuple(StreamedEvent(at=0.1, event={"type": "delta", "delta": delta}) for delta in deltas)
    return Interaction(key="ab" * 32, request={"model": "m"}, outcome=EventStream(events=events))


def call(name, arguments, part_index=0):
    return {"type": "tool_call", "part_index": part_index, "input": arguments} | ({"name": name} if name else {})


TWO = streamed(call("search", '{"q":"a"}'), call("finish", '{"r":"b"}'))


def test_two_calls_under_one_number_are_shown_as_the_one_that_the_program_received():
    assert list(turns(TWO))[-1][1] == r'→ finish({"partial_json": "{\"q\":\"a\"}{\"r\":\"b\"}"})'


@pytest.mark.parametrize(
    ("deltas", "told"),
    [
        (TWO.said, "2 calls of tools ('search' and 'finish')"),
        ([call("search", '{"q":1}'), call("search", '{"q":2}')], "2 calls of tools ('search' and 'search')"),
        ([call("a", "{}"), call("b", "{}"), call("c", "{}")], "3 calls of tools ('a' and 'b' and 'c')"),
        ([{"type": "image", "data": "aQ=="}, {"type": "image", "data": "Zw=="}], "2 images"),
    ],
)
def test_parts_that_became_one_are_told(deltas, told):
    interaction = streamed(*(each.get("delta", each) for each in deltas))
    [sentence] = assembled.merged(interaction)
    assert f"the provider streamed {told} under one number" in sentence


@pytest.mark.parametrize(
    "deltas",
    [
        [call("search", '{"q":'), call(None, '"a"}')],
        [call("search", '{"q":'), call("search", '"a"}')],  # a provider that repeats the name
        [call("search", "{}"), call("search", "")],
        [call("search", "{}"), call("search", "{}", part_index=1)],
        [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, call("search", "{}")],
    ],
)
def test_pieces_of_one_part_are_one_part(deltas):
    assert assembled.merged(streamed(*deltas)) == []
