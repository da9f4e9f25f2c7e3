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
    spelled = _SPELLED.sub(_in_python, pattern)
    if _WARNED.search(spelled):
        return 0, math.inf
    try:
        parsed = sre_parser.parse(spelled)
    except re.error:  # RE2 reads more than Python does
        return 0, math.inf
    least, most = parsed.getwidth()
    return least, most if _is_whole(parsed) and most < sre.MAXREPEAT else math.inf


# What RE2 spells otherwise, each of one character but a text that is quoted.
_SPELLED = re.compile(
    r"""\\[pP](?:\{\^?\w+\}|[A-Z]) | \[:\^?[a-z]+:\] | \\x\{[0-9A-Fa-f]+\} | \\C | \\z | \(\?<(?=\w)
    | \\Q(?P<quoted>.*?)(?:\\E|\Z) | \\.""",
    re.DOTALL | re.VERBOSE,
)
# Python warns that these may once mean something in square brackets.
_WARNED = re.compile(r"\[\[|--|&&|\|\||~~")


def _in_python(token: re.Match[str]) -> str:
    text = token[0]
    if token["quoted"] is not None:
        return re.escape(token["quoted"])
    if text in {r"\z", "(?<"}:
        return r"\Z" if text == r"\z" else "(?P<"
    foreign = text[0] == "[" or text == r"\C" or text[:2] in {r"\p", r"\P"} or text.startswith(r"\x{")
    return "x" if foreign else text


def _is_whole(parsed: Any) -> bool:
    """Whether nothing may stand before or after what it matches."""
    if parsed.state.flags & re.MULTILINE or not len(parsed):
        return False
    begins, ends = parsed[0], parsed[-1]
    return begins in _BEGINS and ends in _ENDS


_BEGINS = [(sre.AT, sre.AT_BEGINNING), (sre.AT, sre.AT_BEGINNING_STRING)]
_ENDS = [(sre.AT, sre.AT_END), (sre.AT, sre.AT_END_STRING)]
