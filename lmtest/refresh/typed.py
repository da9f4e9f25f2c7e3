"""Values of output fields and arguments, compared by the type that the prompt declares for them."""

from __future__ import annotations

import datetime as dt
import functools
import json
import uuid
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import pydantic

from lmtest.refresh.code import normal_code
from lmtest.refresh.wording import normal_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmtest.lm.layout import Schema

_FORMATS: Final[Mapping[str, type]] = {
    "date": dt.date,
    "date-time": dt.datetime,
    "time": dt.time,
    "duration": dt.timedelta,
    "uuid": uuid.UUID,
    "decimal": Decimal,
}
_SCALARS: Final[Mapping[str, type]] = {"integer": int, "number": float, "boolean": bool}
_KINDS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict,
    "null": type(None),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Type:
    """The declared type of a value.

    Attributes:
        schema: Its JSON schema; an empty one says nothing.
        shared: The definitions that the schema refers to.
        language: The language of its code; "" where it is none.
        strict: Whether a text is never read as a number or a date: DSPy reads fields so, and arguments of tools not.
    """

    schema: Schema = field(default_factory=dict)
    shared: Schema = field(default_factory=dict)
    language: str = ""
    strict: bool = False

    @classmethod
    def of(cls, schema: Schema, annotation: str = "") -> Type:
        """The type of a field, by its schema and by DSPy's name of the type.

        >>> Type.of({"type": "string"}, "Code_sql").language
        'sql'
        """
        name, _, language = annotation.partition("_")
        code = (language or "python") if name == "Code" else ""
        return cls(schema=schema, shared=schema.get("$defs") or {}, language=code)

    @classmethod
    def of_arguments(cls, schema: Schema) -> Type:
        """The type of the arguments of a tool, by the schema of its parameters."""
        return cls(schema=schema, shared=schema.get("$defs") or {}, strict=True)

    def within(self, schema: Any) -> Type:
        """The type of a part of it."""
        return replace(self, schema=schema if isinstance(schema, dict) else {}, language="")

    def resolved(self, value: Any) -> Type:
        """The type without references and alternatives, as far as the value tells which is meant."""
        schema = self.schema
        if "$ref" in schema:
            return self.within(self.shared.get(str(schema["$ref"]).rpartition("/")[2])).resolved(value)
        options = schema.get("anyOf") or schema.get("oneOf")
        if not options:
            return self
        fitting = [each for each in (self.within(option).resolved(value) for option in options) if each.admits(value)]
        return fitting[0] if len(fitting) == 1 else self.within({})

    def admits(self, value: Any) -> bool:
        """Whether the value is of the kind that JSON has for the type."""
        kind = self.schema.get("type")
        return kind is None or (isinstance(value, _KINDS[kind]) and (kind == "boolean") >= isinstance(value, bool))


PROSE: Final = Type(schema={"type": "string"})
"""The type of a text, of which nothing more is known."""


def same_form(value: Any, declared: Type) -> Any:
    """Bring a value to a form that equals another's where the program is given the same value.

    >>> same_form(1, Type(schema={"type": "number"})) == same_form(1.0, Type(schema={"type": "number"}))
    True
    >>> same_form(1, Type()) == same_form(1.0, Type()), same_form(1, Type()) == same_form(True, Type())
    (False, False)
    """
    return _form(value, declared, loose=False)


def normal_form(value: Any, declared: Type) -> Any:
    """Bring a value to a form that equals another's where they differ in wording alone.

    >>> text = Type(schema={"type": "array", "items": {"type": "string"}})
    >>> normal_form(["It is Paris."], text) == normal_form(["it is Paris"], text)
    True
    """
    return _form(value, declared, loose=True)


def defaulted(value: Any, declared: Type) -> Any:
    """Bring a value to the form of `same_form`, with its defaults written out."""
    return _form(value, declared, loose=True, text=str)


def _form(value: Any, declared: Type, *, loose: bool, text: Any = normal_text) -> Any:
    declared = declared.resolved(value)
    schema = declared.schema
    again = functools.partial(_form, loose=loose, text=text)
    if isinstance(value, str) and declared.language:
        return "code", normal_code(value, declared.language) if loose else value
    if (plain := _as_declared(value, declared)) is not value or not isinstance(value, (str, list, dict)):
        return type(plain).__name__, str(plain)
    if isinstance(value, str):
        is_text = schema.get("type") == "string" and "enum" not in schema and "format" not in schema
        return "text", text(value) if loose and is_text else value
    if isinstance(value, list):
        items = [again(item, declared.within(_item(schema, place))) for place, item in enumerate(value)]
        return "list", tuple(sorted(items, key=repr) if schema.get("uniqueItems") else items)
    properties = schema.get("properties") or {}
    if loose:
        value = {name: each["default"] for name, each in properties.items() if "default" in each} | value
    other = schema.get("additionalProperties")
    fields = {name: again(item, declared.within(properties.get(name, other))) for name, item in value.items()}
    return "dict", tuple(sorted(fields.items()))


def _item(schema: Schema, place: int) -> Any:
    first = schema.get("prefixItems") or []
    return first[place] if place < len(first) else schema.get("items")


def _as_declared(value: Any, declared: Type) -> Any:
    """A plain value as pydantic makes it of the declared type; itself where that is a text, or does not fit."""
    schema = declared.schema
    kind = _SCALARS.get(str(schema.get("type"))) or _FORMATS.get(str(schema.get("format")))
    if kind is None or "enum" in schema or type(value) is kind or not isinstance(value, (str, int, float)):
        return value
    if (isinstance(value, str) and declared.strict) or (isinstance(value, bool) and kind in {int, float}):
        return value
    try:
        return _reader(kind).validate_python(value)
    except pydantic.ValidationError:
        return value


@functools.cache
def _reader(kind: type) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(kind)


def misfit(value: Any, declared: Type) -> str | None:
    """Say how a value does not fit its type, for a type that is told by more than a plain one's name."""
    kind = _FORMATS.get(str(declared.schema.get("format")))
    if kind is not None and isinstance(value, str) and _as_declared(value, declared) is value:
        return f"{value!r} is no {declared.schema['format']}"
    if not isinstance(value, (dict, list)):
        return None
    error = next(_validator(json.dumps(declared.schema)).iter_errors(_fitted(value, declared)), None)
    return None if error is None else str(error.message)


@functools.lru_cache(maxsize=256)
def _validator(schema: str) -> Any:
    return jsonschema.Draft202012Validator(json.loads(schema))


def _fitted(value: Any, declared: Type) -> Any:
    """The value with its numbers as pydantic reads them, which takes "3" for one."""
    declared = declared.resolved(value)
    schema = declared.schema
    if isinstance(value, dict):
        properties, other = schema.get("properties") or {}, schema.get("additionalProperties")
        return {name: _fitted(item, declared.within(properties.get(name, other))) for name, item in value.items()}
    if isinstance(value, list):
        return [_fitted(item, declared.within(_item(schema, place))) for place, item in enumerate(value)]
    plain = _as_declared(value, declared)
    return plain if isinstance(plain, (bool, int, float)) else value
