r"""Text that a regular expression matches, of a length that is asked for.

A pattern is read into an automaton and walked, with lengths and anchors in mind, so whatever text there is is found,
and where none is, that is certain. Look-around and back-references, which RE2 does not have, are left to chance.

Only what RE2, ECMAScript, Rust and Python read alike is written: ``\w``, ``\d`` and ``\b`` are ASCII's.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

from lmtest.lm.automaton import EDGE, SLACK, Automaton, Irregular, TooLarge, kind_of
from lmtest.lm.spelling import in_python

if TYPE_CHECKING:
    from collections.abc import Iterator


# How often text of an expression that is no regular language is tried.
_TRIES = 200


def matching(pattern: str, *, least: int = 0, longest: int | None = None, seed: str) -> str:
    """Write a text in which the pattern is found, no shorter and no longer than asked for.

    Args:
        pattern: A regular expression, in what RE2, ECMAScript and Python have in common.
        least: Characters there must be.
        longest: Characters there may be; None for no limit.
        seed: What decides among equals.

    Raises:
        ValueError: There is no such text; the message says so.

    >>> text = matching("^[A-Z]{2,9}-[0-9]+$", least=7, longest=7, seed="a")
    >>> len(text), bool(re.search("^[A-Z]{2,9}-[0-9]+$", text))
    (7, True)
    >>> matching("^a{3}$", longest=2, seed="a")
    Traceback (most recent call last):
    ValueError: no text of at most 2 characters was found for pattern '^a{3}$'
    """
    rng = random.Random(seed)  # noqa: S311 - decided by the seed, on purpose
    try:
        spelled = in_python(pattern)
        text = _walked(spelled, least, longest, rng)
    except Irregular:
        text = _by_chance(spelled, least, longest, rng)
    except re.error as error:
        raise ValueError(f"pattern {pattern!r} does not read: {error}") from None
    except TooLarge:
        raise ValueError(f"pattern {pattern!r} is too large to make up a text for") from None
    if text is None:
        raise ValueError(f"no text{_limits(least, longest)} was found for pattern {pattern!r}")
    return text


def _walked(pattern: str, least: int, longest: int | None, rng: random.Random) -> str | None:
    # The match alone where that is enough; text around it, where it may stand, only to make up the length.
    for around in (False, True):
        automaton = Automaton.of(pattern, least=least, around=around)
        walk = _Walk(automaton, least=least, longest=longest, rng=rng)
        for _ in range(_TRIES if automaton.verified else 1):
            text = walk.text()
            if text is None:
                break
            if not automaton.verified or re.search(pattern, text):
                return text
    return None


class _Walk:
    """A search for a way through an automaton, at random, that never tries a dead end twice."""

    def __init__(self, automaton: Automaton, *, least: int, longest: int | None, rng: random.Random) -> None:
        self._automaton = automaton
        self._least = least
        # A text that is longer than this by more than there are states could leave out a loop.
        beyond = least + SLACK + 4 * len(automaton.steps)
        self._longest = beyond if longest is None else min(longest, beyond)
        self._rng = rng

    def text(self) -> str | None:
        if self._least > self._longest:
            return None
        dead: set[tuple[int, int, int]] = set()
        written: list[str] = []
        ways = [self._ways(0, EDGE, 0)]
        places = [(0, EDGE, 0)]
        while ways:
            way = next(ways[-1], None)
            if way is None:
                dead.add(places.pop())
                ways.pop()
                if written:
                    written.pop()
                continue
            character, target = way
            if not character:
                return "".join(written)
            place = (target, kind_of(character), len(written) + 1)
            if place not in dead:
                written.append(character)
                places.append(place)
                ways.append(self._ways(*place))
        return None

    def _ways(self, state: int, before: int, length: int) -> Iterator[tuple[str, int]]:
        """The next characters and where they lead, "" for the end, in the order they are tried."""
        ends, steps = self._automaton.reach(state, before)
        ends = ends and length >= self._least
        late = length >= self._least + SLACK
        if ends and (late or self._rng.random() < 0.4):
            yield "", 0
        if length < self._longest:
            for step, kinds in self._rng.sample(steps, len(steps)):
                for kind, characters in step.characters.of_kind.items():
                    if kind & kinds:
                        yield self._rng.choice(characters), step.target
        if ends:
            yield "", 0


def _by_chance(pattern: str, least: int, longest: int | None, rng: random.Random) -> str | None:
    import rstr

    writer = rstr.Rstr(rng)
    for _ in range(_TRIES):
        text = str(writer.xeger(pattern))
        if least <= len(text) and (longest is None or len(text) <= longest) and re.search(pattern, text):
            return text
    return None


def _limits(least: int, longest: int | None) -> str:
    if longest is None:
        return f" of at least {least} characters" if least else ""
    return f" of {least} to {longest} characters" if least else f" of at most {longest} characters"
