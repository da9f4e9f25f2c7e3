"""Counts of tokens in a stream that would be lost on the way to its recording.

Anthropic counts the input in a stream's first event, and lm15 hands on the counts of the last one alone. LiteLLM counts
by itself where a provider did not, and nothing in its answer says so; of what a provider did count it keeps what it
knows. Both are put beside the event that is recorded. A program is handed the events as it would be without us.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspy import lm15

from lmtest.cassette.interaction import ESTIMATED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmtest.cassette.interaction import Json


@dataclass(frozen=True, slots=True)
class _Started(lm15.StreamStartEvent):  # type: ignore[misc]  # DSPy has no types
    """A stream's start, and Anthropic's usage in it."""

    said: Json | None = None


@dataclass(frozen=True, slots=True)
class _Estimated(lm15.StreamEndEvent):  # type: ignore[misc]  # as above
    """A stream's end whose tokens LiteLLM counted."""


def listen() -> None:
    """Keep what Anthropic's streams start with, from now on."""
    parse = lm15.AnthropicLM.parse_stream_events

    @functools.wraps(parse)
    def parse_counted(self: Any, request: Any, raw_event: Any) -> Iterator[Any]:
        for event in parse(self, request, raw_event):
            yield _started(event, raw_event.data) if isinstance(event, lm15.StreamStartEvent) else event

    lm15.AnthropicLM.parse_stream_events = parse_counted


def _started(event: lm15.StreamStartEvent, data: str) -> lm15.StreamStartEvent:
    message = json.loads(data).get("message")
    usage = message.get("usage") if isinstance(message, dict) else None
    if not isinstance(usage, dict):
        return event
    # It says one token of output, or a few, before there are any.
    said = {name: value for name, value in usage.items() if name != "output_tokens"}
    return _Started(id=event.id, model=event.model, adaptations=event.adaptations, said=said)


def ended(event: Any, source: Any) -> Any:
    """Give LiteLLM's end of a stream with all that the provider counted, or as one that it did not count.

    Args:
        event: The end, as LiteLLM's own answer has it.
        source: The stream as LiteLLM gave it, which keeps what the provider said of its usage.
    """
    chunks = getattr(source, "chunks", None)
    if not isinstance(chunks, list):
        return event
    counted = [usage for chunk in chunks if (usage := getattr(chunk, "usage", None)) is not None]
    if not counted:
        return _Estimated(finish_reason=event.finish_reason, usage=event.usage, provider_data=event.provider_data)
    body = event.provider_data or {}
    said = {name: value for name, value in dict(counted[-1]).items() if isinstance(value, int)}
    whole = said | (body.get("usage") or {})
    return lm15.StreamEndEvent(
        finish_reason=event.finish_reason, usage=event.usage, provider_data={**body, "usage": whole}
    )


def beside(event: Any) -> Json:
    """Give what is recorded beside an event."""
    if isinstance(event, _Started) and event.said:
        counts = {name: event.said.get(said) for name, said in _CANONICAL.items()}
        return {
            "usage": {name: count for name, count in counts.items() if count is not None},
            "provider_data": {"usage": event.said},
        }
    return {ESTIMATED: True} if isinstance(event, _Estimated) else {}


_CANONICAL = {
    "input_tokens": "input_tokens",
    "cache_read_tokens": "cache_read_input_tokens",
    "cache_write_tokens": "cache_creation_input_tokens",
}
