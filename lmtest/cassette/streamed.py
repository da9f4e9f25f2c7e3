"""What a stream says in pieces, changed as a whole: a secret may be cut anywhere, and no piece of it looks like one."""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from lmtest.cassette.halves import mended

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from lmtest.cassette.interaction import Json

_SAID_IN: Final = {"text": "text", "thinking": "text", "tool_call": "input"}
"""Where the deltas of each kind that come in pieces say theirs."""

_MARK: Final = re.compile(r"(<redacted(?::\w+)?>)")
# What was no text in JSON is one then, in quotes that were not there.
_QUOTED_MARK: Final = re.compile(r"""((?:\\*["'])?<redacted(?::\w+)?>(?:\\*["'])?)""")
_HALF = re.compile(r"[\ud800-\udfff]")
_CUT_IN_HALF = re.compile(r"(?s)(.*)([\ud800-\udbff])\Z")


def changed(
    events: Sequence[Json], change: Callable[[Any], Any], whole: Callable[[str, str], str] | None = None
) -> list[Json]:
    """Change what a stream's events hold.

    Args:
        events: The events.
        change: Changes a value.
        whole: Changes what all the pieces of a part say together, which ``change`` is not given then. Gets the kind of
            the part, and its text.

    Returns:
        As many events. Where the text did not change, it is cut as it was.
    """
    if whole is None:
        return [change(event) for event in events]
    parts: dict[tuple[str, Any], list[int]] = {}
    for place, event in enumerate(events):
        if (part := _part(event)) is not None:
            parts.setdefault(part, []).append(place)
    said: dict[int, str] = {}
    for (kind, _), places in parts.items():
        cut = _of_whole_characters([events[place]["delta"][_SAID_IN[kind]] for place in places])
        said |= zip(places, recut(cut, whole(kind, "".join(cut))), strict=True)
    return [
        _saying(change(_saying(event, "")), said[place], event) if place in said else change(event)
        for place, event in enumerate(events)
    ]


def recut(cut: Sequence[str], text: str) -> list[str]:
    """Cut a text as another was cut that has something else in place of its ``<redacted>``.

    >>> recut(["Say hush", "-hush", " twice."], "Say <redacted> twice.")
    ['Say <redacted>', '', ' twice.']
    """
    before = "".join(cut)
    if text == before:
        return list(cut)
    whole = [text, *[""] * (len(cut) - 1)]
    return _recut(cut, text, before, _MARK) or _recut(cut, text, before, _QUOTED_MARK) or whole


def _recut(cut: Sequence[str], text: str, before: str, mark: re.Pattern[str]) -> list[str] | None:
    """Do so where all that stands between the marks stands in the text before; None where it was written anew."""
    ends = list(accumulate(map(len, cut)))
    pieces = [""] * len(cut)
    position = 0
    *fields, last = mark.split(text)
    for number, field in enumerate([*fields, last]):
        if number % 2:  # a mark: it stands where what it replaces began
            pieces[min(bisect_right(ends, position), len(cut) - 1)] += field
            continue
        start = before.find(field, position) if number < len(fields) else len(before) - len(field)
        if start < position or before[start : start + len(field)] != field:
            return None
        position = start + len(field)
        for place, end in enumerate(ends):
            begin = end - len(cut[place])
            pieces[place] += before[max(begin, start) : max(min(end, position), begin)]
    return pieces


def _part(event: Json) -> tuple[str, Any] | None:
    """Of which part of the answer an event is a piece."""
    delta = event.get("delta")
    if not isinstance(delta, dict):
        return None
    kind = delta.get("type")
    field = _SAID_IN.get(kind) if isinstance(kind, str) else None
    if field is None or not isinstance(delta.get(field), str):
        return None
    return str(kind), delta.get("part_index", 0)


def _saying(event: Json, text: str, before: Json | None = None) -> Json:
    """The event with another text; what a provider says beside each of its words goes with them."""
    delta = event["delta"]
    field = _SAID_IN[delta["type"]]
    if before is not None and before["delta"][field] != text:
        delta = {name: value for name, value in delta.items() if name not in {"logprobs", "logprobs_complete"}}
    return {**event, "delta": {**delta, field: text}}


def _of_whole_characters(cut: list[str]) -> list[str]:
    """The pieces with what was cut inside a character in one of them."""
    if not any(map(_HALF.search, cut)):
        return cut
    for place, following in enumerate(cut[1:]):
        half = _CUT_IN_HALF.match(cut[place])
        if half and "\udc00" <= following[:1] <= "\udfff":
            cut[place] += following[0]
            cut[place + 1] = following[1:]
    return [mended(piece) for piece in cut]
