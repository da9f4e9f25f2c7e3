"""JSON Schema, and what Gemini, OpenAI and Anthropic take of it.

What a dialect has no keyword for is told in the description instead, so that the model still reads it; the validator
holds answers to it in any case.

Sources: OpenAPI 3.0 subset of ``Schema`` in the Gemini API reference; "Supported schemas" of OpenAI's structured
outputs; "JSON Schema limitations" of Anthropic's structured outputs.
"""

from __future__ import annotations

import enum
import json
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.field import fields_schema
from python_worker.domain.portable import portable
from python_worker.domain.ranges import how_many, multiples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_worker.domain.field import Field
    from python_worker.domain.types import Schema

DRAFT = "https://json-schema.org/draft/2020-12/schema"


class Dialect(enum.StrEnum):
    """Who is to read a schema.

    >>> Dialect("gemini")
    <Dialect.GEMINI: 'gemini'>
    """

    JSON_SCHEMA = "json-schema"
    GEMINI = "gemini"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"


_STRUCTURE = {"type", "description", "properties", "required", "items", "enum", "anyOf"}
_BOUNDS = {"minimum", "maximum", "minItems", "maxItems"}
_KEPT = {
    Dialect.GEMINI: _STRUCTURE | _BOUNDS | {"minLength", "maxLength", "pattern", "format", "default", "nullable"},
    Dialect.OPENAI: _STRUCTURE
    | _BOUNDS
    | {"exclusiveMinimum", "exclusiveMaximum", "multipleOf", "pattern", "format", "additionalProperties"},
    Dialect.ANTHROPIC: _STRUCTURE | {"pattern", "format", "default", "additionalProperties"},
}
_FORMATS = {Dialect.GEMINI: {"date-time"}}
_JSON_TYPES = ((bool, "boolean"), (str, "string"), (int, "integer"), (float, "number"), (type(None), "null"))


def json_schema(fields: Sequence[Field], dialect: Dialect = Dialect.JSON_SCHEMA) -> Schema:
    """The schema of a map of fields: a signature's inputs or outputs.

    Args:
        fields: Such as ``signature.outputs``.
        dialect: Who is to read it.

    Raises:
        WorkerError: ``invalid_argument``: OpenAI's and Anthropic's strict outputs have no open maps and no free JSON.

    >>> from python_worker.signatures import parse
    >>> json_schema(parse("a -> n: int").outputs, Dialect.GEMINI)["properties"]
    {'n': {'type': 'INTEGER'}}
    """
    schema = fields_schema(fields)
    if dialect is Dialect.JSON_SCHEMA:
        return {"$schema": DRAFT, **_plain(schema)}
    return _Writer(dialect).write(schema, "")


class _Writer:
    """Rewrites our schemas, whose keywords are few and known, for a dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._kept = _KEPT[dialect]

    def write(self, schema: Schema, path: str) -> Schema:
        if "anyOf" in schema:
            return self._either(schema, path)
        schema, told = _positional(schema)
        if "const" in schema:
            schema = _without(schema, "const") | {"enum": [schema["const"]]}
        if "enum" in schema:
            return self._enumeration(schema, path)
        if "type" not in schema or (schema["type"] == "object" and "properties" not in schema):
            return self._open(schema, path)
        if schema["type"] == "object":
            schema = self._object(schema, path)
        elif "items" in schema:
            schema = schema | {"items": self.write(schema["items"], f"{path}[]")}
        return self._finished(schema, told)

    def _object(self, schema: Schema, path: str) -> Schema:
        properties = {
            key: self.write(each, f"{path}.{key}" if path else key) for key, each in schema["properties"].items()
        }
        required = schema["required"]
        if self._dialect is Dialect.OPENAI:
            # Strict mode knows no absent properties: what may be absent may be null.
            for key in properties.keys() - set(required):
                properties[key] = _nullable(properties[key])
            required = list(properties)
        if not required:  # Gemini refuses an empty list
            return _without(schema, "required") | {"properties": properties}
        return schema | {"properties": properties, "required": required}

    def _either(self, schema: Schema, path: str) -> Schema:
        branches = schema["anyOf"]
        rest = {key: value for key, value in schema.items() if key in {"description", "default"}}
        if self._dialect is Dialect.GEMINI and {"type": "null"} in branches:
            values = [self.write(each, path) for each in branches if each != {"type": "null"}]
            whole = values[0] if len(values) == 1 else {"anyOf": values}
            return self._finished(whole | {"nullable": True} | rest, [])
        return self._finished({"anyOf": [self.write(each, path) for each in branches]} | rest, [])

    def _enumeration(self, schema: Schema, path: str) -> Schema:
        values = schema["enum"]
        kinds = {name: [each for each in values if _json_type(each) == name] for _, name in _JSON_TYPES}
        kinds = {name: members for name, members in kinds.items() if members}
        if "type" not in schema and len(kinds) > 1:
            branches = [
                {"type": name} | ({"enum": members} if name != "null" else {}) for name, members in kinds.items()
            ]
            return self._either(_without(schema, "enum") | {"anyOf": branches}, path)
        schema = {"type": next(iter(kinds)), **schema}
        if self._dialect is Dialect.GEMINI and schema["type"] != "string":
            return self._finished(_without(schema, "enum"), [f"one of {', '.join(map(json.dumps, values))}"])
        return self._finished(schema, [])

    def _open(self, schema: Schema, path: str) -> Schema:
        if self._dialect is not Dialect.GEMINI:
            raise WorkerError(
                f"{path or 'the schema'} is an open map or free JSON, which {self._dialect.value}'s strict outputs "
                "do not have: give it :nested(…) fields, or ask for the dialect json-schema.",
                reason=Reason.INVALID_ARGUMENT,
                field=path,
            )
        return self._finished({"type": "object", **schema}, [] if "type" in schema else ["any JSON value"])

    def _finished(self, schema: Schema, told: list[str]) -> Schema:
        lost = [key for key in schema if not self._keeps(key, schema[key])]
        told = [*told, *(f"{key}: {json.dumps(schema[key])}" for key in lost if schema[key] is not False)]
        kept = {key: value for key, value in schema.items() if key not in lost}
        if told:
            kept["description"] = "; ".join([*([kept["description"]] if "description" in kept else []), *told])
        if self._dialect is Dialect.GEMINI and isinstance(kept.get("type"), str):
            kept["type"] = kept["type"].upper()
        return kept

    def _keeps(self, key: str, value: Any) -> bool:
        if key == "format":
            return value in _FORMATS.get(self._dialect, {value})
        if key == "minItems" and self._dialect is Dialect.ANTHROPIC:
            return value in {0, 1}
        return key in self._kept


def _plain(schema: Schema) -> Schema:
    """A schema that a plain validator holds values to as ours does, whatever its engine of patterns and its floats."""
    inner = {
        key: {name: _plain(each) for name, each in value.items()} if key == "properties" else _plain_part(value)
        for key, value in schema.items()
        if key in _SCHEMAS
    }
    schema, told = schema | inner, []
    if "pattern" in schema:
        spelled = portable(schema["pattern"])
        told += [] if spelled else [f"pattern: {json.dumps(schema['pattern'], ensure_ascii=False)} (RE2)"]
        schema = schema | {"pattern": spelled} if spelled else _without(schema, "pattern")
    if "multipleOf" in schema and (step := Fraction(str(schema["multipleOf"]))) != Fraction(schema["multipleOf"]):
        told += _in_decimals(schema, step)
        schema = _without(schema, "multipleOf") | _steps(schema, step)
    if told:
        schema["description"] = "; ".join([*([schema["description"]] if "description" in schema else []), *told])
    return schema


def _plain_part(value: Any) -> Any:
    return list(map(_plain, value)) if isinstance(value, list) else _plain(value)


_SCHEMAS = {"properties", "items", "prefixItems", "anyOf"}
_MOST_STEPS = 1_000


def _steps(schema: Schema, step: Fraction) -> Schema:
    """Give what says in floats which decimals are multiples: whole ones by a whole step, few ones by their values."""
    if schema["type"] == "integer":
        return {"multipleOf": step.numerator}
    if "enum" in schema:
        return {}
    count = how_many(schema, whole=False)
    if count is None or count > _MOST_STEPS:
        return {}
    return {"enum": [float(each * step) for each in multiples(schema, step)]}


def _in_decimals(schema: Schema, step: Fraction) -> list[str]:
    said = _steps(schema, step) or "enum" in schema
    return [] if said else [f"multipleOf: {json.dumps(schema['multipleOf'])}, in decimals"]


def _positional(schema: Schema) -> tuple[Schema, list[str]]:
    """No dialect has ``prefixItems``: any of the items' schemas at any place, and the order in words."""
    if "prefixItems" not in schema:
        return schema, []
    places = schema["prefixItems"]
    distinct = [each for index, each in enumerate(places) if each and each not in places[:index]]
    whole = _without(schema, "prefixItems")
    if "items" not in whole:
        whole["items"] = distinct[0] if len(distinct) == 1 else {"anyOf": distinct}
    return whole, [f"items in this order: {json.dumps(places)}"]


def _nullable(schema: Schema) -> Schema:
    if "anyOf" in schema:
        branches = schema["anyOf"]
        return schema if {"type": "null"} in branches else schema | {"anyOf": [*branches, {"type": "null"}]}
    return {"anyOf": [schema, {"type": "null"}]}


def _json_type(value: object) -> str:
    return next(name for kind, name in _JSON_TYPES if isinstance(value, kind))


def _without(schema: Schema, keyword: str) -> Schema:
    return {key: value for key, value in schema.items() if key != keyword}
