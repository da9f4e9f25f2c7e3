"""Whether recorded requests can be sent again without the tests that made them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from lmtest.refresh.answer import read_answer
from lmtest.refresh.prompt import read_inputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lmtest.cassette.interaction import Interaction

_TAKEN_OUT: Final = re.compile(r"<redacted(?::\w+)?>|<scrubbed>|<(?:date|time|uuid|tmp-path)>")
_TOOL_PARTS: Final = frozenset({"tool_call", "tool_result"})


def why_not(calls: Sequence[Interaction]) -> str:
    """Say why requests cannot be sent again as they were recorded; empty where they can.

    A request that holds an earlier answer would be asked with the old one, so its answer would fit no run of the test.
    """
    for number, call in enumerate(calls, start=1):
        if call.tool:
            return (
                f"call {number} ({call.key[:12]}) is one of the tool {call.tool!r}, which only its test can make; "
                "run that instead, without --calls-only."
            )
        if call.embeds:
            return (
                f"call {number} ({call.key[:12]}) is an embedding, and what its test asks later may depend on it; "
                "run that instead, without --calls-only."
            )
        if mark := _TAKEN_OUT.search(json.dumps(call.request)):
            return (
                f"call {number} ({call.key[:12]}) was recorded without what {mark[0]} stands for; "
                "run its test instead, without --calls-only."
            )
        earlier = next((before for before, one in enumerate(calls[: number - 1], start=1) if _holds(call, one)), None)
        if earlier:
            return (
                f"call {number} ({call.key[:12]}) is chained: it holds what call {earlier} answered; "
                "run its test instead, without --calls-only."
            )
    return ""


def _holds(later: Interaction, earlier: Interaction) -> bool:
    """Whether a request holds something of an earlier answer that the earlier request did not hold itself."""
    if any(part.get("type") in _TOOL_PARTS for part in _parts(later)):
        return True
    if earlier.failed:
        return False
    asked, before = " ".join(_texts(later)), " ".join(_texts(earlier))
    answer = read_answer(earlier)
    said = answer.fields.values() if answer.fields else [answer.text]
    found = {text for value in said for text in _leaves(value) if text}
    return any(_stands_in(text, asked) and not _stands_in(text, before) for text in found)


def _stands_in(text: str, whole: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", whole) is not None


def _parts(call: Interaction) -> Iterator[Any]:
    for message in call.request.get("messages") or ():
        yield from message.get("parts") or ()


def _texts(call: Interaction) -> list[str]:
    """What a program wrote into a request; where an adapter laid that out, without the layout."""
    return list(read_inputs(call.request).values()) or [part.get("text") or "" for part in _parts(call)]


def _leaves(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for item in value.values():
                yield from _leaves(item)
        case list() | tuple():
            for item in value:
                yield from _leaves(item)
        case None | bool():
            return
        case _:
            yield str(value).strip()
