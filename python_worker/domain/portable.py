r"""Patterns of RE2 in words that Python, ECMAScript and RE2's own kind read alike, as plain validators need them.

ECMAScript is read with its flag ``u``, as JSON Schema asks for. What differs from engine to engine is written out:
``\d`` and its like are ASCII's in RE2, ``$`` is the end and not the line before it, ``.`` leaves out one line end.
"""

from __future__ import annotations

import re
from functools import lru_cache
from re import _constants as sre
from typing import Any

from python_worker.domain.pattern import Foreign, parsed_by_python

_WORD = "0-9A-Za-z_"
_CATEGORIES = {
    sre.CATEGORY_DIGIT: "0-9",
    sre.CATEGORY_WORD: _WORD,
    sre.CATEGORY_SPACE: r"\t\n\f\r ",
}
_NEGATED = {
    sre.CATEGORY_NOT_DIGIT: "0-9",
    sre.CATEGORY_NOT_WORD: _WORD,
    sre.CATEGORY_NOT_SPACE: r"\t\n\f\r ",
}
_EDGE = f"(?:(?<![{_WORD}])(?=[{_WORD}])|(?<=[{_WORD}])(?![{_WORD}]))"
_NO_EDGE = f"(?:(?<![{_WORD}])(?![{_WORD}])|(?<=[{_WORD}])(?=[{_WORD}]))"
_SYNTAX = frozenset("^$\\.*+?()[]{}|/")
_SYNTAX_OF_CLASS = frozenset("\\[]^-&|~")
_FOLDED = {"k": "\u212a", "s": "\u017f"}
"""The letters that a small letter of ASCII is beside its capital, where case does not count."""


@lru_cache(maxsize=1024)
def portable(pattern: str) -> str | None:
    r"""A pattern that is found in the same texts by every engine; None where there are no words for it.

    Args:
        pattern: One that RE2 takes.

    >>> print(portable(r"^\d{2}-\w+$"))
    ^[0-9]{2}-[0-9A-Za-z_]+$(?!\n)
    >>> portable(r"\p{Greek}") is None
    True
    """
    try:
        parsed = parsed_by_python(pattern)
        return _sequence(parsed, parsed.state.flags)
    except Foreign:
        return None


def _sequence(nodes: Any, flags: int) -> str:
    return "".join(_node(operation, argument, flags) for operation, argument in nodes)


def _node(operation: Any, argument: Any, flags: int) -> str:  # noqa: PLR0911 - one a kind
    match operation:
        case sre.LITERAL | sre.NOT_LITERAL if flags & re.IGNORECASE or operation is sre.NOT_LITERAL:
            return _class([(sre.LITERAL, argument)], flags, negated=operation is sre.NOT_LITERAL)
        case sre.LITERAL:
            return _character(argument, _SYNTAX)
        case sre.IN:
            negated = argument[0][0] is sre.NEGATE
            return _class(argument[1:] if negated else argument, flags, negated=negated)
        case sre.ANY:
            return r"[\s\S]" if flags & re.DOTALL else r"[^\n]"
        case sre.AT:
            return _anchor(argument, flags)
        case sre.BRANCH:
            return f"(?:{'|'.join(_sequence(each, flags) for each in argument[1])})"
        case sre.SUBPATTERN:
            _, added, removed, inner = argument
            return f"(?:{_sequence(inner, (flags | added) & ~removed)})"
        case sre.MAX_REPEAT | sre.MIN_REPEAT:
            fewest, most, inner = argument
            return (
                f"(?:{_sequence(inner, flags)}){_times(fewest, most)}"
                if len(inner) != 1
                else _repeated(argument, flags)
            )
    raise Foreign(str(operation))


def _repeated(argument: Any, flags: int) -> str:
    fewest, most, inner = argument
    once = _sequence(inner, flags)
    simple = inner[0][0] in {sre.LITERAL, sre.NOT_LITERAL, sre.IN, sre.ANY, sre.SUBPATTERN, sre.BRANCH}
    return f"{once if simple else f'(?:{once})'}{_times(fewest, most)}"


def _times(fewest: int, most: Any) -> str:
    if most is sre.MAXREPEAT or most == sre.MAXREPEAT:
        return {0: "*", 1: "+"}.get(fewest, f"{{{fewest},}}")
    if (fewest, most) == (0, 1):
        return "?"
    return f"{{{fewest}}}" if fewest == most else f"{{{fewest},{most}}}"


def _anchor(where: Any, flags: int) -> str:
    lines = flags & re.MULTILINE
    match where:
        case sre.AT_BEGINNING:
            return r"(?<![^\n])" if lines else "^"
        case sre.AT_END:
            return r"(?![^\n])" if lines else r"$(?!\n)"
        case sre.AT_BEGINNING_STRING:
            return "^"
        case sre.AT_END_STRING:
            return r"$(?!\n)"
        case sre.AT_BOUNDARY:
            return _EDGE
        case sre.AT_NON_BOUNDARY:
            return _NO_EDGE
    raise Foreign(str(where))


def _class(items: Any, flags: int, *, negated: bool) -> str:
    inside = "".join(_item(kind, given, flags) for kind, given in items)
    if len(items) == 1 and items[0][0] is sre.CATEGORY and items[0][1] in _NEGATED:
        inside, negated = _NEGATED[items[0][1]], not negated
    elif any(kind is sre.CATEGORY and given in _NEGATED for kind, given in items):
        raise Foreign("a negated class in a class")
    return f"[{'^' if negated else ''}{inside}]"


def _item(kind: Any, given: Any, flags: int) -> str:
    if kind is sre.CATEGORY:
        return _CATEGORIES.get(given, "")
    first, last = given if kind is sre.RANGE else (given, given)
    written = _character(first, _SYNTAX_OF_CLASS)
    if first != last:
        written += f"-{_character(last, _SYNTAX_OF_CLASS)}"
    if not flags & re.IGNORECASE:
        return written
    if last > 0x7F:
        raise Foreign("case beyond ASCII")
    letters = (chr(code) for code in range(first, last + 1) if chr(code).isalpha())
    return written + "".join(each.swapcase() + _FOLDED.get(each.lower(), "") for each in letters)


def _character(code: int, escaped: frozenset[str]) -> str:
    character = chr(code)
    if 0xD800 <= code < 0xE000:
        raise Foreign("half a character")
    if character in escaped:
        return f"\\{character}" if escaped is _SYNTAX else f"\\x{code:02x}"
    return character if code > 0x7F or character.isprintable() else f"\\x{code:02x}"
