"""Patterns of RE2, which matches in time linear in the text: no pattern and no text can hang a worker."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from re import _constants as sre
from re import _parser as sre_parser
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@lru_cache(maxsize=1024)
def searcher(pattern: str) -> Callable[[str], object]:
    """What looks for a pattern anywhere in a text, and answers None where it is not.

    Raises:
        ValueError: RE2 takes no such pattern; the message says why.

    >>> searcher("^[a-z]+$")("abc") is None
    False
    >>> searcher("(")
    Traceback (most recent call last):
    ValueError: missing ): (
    """
    import re2  # here: a client that only carries values does without it

    options = re2.Options()
    options.log_errors = False
    try:
        search: Callable[[str], object] = re2.compile(pattern, options).search
    except re2.error as error:
        (why,) = error.args
        raise ValueError(why.decode(errors="replace") if isinstance(why, bytes) else str(why)) from error
    return search


@lru_cache(maxsize=1024)
def lengths(pattern: str) -> tuple[int, float]:
    r"""The fewest and the most characters of a text in which a pattern is found, as far as its parts tell.

    Args:
        pattern: One that RE2 takes.

    >>> lengths("^a{3}$"), lengths("a{3}"), lengths(r"\Aab?c\z")
    ((3, 3), (3, inf), (2, 3))
    """
    try:
        parsed = parsed_by_python(pattern, foreign="x")
    except Foreign:
        return 0, math.inf
    least, most = parsed.getwidth()
    return least, most if _is_whole(parsed) and most < sre.MAXREPEAT else math.inf


class Foreign(ValueError):
    """A part of a pattern that RE2 reads and Python has no words for."""


def parsed_by_python(pattern: str, *, foreign: str | None = None) -> Any:
    r"""A pattern as Python's own parser has it.

    Args:
        pattern: One that RE2 takes.
        foreign: The character that stands for each class that Python has no name for, such as ``\p{Greek}``; None
            refuses them.

    Raises:
        Foreign: There is something else in it that Python does not read, or not alike.
    """
    written: list[str] = []
    place, opened = 0, -1  # where the square bracket that is open stands
    while place < len(pattern):
        token = _TOKEN.match(pattern, place)
        assert token is not None, "it takes any character"
        inside = opened >= 0
        place = token.end() if inside or not token["posix"] else place + 1
        text = pattern[token.start() : place]
        if text == "[" and not inside:
            opened = place
        elif text == "]" and inside and pattern[opened : place - 1] not in {"", "^"}:
            opened = -1
        written.append(_in_python(token, text, inside=inside, foreign=foreign))
    try:
        return sre_parser.parse("".join(written))
    except (re.error, OverflowError) as error:  # RE2 takes flags in the middle, for one
        raise Foreign(str(error)) from error


_TOKEN = re.compile(
    r"""\\[pP](?P<class>\{\^?\w+\}|[A-Z]) | \[:(?P<posix>\^?[a-z]+):\] | \\x\{(?P<hex>[0-9A-Fa-f]+)\}
    | \\Q(?P<quoted>.*?)(?:\\E|\Z)
    | (?P<byte>\\C) | (?P<end>\\z) | (?P<group>\(\?<(?=\w)) | (?P<brace>\{(?!\d+(?:,\d*)?\})) | \\. | .""",
    re.DOTALL | re.VERBOSE,
)
_POSIX = {
    "alpha": "A-Za-z", "digit": "0-9", "alnum": "A-Za-z0-9", "upper": "A-Z", "lower": "a-z", "word": "A-Za-z0-9_",
    "space": r"\t-\r ", "punct": r"!-/:-@\[-`{-~", "xdigit": "0-9A-Fa-f", "blank": r" \t", "print": " -~",
    "graph": "!-~", "ascii": r"\x00-\x7f", "cntrl": r"\x00-\x1f\x7f",
}  # fmt: skip


def _in_python(token: re.Match[str], text: str, *, inside: bool, foreign: str | None) -> str:
    if token["class"] or token["byte"] or (inside and (token["posix"] or "").startswith("^")):
        if foreign is None:
            raise Foreign(text)
        return foreign
    if token["posix"] and inside:
        return _POSIX[token["posix"]]
    if token["hex"] or token["quoted"] is not None:
        return re.escape(chr(int(token["hex"], 16)) if token["hex"] else token["quoted"])
    if token["end"] or token["group"]:
        return r"\Z" if token["end"] else "(?P<"
    # Python warns that the first of these may once mean something in square brackets, and reads the others otherwise.
    return f"\\{text}" if (inside and text in set("[&|~-") and not _is_range(token)) or token["brace"] else text


def _is_range(token: re.Match[str]) -> bool:
    return token[0] == "-" and token.string[token.end() : token.end() + 1] not in {"-", "]"}


def _is_whole(parsed: Any) -> bool:
    """Decide if nothing may stand before or after what it matches."""
    if parsed.state.flags & re.MULTILINE or not len(parsed):
        return False
    begins, ends = parsed[0], parsed[-1]
    return begins in _BEGINS and ends in _ENDS


_BEGINS = [(sre.AT, sre.AT_BEGINNING), (sre.AT, sre.AT_BEGINNING_STRING)]
_ENDS = [(sre.AT, sre.AT_END), (sre.AT, sre.AT_END_STRING)]
