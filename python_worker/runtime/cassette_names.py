"""Where the cassette of an execution is that no test asks for."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final

from python_worker.domain.value import fingerprint, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from python_worker.domain.value import Fields

LONGEST: Final = 40
"""Characters of a name that say what was asked."""

_REDACTED: Final = re.compile(r"<redacted[^>]*>")
_DIGITS: Final = 12
_FEWER: Final = 8  # where words stand before them


def find_cassette(folder: Path, inputs: Fields, *, redact: Callable[[Any], Any], telling: bool) -> Path:
    """Give the cassette of a program's inputs: the one that is there, under whichever name, or where it will be.

    Args:
        folder: The program's.
        inputs: What it is asked.
        redact: Takes secrets out of a JSON value.
        telling: Whether the name of a new one may have words of the inputs.
    """
    digest = fingerprint(inputs)
    hashed = folder / f"{digest[:_DIGITS]}.yaml"
    if hashed.exists():
        return hashed
    words = slug(inputs, redact=redact)
    readable = folder / f"{words}-{digest[:_FEWER]}.yaml" if words else hashed
    if readable.exists():
        return readable
    # Other rules of what is secret made other words of the same inputs, or a person did.
    there = (each for each in folder.glob(f"*-{digest[:_FEWER]}.yaml") if each.is_file())
    return min(there, default=readable if telling else hashed)


def slug(inputs: Fields, *, redact: Callable[[Any], Any]) -> str:
    """Give the first words of the texts among inputs, without secrets; "" where there are none that ASCII has.

    >>> slug({"question": "What is the capital of France?"}, redact=lambda value: value)
    'what-is-the-capital-of-france'
    """
    words: list[str] = []
    for text in _texts(redact(plain(inputs))):
        letters = unicodedata.normalize("NFKD", _REDACTED.sub(" ", text)).encode("ascii", "ignore").decode()
        words += re.findall(r"[a-z0-9]+", letters.lower())
        if len("-".join(words)) >= LONGEST:
            break
    whole = "-".join(words)
    if len(whole) <= LONGEST:
        return whole
    return whole[: LONGEST + 1].rpartition("-")[0] or whole[:LONGEST]


def _texts(inputs: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(inputs):
        value = inputs[name]
        yield from (each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str))
