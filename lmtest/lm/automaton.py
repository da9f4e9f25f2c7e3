"""Automata of regular expressions: what may follow what, character by character."""

from __future__ import annotations

import functools
import re
import string
from dataclasses import dataclass, field
from re import _constants as sre
from re import _parser as sre_parser
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

# How much longer than it must be a text may become.
SLACK = 12

# An expression that takes more states is nobody's answer.
_LARGEST = 100_000

# What stands beside a position, as far as anchors care; a set of them is a sum.
_WORD, _NEWLINE, _OTHER, EDGE = 1, 2, 4, 8
_ANY = _WORD | _NEWLINE | _OTHER | EDGE

_WORDS = frozenset(string.ascii_letters + string.digits + "_")
_CATEGORIES = {
    sre.CATEGORY_DIGIT: frozenset(string.digits),
    sre.CATEGORY_WORD: _WORDS,
    sre.CATEGORY_SPACE: frozenset(" \t\n\r\f"),
}
_NEGATED = {
    sre.CATEGORY_NOT_DIGIT: sre.CATEGORY_DIGIT,
    sre.CATEGORY_NOT_WORD: sre.CATEGORY_WORD,
    sre.CATEGORY_NOT_SPACE: sre.CATEGORY_SPACE,
}
# What asks more of a text than an automaton can know: what is written is searched.
_VERIFIED = {sre.ASSERT, sre.ASSERT_NOT, sre.POSSESSIVE_REPEAT, sre.ATOMIC_GROUP}

# Tried in this order: what people write first.
_USUAL = (
    string.ascii_lowercase + string.ascii_uppercase + string.digits,
    string.punctuation + " ",
    "\n\t",
    "éñßΩж中😀",
)


class Irregular(Exception):
    """The expression is no regular language."""


class TooLarge(Exception):
    """The expression takes too many states."""


class Step(NamedTuple):
    """A character of a set, on the way to a state."""

    characters: _Characters
    target: int


class _Anchor(NamedTuple):
    """Passed where what stands before and after allows it."""

    rules: tuple[tuple[int, int], ...]
    target: int


@dataclass(frozen=True)
class _Characters:
    """What a position may hold, by kind; of each kind those that people write first."""

    of_kind: dict[int, str]

    @classmethod
    def where(cls, holds: Any, named: Iterable[int] = ()) -> _Characters:
        nearby = "".join(chr(code) for code in named if 0 <= code < 0x110000 and not 0xD800 <= code < 0xE000)
        found: dict[int, str] = {}
        for usual in (*_USUAL, nearby):
            fitting = [character for character in usual if holds(character)]
            for kind in sorted({kind_of(character) for character in fitting} - found.keys()):
                found[kind] = "".join(character for character in fitting if kind_of(character) == kind)
        return cls(found)


@dataclass
class Automaton:
    """States by number, from 0 to the last one made; where each leads.

    Attributes:
        verified: Whether the pattern asks more than the automaton knows, so that what it writes must be searched.
    """

    least: int
    flags: int = 0
    steps: list[list[Step]] = field(default_factory=list)
    anchors: list[list[_Anchor]] = field(default_factory=list)
    end: int = 0
    verified: bool = False
    known: dict[tuple[int, int], tuple[bool, list[tuple[Step, int]]]] = field(default_factory=dict)

    @classmethod
    def of(cls, pattern: str, *, least: int, around: bool) -> Automaton:
        """The automaton of a pattern.

        Args:
            pattern: In Python's spelling.
            least: Characters that a text must have, so that no more repeats are made than may be needed.
            around: Whether text may stand before and after the match.

        Raises:
            re.error: The pattern does not read.
            Irregular: It is no regular language.
            TooLarge: It takes too many states.
        """
        parsed = sre_parser.parse(pattern)
        made = cls(least=least, flags=parsed.state.flags)
        anything = _Characters.where(lambda _: True)
        before = made._state()
        if around:
            made.steps[before].append(Step(anything, before))
        made.end = made._sequence(parsed, before, made.flags)
        if around:
            after = made._state()
            made._pass(made.end, after)
            made.steps[after].append(Step(anything, after))
            made.end = after
        return made

    def reach(self, state: int, before: int) -> tuple[bool, list[tuple[Step, int]]]:
        """Whether a text may end here, and the steps from here with the kinds of characters that they may take.

        Args:
            state: Where.
            before: The kind of the character before; ``EDGE`` at the beginning.
        """
        if (state, before) not in self.known:
            ends, steps = False, []
            seen = {(state, _ANY)}
            waiting = [(state, _ANY)]
            while waiting:
                here, kinds = waiting.pop()
                ends = ends or (here == self.end and bool(kinds & EDGE))
                steps += [(step, kinds) for step in self.steps[here]]
                for rules, target in self.anchors[here]:
                    allowed = kinds & next((after for given, after in rules if given & before), 0)
                    if allowed and (target, allowed) not in seen:
                        seen.add((target, allowed))
                        waiting.append((target, allowed))
            self.known[state, before] = ends, steps
        return self.known[state, before]

    def _state(self) -> int:
        if len(self.steps) >= _LARGEST:
            raise TooLarge
        self.steps.append([])
        self.anchors.append([])
        return len(self.steps) - 1

    def _pass(self, state: int, target: int, rules: tuple[tuple[int, int], ...] = ((_ANY, _ANY),)) -> None:
        self.anchors[state].append(_Anchor(rules, target))

    def _sequence(self, nodes: Any, state: int, flags: int) -> int:
        for operation, argument in nodes:
            state = self._node(operation, argument, state, flags)
        return state

    def _node(self, operation: Any, argument: Any, state: int, flags: int) -> int:
        self.verified = self.verified or operation in _VERIFIED
        if operation in {sre.ASSERT, sre.ASSERT_NOT}:
            return state
        if operation in {sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT}:
            fewest, most, inner = argument
            return self._repeat(inner, fewest, most, state, flags)
        if operation in {sre.SUBPATTERN, sre.ATOMIC_GROUP}:
            _, added, removed, inner = argument if operation is sre.SUBPATTERN else (None, 0, 0, argument)
            return self._sequence(inner, state, (flags | added) & ~removed)
        target = self._state()
        if operation is sre.AT:
            self._pass(state, target, _anchor(argument, flags))
        elif operation is sre.BRANCH:
            for branch in argument[1]:
                self._pass(self._sequence(branch, state, flags), target)
        elif operation in {sre.LITERAL, sre.NOT_LITERAL, sre.IN, sre.ANY}:
            told = tuple(argument) if operation is sre.IN else argument
            self.steps[state].append(Step(_characters(operation, told, flags), target))
        else:
            raise Irregular
        return target

    def _repeat(self, inner: Any, fewest: int, most: Any, state: int, flags: int) -> int:
        for _ in range(fewest):
            state = self._sequence(inner, state, flags)
        if most is sre.MAXREPEAT:
            again = self._state()
            self._pass(state, again)
            self._pass(self._sequence(inner, again, flags), again)
            return again
        # A shortest text that is long enough has no more of them than characters it needs.
        target = self._state()
        for _ in range(min(int(most) - fewest, self.least + SLACK)):
            self._pass(state, target)
            state = self._sequence(inner, state, flags)
        self._pass(state, target)
        return target


@functools.lru_cache(maxsize=1024)
def _characters(operation: Any, argument: Any, flags: int) -> _Characters:
    if operation is sre.ANY:
        return _Characters.where((lambda _: True) if flags & re.DOTALL else lambda each: each != "\n")
    if operation is not sre.IN:
        argument = ((sre.LITERAL, argument),)
    negated = operation is sre.NOT_LITERAL or argument[0][0] is sre.NEGATE
    items = [each for each in argument if each[0] is not sre.NEGATE]
    ends = [code for kind, given in items if kind is not sre.CATEGORY for code in _ends(given)]

    def holds(character: str) -> bool:
        spellings = {character, character.lower(), character.upper()} if flags & re.IGNORECASE else {character}
        spellings = {each for each in spellings if len(each) == 1}
        return any(_in(item, each) for item in items for each in spellings) != negated

    return _Characters.where(holds, [code + near for code in ends for near in (0, 1, -1)])


def _ends(given: Any) -> tuple[int, ...]:
    return given if isinstance(given, tuple) else (given,)


def _in(item: tuple[Any, Any], character: str) -> bool:
    kind, given = item
    if kind is not sre.CATEGORY:
        ends = _ends(given)
        return ends[0] <= ord(character) <= ends[-1]
    if given in _NEGATED:
        return character not in _CATEGORIES[_NEGATED[given]]
    return character in _CATEGORIES[given]


def kind_of(character: str) -> int:
    """What a character is beside an anchor."""
    return _WORD if character in _WORDS else _NEWLINE if character == "\n" else _OTHER


def _anchor(where: Any, flags: int) -> tuple[tuple[int, int], ...]:
    """What may stand after, by what stands before."""
    between = _NEWLINE | _OTHER
    lines = _NEWLINE if flags & re.MULTILINE else 0
    return {
        sre.AT_BEGINNING: ((EDGE | lines, _ANY),),
        sre.AT_BEGINNING_STRING: ((EDGE, _ANY),),
        sre.AT_END: ((_ANY, EDGE | lines),),
        sre.AT_END_STRING: ((_ANY, EDGE),),
        sre.AT_BOUNDARY: ((_WORD, between | EDGE), (between | EDGE, _WORD)),
        # Of a text without characters the engines say different things.
        sre.AT_NON_BOUNDARY: ((_WORD, _WORD), (between, between | EDGE), (EDGE, between)),
    }[where]
