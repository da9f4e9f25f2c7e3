"""Decisions about the calls that a refresh moved: one question after the other, with a way back."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmtest.refresh.drift import Tier

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lmtest.refresh.result import CassetteDrift


class Decision(enum.StrEnum):
    """What becomes of a call that moved.

    Attributes:
        ACCEPT: The new recording takes the old one's place.
        SKIP: The new recording waits on.
        REJECT: The new recording is dropped.
    """

    ACCEPT = "accept"
    SKIP = "skip"
    REJECT = "reject"


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """Calls of a cassette that are decided together.

    Attributes:
        cassette: The cassette.
        places: Where in it the calls that moved are, counted from 0.
        together: Whether they hang together, so that they are all that moved in it.
    """

    cassette: CassetteDrift
    places: tuple[int, ...]
    together: bool

    @property
    def loses(self) -> bool:
        """Whether accepting takes calls away that another test may play."""
        return self.cassette.loses


def hangs_together(cassette: CassetteDrift) -> bool:
    """Whether its calls are decided all at once: a request moved, with an answer or to another model."""
    return any(
        call.before is None or call.after is None or call.before.key != call.after.key for call in cassette.calls
    )


def moved(cassette: CassetteDrift) -> tuple[int, ...]:
    """The places of the calls that are not as they were, counted from 0."""
    return tuple(place for place, call in enumerate(cassette.calls) if call.tier is not Tier.SAME)


class Decisions:
    """The questions about cassettes, and what was decided so far. Nothing is carried out.

    Args:
        cassettes: What a refresh recorded; what may not be accepted, or did not move, raises no question.

    Attributes:
        questions: In the order in which they are asked.
    """

    def __init__(self, cassettes: Iterable[CassetteDrift]) -> None:
        self.questions = tuple(
            question for cassette in cassettes if cassette.acceptable for question in _questions(cassette)
        )
        self._made: dict[int, Decision] = {}
        self._steps: list[tuple[int, ...]] = []

    @property
    def open(self) -> int | None:
        """The place of the first question that is not decided; None where all are."""
        return next((place for place in range(len(self.questions)) if place not in self._made), None)

    def decide(self, decision: Decision) -> None:
        """Decide the open question."""
        assert self.open is not None, "nothing is left to decide"
        self._take([self.open], decision)

    def decide_rest(self, decision: Decision) -> None:
        """Decide the open question and all after it; those that would lose calls are never accepted unseen."""
        assert self.open is not None, "nothing is left to decide"
        rest = [place for place in range(self.open, len(self.questions)) if place not in self._made]
        unseen = {place for place in rest[1:] if self.questions[place].loses}
        self._take([place for place in rest if not (decision is Decision.ACCEPT and place in unseen)], decision)

    def undo(self) -> bool:
        """Take the last answer back, with all that it decided; False where there is none."""
        if not self._steps:
            return False
        for place in self._steps.pop():
            del self._made[place]
        return True

    @property
    def drops(self) -> int:
        """How many new recordings were rejected."""
        rejected = [self.questions[place] for place, made in self._made.items() if made is Decision.REJECT]
        return sum(each.cassette.calls[place].after is not None for each in rejected for place in each.places)

    def spare(self) -> None:
        """Skip what was rejected, so that nothing is dropped."""
        self._made = {place: Decision.SKIP if made is Decision.REJECT else made for place, made in self._made.items()}

    def of(self, cassette: CassetteDrift) -> Mapping[int, Decision]:
        """What becomes of the calls of a cassette that moved, by their places; what is not decided is skipped."""
        return {
            place: self._made.get(number, Decision.SKIP)
            for number, question in enumerate(self.questions)
            if question.cassette is cassette
            for place in question.places
        }

    def _take(self, places: Iterable[int], decision: Decision) -> None:
        step = tuple(places)
        self._made |= dict.fromkeys(step, decision)
        self._steps.append(step)


def _questions(cassette: CassetteDrift) -> Iterable[Question]:
    places = moved(cassette)
    if not places:
        return []
    together = hangs_together(cassette)
    groups = [places] if together else [(place,) for place in places]
    return [Question(cassette=cassette, places=group, together=together) for group in groups]
