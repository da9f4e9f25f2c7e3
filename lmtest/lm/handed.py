"""A live answer as the program is handed it while it is recorded: as a file can hold it, and a replay gives it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from dspy import lm15

from lmtest.cassette.halves import held_back, mended
from lmtest.cassette.interaction import Reply
from lmtest.lm import translate

if TYPE_CHECKING:
    from collections.abc import Iterator

# The deltas that say a text in pieces; a tool's arguments are JSON, whose half characters are written in ASCII.
_KINDS: Final = {"text": lm15.TextDelta, "thinking": lm15.ThinkingDelta}


def response(received: lm15.Response, request: lm15.Request) -> tuple[lm15.Response, Reply]:
    """Give a whole answer as the program is handed it, and as it is recorded."""
    outcome = translate.reply(received)
    kept = mended(outcome.response)
    if kept is outcome.response:
        return received, outcome
    outcome = Reply(response=kept)
    return translate.response(outcome, request), outcome


class Events:
    """The events of a stream, whose pieces may be cut inside a character: its halves go together, with the second."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, int], str] = {}

    def of(self, event: Any) -> Iterator[Any]:
        """Give what an event is handed out as."""
        delta: Any = getattr(event, "delta", None)
        kind = getattr(delta, "type", "")
        if kind in _KINDS:
            part = kind, delta.part_index
            text, held = held_back(self._held.pop(part, "") + delta.text)
            if held:
                self._held[part] = held
            said = mended(text)
            yield event if said == delta.text else replace(event, delta=replace(delta, text=said))
            return
        if getattr(event, "type", "") == "end":
            for (kind, number), half in self._held.items():
                yield lm15.StreamDeltaEvent(delta=_KINDS[kind](text=mended(half), part_index=number))
        beside = getattr(event, "provider_data", None)
        kept = mended(beside)
        yield event if kept is beside else replace(event, provider_data=kept)
