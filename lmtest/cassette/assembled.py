"""The answer that a program received as a stream: its pieces, put together as DSPy puts them together.

DSPy goes by the number that a piece has for its part. Where a provider numbers anew in each of its chunks, as Gemini
does, two function calls have one number, and DSPy makes one call of them: the name of the last, and the arguments of
all as a text that no tool takes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lmtest.cassette.interaction import Interaction, Json


def parts(events: Iterable[Json]) -> list[Json]:
    """Give the parts of the message that a program received.

    Args:
        events: The stream's events.

    >>> said = [{"type": "tool_call", "name": "look", "input": '{"a":'}, {"type": "tool_call", "input": '1}'}]
    >>> parts([{"type": "delta", "delta": delta} for delta in said])
    [{'type': 'tool_call', 'name': 'look', 'input': {'a': 1}}]
    """
    made: list[Json] = []
    for (_, kind), deltas in _by_part(events):
        if kind in {"text", "thinking"}:
            made.append({"type": kind, "text": "".join(str(delta.get("text") or "") for delta in deltas)})
        elif kind == "tool_call":
            raw = "".join(str(delta.get("input") or "") for delta in deltas)
            made.append({"type": kind, "name": _last(deltas, "name"), "input": _arguments(raw)})
        elif kind == "image":
            made.append(_plain(deltas[-1]))
        elif kind == "audio":
            made.append(_plain(deltas[0]))
        elif kind != "continuation":
            made += map(_plain, deltas)
    return made


def merged(interaction: Interaction) -> list[str]:
    """Give a sentence for each part that a program received instead of several that were streamed."""
    if not interaction.streamed:
        return []
    told = []
    for (_, kind), deltas in _by_part(interaction.said):
        whole = list(_wholes(deltas)) if kind == "tool_call" else deltas if kind == "image" else deltas[:1]
        if len(whole) > 1:
            names = " and ".join(repr(name) for delta in whole if (name := delta.get("name")))
            what = f"calls of tools ({names})" if kind == "tool_call" else "images"
            got = "made one of them that no tool can take" if kind == "tool_call" else "kept the last"
            told.append(
                f"{interaction.key[:12]}: the provider streamed {len(whole)} {what} under one number, and DSPy {got}. "
                "The program received that, and so it will in replay. Do not stream this call, or carry it by "
                'dspy.LM(..., engine="litellm").'
            )
    return told


def _by_part(events: Iterable[Json]) -> list[tuple[tuple[int, str], list[Json]]]:
    """The deltas of each part, in the order in which DSPy puts the parts."""
    found: dict[tuple[int, str], list[Json]] = {}
    for event in events:
        delta = event.get("delta")
        if isinstance(delta, dict):
            number = delta.get("part_index")
            part = number if isinstance(number, int) else 0, str(delta.get("type", "text"))
            found.setdefault(part, []).append(delta)
    return sorted(found.items(), key=lambda item: (item[0][0], _ORDER.get(item[0][1], len(_ORDER))))


_ORDER = {kind: place for place, kind in enumerate(("thinking", "text", "image", "audio", "citation", "tool_call"))}


def _wholes(deltas: list[Json]) -> Iterator[Json]:
    """The pieces that begin a call: the first, and those that name one where the arguments before are whole."""
    before, name = "", None
    for delta in deltas:
        begins = name is None or (
            bool(delta.get("name") and delta.get("input")) and (delta["name"] != name or _is_json(before))
        )
        if begins:
            before, name = "", str(delta.get("name"))
            yield delta
        before += str(delta.get("input") or "")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _arguments(raw: str) -> Any:
    """The arguments as lm15 reads them (``_parse_json_best_effort``)."""
    if not raw:
        return {}
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return {"partial_json": raw}
    return value if isinstance(value, dict) else {"value": value}


def _last(deltas: list[Json], name: str) -> Any:
    return next((delta[name] for delta in reversed(deltas) if delta.get(name) is not None), None)


def _plain(delta: Json) -> Json:
    return {name: value for name, value in delta.items() if name != "part_index"}
