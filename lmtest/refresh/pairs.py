"""Which call of a refresh is which call of the recording."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING

from lmtest.cassette.fingerprint import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lmtest.cassette.interaction import Interaction

Pair = tuple["Interaction | None", "Interaction | None"]
"""A call before and after; one of the two may be missing."""


def pair(before: Sequence[Interaction], after: Sequence[Interaction]) -> list[Pair]:
    """Pair calls by request and turn first, the rest by their order.

    A later call of a chain holds an earlier answer, so its request moves with that answer. The model is left out of
    the comparison: a refresh may ask another one. A model's call is never paired with a tool's, nor with another tool,
    and an embedding with nothing else.

    Args:
        before: The calls as they were recorded.
        after: The calls of the refresh.

    Returns:
        The recorded calls in their order, each with its successor, then the calls that are new.
    """
    counterparts = dict(_turns(after))
    partners = {place: counterparts.pop(place, None) for place, _ in _turns(before)}
    moved: dict[tuple[str, bool], deque[Interaction]] = defaultdict(deque)
    for call in counterparts.values():
        moved[_who(call)].append(call)
    pairs: list[Pair] = [
        (call, partners[place] or (moved[_who(call)].popleft() if moved[_who(call)] else None))
        for place, call in _turns(before)
    ]
    left = {id(call) for calls in moved.values() for call in calls}
    return [*pairs, *((None, call) for call in counterparts.values() if id(call) in left)]


def _who(call: Interaction) -> tuple[str, bool]:
    return call.tool, call.embeds


def _request(call: Interaction) -> str:
    return fingerprint({name: value for name, value in call.request.items() if name != "model"})


def _turns(calls: Iterable[Interaction]) -> Iterable[tuple[tuple[str, int], Interaction]]:
    """Each call, by its request and how often that was asked before."""
    asked: Counter[str] = Counter()
    for call in calls:
        request = _request(call)
        yield (request, asked[request]), call
        asked[request] += 1
