"""Which call of a refresh is which call of the recording."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING

from lmtest.cassette.fingerprint import fingerprint
from lmtest.refresh.prompt import prompt_of, read_inputs, signature_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from lmtest.cassette.interaction import Interaction

Pair = tuple["Interaction | None", "Interaction | None"]
"""A call before and after; one of the two may be missing."""


def pair(before: Sequence[Interaction], after: Sequence[Interaction]) -> list[Pair]:
    """Pair calls by who asked and what, then by what of it stayed, then by their order.

    A later call of a chain holds an earlier answer, so its request moves with that answer; and concurrent calls come in
    any order. The model is left out of the comparison: a refresh may ask another one. A model's call is never paired
    with a tool's, nor with another tool, nor with a call that is asked for other fields; and an embedding with nothing
    else.

    Args:
        before: The calls as they were recorded.
        after: The calls of the refresh.

    Returns:
        The recorded calls in their order, each with its successor, then the calls that are new.
    """
    found = _Matching(before, after)
    found.match(_request)
    found.match(_kept(*found.left()))
    found.match(_predictor)
    found.match(_signature)
    successors = [after[found.successor[place]] if place in found.successor else None for place in range(len(before))]
    new = [after[place] for place in sorted(found.open_after)]
    return [*zip(before, successors, strict=True), *((None, call) for call in new)]


class _Matching:
    """Calls on both sides that are not yet paired, by their places."""

    def __init__(self, before: Sequence[Interaction], after: Sequence[Interaction]) -> None:
        self._before, self._after = before, after
        self.open_before, self.open_after = dict.fromkeys(range(len(before))), dict.fromkeys(range(len(after)))
        self.successor: dict[int, int] = {}

    def left(self) -> tuple[list[Interaction], list[Interaction]]:
        """The calls without a partner."""
        return [self._before[place] for place in self.open_before], [self._after[place] for place in self.open_after]

    def match(self, trait: Callable[[Interaction], Hashable]) -> None:
        """Pair calls that have a trait in common, in their order."""
        if not self.open_before or not self.open_after:
            return
        waiting: dict[Hashable, deque[int]] = defaultdict(deque)
        for place in self.open_after:
            waiting[trait(self._after[place])].append(place)
        for place in list(self.open_before):
            if partners := waiting.get(trait(self._before[place])):
                self.successor[place] = partners.popleft()
                del self.open_before[place], self.open_after[self.successor[place]]


def _predictor(call: Interaction) -> Hashable:
    """Who asks: the tool, or the model's instructions, which DSPy writes from a predictor's signature."""
    return call.tool, call.embeds, "" if call.tool or call.embeds else prompt_of(call.request)


def _signature(call: Interaction) -> Hashable:
    """Who asks, by the names of its fields: where it was told something else since."""
    return call.tool, call.embeds, () if call.tool or call.embeds else signature_of(prompt_of(call.request))


def _request(call: Interaction) -> Hashable:
    return fingerprint({name: value for name, value in call.request.items() if name != "model"})


def _inputs(call: Interaction) -> frozenset[tuple[str, str]]:
    return frozenset() if call.tool or call.embeds else frozenset(read_inputs(call.request).items())


def _kept(before: Sequence[Interaction], after: Sequence[Interaction]) -> Callable[[Interaction], Hashable]:
    """Make the trait of who asks with which inputs, of those inputs that both sides know.

    It tells concurrent calls of one predictor apart, such as the steps of several agents, by what has not moved.
    """
    was, now = ({item for call in calls for item in _inputs(call)} for calls in (before, after))
    known = was & now
    return lambda call: (_predictor(call), _inputs(call) & known)
