"""A recording as a person reads it."""

from __future__ import annotations

import pytest

from lmtest.cassette.conversation import turns
from lmtest.cassette.interaction import EventStream, Failure, Interaction, Reply, StreamedEvent


def conversation(request=None, outcome=None):
    outcome = outcome or Reply(response={"message": {"role": "assistant", "parts": [{"type": "text", "text": "."}]}})
    return list(turns(Interaction(key="k", request=request or {}, outcome=outcome)))


def delta(**fields):
    return StreamedEvent(at=0.1, event={"type": "delta", "delta": fields})


@pytest.mark.parametrize(
    ("part", "read"),
    [
        ({"type": "text", "text": "Hi"}, "Hi"),
        ({"type": "thinking", "text": "Hm"}, "(thinking) Hm"),
        ({"type": "refusal", "text": "No"}, "(refusal) No"),
        (
            {"type": "tool_call", "id": "1", "name": "look_up", "input": {"city": "Paris"}},
            '→ look_up({"city": "Paris"})',
        ),
        (
            {"type": "tool_result", "id": "1", "name": "look_up", "content": [{"type": "text", "text": "2 M"}]},
            "← look_up: 2 M",
        ),
        ({"type": "tool_result", "id": "1", "content": "2 M"}, "← 1: 2 M"),
        ({"type": "image", "media_type": "image/png", "url": "https://x.org/a"}, "[image image/png: https://x.org/a]"),
        ({"type": "citation", "title": "T"}, '[citation] {"title": "T"}'),
        ({"type": "data", "value": {"a": 1}}, '[data] {"value": {"a": 1}}'),
        ("just text", "just text"),
    ],
)
def test_each_kind_of_part_is_one_line(part, read):
    request = {"messages": [{"role": "user", "parts": [part]}]}

    assert conversation(request)[0] == ("user", read)


def test_tools_and_settings_follow_the_messages():
    request = {
        "system": [{"type": "text", "text": "Be kind."}],
        "messages": [{"role": "user", "parts": [{"type": "text", "text": "Hi"}]}],
        "tools": [{"type": "function", "name": "f"}, {"type": "function", "name": "g"}],
        "config": {"temperature": 0.5, "stop": ["x"]},
    }

    assert conversation(request)[:4] == [
        ("system", "Be kind."),
        ("user", "Hi"),
        ("tools", "f, g"),
        ("settings", 'temperature: 0.5\nstop: ["x"]'),
    ]


def test_a_stream_is_read_as_one_answer():
    stream = EventStream(events=(delta(text="Par"), delta(text="is"), StreamedEvent(at=1, event={"type": "end"})))

    assert conversation(outcome=stream) == [("assistant (streamed in 3 events)", "Paris")]


def test_a_failure_says_its_kind_and_what_came_before_it():
    failure = Failure(code="rate_limit", message="Slow down.", retry_after=3.0, events=(delta(text="Par"),))

    assert conversation(outcome=failure) == [
        ("assistant (cut off)", "Par"),
        ("failure (rate_limit, retry after 3 s)", "Slow down."),
    ]


@pytest.mark.parametrize(
    "request_", [{"messages": ["x"]}, {"messages": [{}]}, {"messages": [{"parts": 3}]}, {"tools": ["f"]}, {"system": 3}]
)
def test_a_request_edited_out_of_shape_is_still_shown(request_):
    assert len(conversation(request_)) == 2


def test_an_answer_edited_out_of_shape_is_still_shown():
    assert conversation(outcome=Reply(response={"text": "Hi"})) == [("assistant", '{"text": "Hi"}')]
