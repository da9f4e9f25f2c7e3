"""Types as DSPy's BAMLAdapter writes them, read as JSON schemas (``dspy/adapters/baml_adapter.py``)."""

from __future__ import annotations

import json
import re
from typing import Any, Final

_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|#.*|\[\]|[\[\]{},:]|[^\s\[\]{},:"]+')

_NAMES: Final[dict[str, dict[str, Any]]] = {
    "string": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "boolean": {"type": "boolean"},
    "null": {"type": "null"},
    "true": {"const": True},
    "false": {"const": False},
    "dict": {"type": "object"},
    "list": {"type": "array"},
    "tuple": {"type": "array"},
    "set": {"type": "array"},
    "frozenset": {"type": "array"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "time": {"type": "string", "format": "time"},
    "timedelta": {"type": "string", "format": "duration"},
    "UUID": {"type": "string", "format": "uuid"},
    "Decimal": {"type": "string", "format": "decimal"},
    "ToolCalls": {"type": "object"},
}


def read_type(text: str) -> dict[str, Any]:
    """Read a type; a name that says nothing of its values is read as text.

    Raises:
        ValueError: It does not read.

    >>> read_type("dict[string, int[]] or null")["anyOf"][0]
    {'type': 'object', 'additionalProperties': {'type': 'array', 'items': {'type': 'integer'}}}
    """
    reader = _Reader([word for word in _WORD.findall(text) if not word.startswith("#")])
    schema = reader.alternatives()
    if reader.rest:
        raise ValueError(f"the type {text!r} does not read from {reader.rest[-1]!r} on")
    return schema


class _Reader:
    """Reads words off, the next one last.

    Args:
        words: What the type is made of, in order.
    """

    def __init__(self, words: list[str]) -> None:
        self.rest = words[::-1]

    def alternatives(self) -> dict[str, Any]:
        found = [self._listed(self._one())]
        while self._took("or"):
            found.append(self._listed(self._one()))
        # A list of what may be absent is written "int or null[]", and nobody means a list of nulls.
        if len(found) > 1 and found[-1].get("items") == _NAMES["null"]:
            return {"type": "array", "items": {"anyOf": [*found[:-1], _NAMES["null"]]}}
        return found[0] if len(found) == 1 else {"anyOf": found}

    def _listed(self, schema: dict[str, Any]) -> dict[str, Any]:
        while self._took("[]"):
            schema = {"type": "array", "items": schema}
        return schema

    def _one(self) -> dict[str, Any]:
        word = self._taken()
        if word == "{":
            return self._object()
        if word == "[":
            items = self.alternatives()
            self._expect("]")
            return {"type": "array", "items": items}
        if word == "dict" and self._took("["):
            return self._map()
        if word in _NAMES:
            return dict(_NAMES[word])
        try:
            return {"const": json.loads(word)}
        except ValueError:
            return {"type": "string"}

    def _map(self) -> dict[str, Any]:
        keys = self.alternatives()
        self._expect(",")
        values = self.alternatives()
        self._expect("]")
        names = {} if keys == _NAMES["string"] else {"propertyNames": keys}
        return {"type": "object", "additionalProperties": values, **names}

    def _object(self) -> dict[str, Any]:
        properties = {}
        while not self._took("}"):
            name = self._taken()
            self._expect(":")
            properties[name] = self.alternatives()
            self._took(",")
        return {"type": "object", "properties": properties}

    def _taken(self) -> str:
        if not self.rest:
            raise ValueError("the type ends too early")
        return self.rest.pop()

    def _took(self, word: str) -> bool:
        if self.rest and self.rest[-1] == word:
            self.rest.pop()
            return True
        return False

    def _expect(self, word: str) -> None:
        if (found := self._taken()) != word:
            raise ValueError(f"{word!r} was expected where {found!r} stands")
