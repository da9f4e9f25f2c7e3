"""Patterns of RE2, which matches in time linear in the text: no pattern and no text can hang a worker."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

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
