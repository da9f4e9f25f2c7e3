"""Cassette text as :mod:`lmtest.cassette.yamltext` writes it, read without a YAML parser.

Several times as fast, and right about nothing else: whoever calls it proves by the document's digest that the text
is as it was written, and turns to the YAML parser where that does not hold.
"""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from lmtest.cassette.interaction import Json

# A key, and what stands behind it on its line: nothing, plain text, or a value that shows by its beginning what it is.
_ENTRY = r'([A-Za-z_][A-Za-z0-9_.$/-]*|"(?:[^"\\\n]|\\.)*"):(?: (?:([A-Za-z_][^\n]*)|([^\n]+)))?\n'
_FIRST = re.compile(_ENTRY)
_WORDS = {"true": True, "false": False, "null": None}
_JSON_STARTS = frozenset("[{-0123456789")
_scan = json.JSONDecoder().raw_decode


def read(text: str, *, but: str | None = None) -> Json | None:
    r"""Read a document, or give None where it is not as it was written.

    Args:
        text: The document.
        but: The key of what is passed over unread and left out, when it is an object.

    >>> read('text: |-\n  two\n  lines\nn: 1\n')
    {'text': 'two\nlines', 'n': 1}
    >>> read("request:\n  model: m\nn: 1\n", but="request")
    {'n': 1}
    >>> read("n: &anchor 1") is None
    True
    """
    if "\r" in text:
        return None
    cursor = _Cursor(text)
    try:
        value = cursor.mapping(0, but)
    except (ValueError, IndexError, RecursionError):
        return None
    return value if cursor.at == len(text) else None


class _Cursor:
    """A text and the place up to which it is read."""

    __slots__ = ("at", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def mapping(self, indent: int, but: str | None = None) -> dict[str, Any]:
        """A mapping, from its first key on."""
        value: dict[str, Any] = {}
        text, following = self.text, _following(indent)
        entry = _FIRST.match(text, self.at)
        if entry is None:
            raise ValueError
        while entry is not None:
            self.at = entry.end()
            key, plain, raw = entry.groups()
            if key[0] == '"':
                key = orjson.loads(key)
            if key in value:
                raise ValueError
            if plain is not None:
                value[key] = _WORDS.get(plain, plain)
            elif raw is not None:
                value[key] = self._scalar(raw, indent + 2)
            elif key == but:
                self._block(indent + 2)
            else:
                value[key] = self._nested(indent + 2)
            entry = following.match(text, self.at)
        return value

    def _nested(self, indent: int) -> Any:
        if self.text.startswith(" " * indent + "-", self.at):
            return self._sequence(indent)
        if not self.text.startswith(" " * indent, self.at):
            raise ValueError
        self.at += indent
        return self.mapping(indent)

    def _sequence(self, indent: int) -> list[Any]:
        values: list[Any] = []
        dash = " " * indent + "-"
        while self.text.startswith(dash, self.at):
            self.at += len(dash) + 1
            if self.text[self.at - 1] == "\n":
                values.append(self._sequence(indent + 2))
            elif _FIRST.match(self.text, self.at):
                values.append(self.mapping(indent + 2))
            else:
                start, end = self.at, self.text.index("\n", self.at)
                self.at = end + 1
                values.append(self._scalar(self.text[start:end], indent + 2))
        return values

    def _scalar(self, raw: str, indent: int) -> Any:
        first = raw[0]
        if first == "|":
            return self._literal(raw, indent)
        if first == '"':
            return orjson.loads(raw)
        if first in _JSON_STARTS:
            value, end = _scan(raw)  # where orjson would make a float of a long integer
            if end != len(raw):
                raise ValueError
            return value
        if not (first.isalpha() or first == "_"):
            raise ValueError
        return _WORDS.get(raw, raw)

    def _literal(self, indicator: str, indent: int) -> str:
        pad = " " * indent
        text = self._block(indent).removeprefix(pad).replace("\n" + pad, "\n")
        return text[:-1] if indicator[-1] == "-" else text

    def _block(self, indent: int) -> str:
        """All lines from here on that are so deep, or empty."""
        block = _block(indent).match(self.text, self.at)
        assert block is not None, "it matches nothing, too"
        self.at = block.end()
        return block[0]


@functools.cache
def _block(indent: int) -> re.Pattern[str]:
    return re.compile(rf"(?: {{{indent}}}[^\n]*\n|\n)*")


@functools.cache
def _following(indent: int) -> re.Pattern[str]:
    """A further key of a mapping."""
    return re.compile(" " * indent + _ENTRY)
