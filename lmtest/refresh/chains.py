"""Whether recorded requests can be sent again without the tests that made them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from lmtest.refresh.echoes import Echoes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lmtest.cassette.interaction import Interaction

_TAKEN_OUT: Final = re.compile(r"<redacted(?::\w+)?>|<scrubbed>|<(?:date|time|uuid|tmp-path)>")
_TOOL_PARTS: Final = frozenset({"tool_call", "tool_result"})


def why_not(calls: Sequence[Interaction]) -> str:
    """Say why requests cannot be sent again as they were recorded; empty where they can.

    A request that holds an earlier answer would be asked with the old one, so its answer would fit no run of the test.
    """
    echoes = Echoes(calls)
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
        if number > 1 and any(part.get("type") in _TOOL_PARTS for part in _parts(call)):
            return _chained(number, call, "it goes on where a tool answered")
        if found := echoes.find(number - 1):
            earlier, text = found
            return _chained(number, call, f"it holds what call {earlier + 1} answered ({text!r})")
    return ""


def _chained(number: int, call: Interaction, why: str) -> str:
    return f"call {number} ({call.key[:12]}) is chained: {why}; run its test instead, without --calls-only."


def _parts(call: Interaction) -> Iterator[Any]:
    for message in call.request.get("messages") or ():
        yield from message.get("parts") or ()
