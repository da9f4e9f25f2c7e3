"""The JSON Schema of a tool's arguments: checked when it is registered, held to when it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema
import referencing
from jsonschema.exceptions import SchemaError

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.pattern import searcher

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from python_worker.domain.tool import Tool


def check_parameters(tool: Tool) -> None:
    """See that arguments can be checked by a tool's schema.

    It is a client's, so nothing is fetched for it, and its patterns are searched in linear time.

    Raises:
        WorkerError: ``invalid_argument``.
    """
    schema = tool.parameters
    try:
        _Validator.check_schema(dict(schema))
        for part in _parts(schema):
            _check_part(part)
    except (SchemaError, ValueError) as error:
        told = error.message if isinstance(error, SchemaError) else error
        raise _refused(tool, f"is no schema that this worker takes: {told}") from error
    if schema and schema.get("type", "object") != "object":
        raise _refused(tool, f"is of type {schema['type']!r}, and the arguments of a call are an object")


def problems(tool: Tool, arguments: Mapping[str, Any]) -> str:
    """What is wrong with a call's arguments; "" where nothing is.

    >>> from python_worker.domain.tool import Tool
    >>> schema = {"properties": {"most": {"type": "integer"}}, "required": ["query"]}
    >>> problems(Tool(name="search", parameters=schema), {"most": "three"})
    "'query' is a required property; most: 'three' is not of type 'integer'"
    """
    validator = _Validator(dict(tool.parameters), registry=_NOTHING)
    return "; ".join(sorted(map(_told, validator.iter_errors(dict(arguments)))))


_NOTHING: referencing.Registry[Any] = referencing.Registry()


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[jsonschema.ValidationError]:
    if isinstance(value, str) and not searcher(pattern)(value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


_Validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": _pattern})


def _check_part(part: Mapping[str, Any]) -> None:
    for name in ("$ref", "$dynamicRef"):
        if not str(part.get(name, "#")).startswith("#"):
            raise ValueError(f"{name} {part[name]!r} leads outside of it")
    if "patternProperties" in part:
        raise ValueError("it has patternProperties: name the properties")
    if isinstance(part.get("pattern"), str):
        searcher(part["pattern"])


def _parts(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _parts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _parts(item)


def _told(error: Any) -> str:
    where = str(error.json_path).removeprefix("$").removeprefix(".")
    return f"{where}: {error.message}" if where else str(error.message)


def _refused(tool: Tool, what: str) -> WorkerError:
    return WorkerError(
        f"the JSON Schema of tool {tool.name!r}'s parameters {what}.",
        reason=Reason.INVALID_ARGUMENT,
        field="tools.parameters",
    )
