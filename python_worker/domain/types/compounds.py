"""Types made of types: lists, tuples, maps, and what may be absent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

from python_worker.domain.field import Field, accept_fields, fields_schema
from python_worker.domain.types.base import Report, Schema, Type
from python_worker.domain.types.scalars import StringType
from python_worker.domain.value import Value, excerpt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_worker.domain.constraints import Kind


@dataclass(frozen=True)
class ListType(Type):
    """Values of one type, in order."""

    item: Type

    name = "list"
    kind: ClassVar[Kind] = "list"

    def __post_init__(self) -> None:
        super().__post_init__()
        named = {each.name: each for each in self.constraints}
        different = self.item.most_values if "unique" in named and named["unique"].limit else None
        if different is not None and "min_length" in named and named["min_length"].limit > different:
            raise ValueError(
                f"{named['unique']} and {named['min_length']} leave no value: there are {different} of {self.item}"
            )

    @property
    def arguments(self) -> tuple[str, ...]:
        """The item's type."""
        return (str(self.item),)

    def take(self, value: Value, path: str, report: Report) -> Value:
        """Take a list and each of its items; coerced: a tuple or a set."""
        if not isinstance(value, list):
            given = _as_list(value) if report.coerce else None
            if given is None:
                return report.wrong_type(path, value, f"a list, as {self} says")
            value = given
        accept = self.item.accept
        return [accept(item, f"{path}[{index}]", report) for index, item in enumerate(value)]

    def plain_schema(self) -> Schema:
        """An array."""
        return {"type": "array", "items": self.item.schema()}


@dataclass(frozen=True)
class TupleType(Type):
    """A list of a fixed length whose items each have their own type.

    >>> from python_worker.domain.types import IntegerType
    >>> str(TupleType((StringType(), IntegerType())))
    ':tuple(:string, :integer)'
    """

    items: tuple[Type, ...]

    name = "tuple"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.items:
            raise ValueError(":tuple needs the types it holds, such as :tuple(:string, :integer)")

    @property
    def arguments(self) -> tuple[str, ...]:
        """The items' types."""
        return tuple(map(str, self.items))

    def take(self, value: Value, path: str, report: Report) -> Value:
        """Take a list, or a Python tuple, of that length, and each of its items."""
        given: Sequence[Value] | None = value if isinstance(value, list | tuple) else None
        if given is None or len(given) != len(self.items):
            return report.wrong_type(path, value, f"a list of {len(self.items)}, as {self} says")
        return [
            item.accept(each, f"{path}[{index}]", report)
            for index, (item, each) in enumerate(zip(self.items, given, strict=True))
        ]

    @property
    def most_values(self) -> int | None:
        """The product of its items' numbers."""
        each = [item.most_values for item in self.items]
        return None if None in each else math.prod(count for count in each if count is not None)

    def plain_schema(self) -> Schema:
        """An array whose items each have their own schema."""
        return {
            "type": "array",
            "prefixItems": [item.schema() for item in self.items],
            "minItems": len(self.items),
            "maxItems": len(self.items),
        }


@dataclass(frozen=True)
class OptionalType(Type):
    """A value of one type, or none."""

    item: Type

    name = "optional"

    @property
    def arguments(self) -> tuple[str, ...]:
        """The item's type."""
        return (str(self.item),)

    @property
    def may_be_absent(self) -> bool:
        """It may."""
        return True

    def take(self, value: Value, path: str, report: Report) -> Value:
        """Take nothing, or what the item takes."""
        return None if value is None else self.item.accept(value, path, report)

    @property
    def most_values(self) -> int | None:
        """The item's number, and one for null."""
        return None if self.item.most_values is None else self.item.most_values + 1

    def plain_schema(self) -> Schema:
        """The item's, or null."""
        return {"anyOf": [self.item.schema(), {"type": "null"}]}


@dataclass(frozen=True)
class NestedType(Type):
    """A map of named fields and nothing else, each of its own type.

    >>> from python_worker.domain.types import IntegerType
    >>> str(NestedType((Field(name="name", type=StringType()), Field(name="age", type=IntegerType()))))
    ':nested(:string name, :integer age)'
    """

    fields: tuple[Field, ...]

    name = "nested"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.fields:
            raise ValueError(":nested needs its fields, such as :nested(:string name, :integer age)")

    @property
    def arguments(self) -> tuple[str, ...]:
        """The fields."""
        return tuple(map(str, self.fields))

    def take(self, value: Value, path: str, report: Report) -> Value:
        """Take a map of the fields; absent ones get their default, or None where they are optional."""
        if not isinstance(value, dict):
            return report.wrong_type(path, value, f"a map of {', '.join(field.name for field in self.fields)}")
        return accept_fields(self.fields, value, report, within=path)

    def plain_schema(self) -> Schema:
        """An object of the fields alone."""
        return fields_schema(self.fields)


STEP = NestedType((Field(name="step", type=StringType()), Field(name="reasoning", type=StringType())))
"""One link of a reasoning chain."""


@dataclass(frozen=True, kw_only=True)
class ReasoningChainType(Type):
    """A list of steps, each with its reasoning."""

    name = "reasoning_chain"
    kind: ClassVar[Kind] = "list"

    def take(self, value: Value, path: str, report: Report) -> Value:
        """Take a list of maps that hold exactly the strings ``step`` and ``reasoning``."""
        if not isinstance(value, list):
            return report.wrong_type(path, value, "a list of {step, reasoning}")
        return [STEP.accept(item, f"{path}[{index}]", report) for index, item in enumerate(value)]

    def plain_schema(self) -> Schema:
        """An array of objects."""
        return {"type": "array", "items": STEP.schema()}


@dataclass(frozen=True, kw_only=True)
class JsonType(Type):
    """Anything JSON can hold, null included."""

    name = "json"

    def take(self, value: Value, path: str, report: Report) -> Value:
        """Take any JSON value."""
        return accept_json(value, path, report)

    def plain_schema(self) -> Schema:
        """Everything."""
        return {}


@dataclass(frozen=True, kw_only=True)
class MapType(Type):
    """Anything JSON can hold, by string keys."""

    name = "map"

    def take(self, value: Value, path: str, report: Report) -> Value:
        """Take a map whose values, at any depth, are JSON values."""
        return accept_json(value, path, report) if isinstance(value, dict) else report.wrong_type(path, value, "a map")

    def plain_schema(self) -> Schema:
        """An object."""
        return {"type": "object"}


def accept_json(value: Any, path: str, report: Report) -> Value:
    """A JSON value as it is; what is none goes to the report."""
    match value:
        case dict():
            return {_key(key, path, report): accept_json(item, f"{path}.{key}", report) for key, item in value.items()}
        case list():
            return [accept_json(item, f"{path}[{index}]", report) for index, item in enumerate(value)]
        case float() if not math.isfinite(value):
            return report.wrong_type(path, value, "a finite number")
        case date():
            return report.wrong_type(
                path, value, "a JSON value; :datetime and :date hold times, or send it as a string"
            )
        case None | bool() | int() | float() | str():
            return value
        case _:
            return report.wrong_type(path, value, f"a JSON value, which a {type(value).__name__} is not")


def _key(key: object, path: str, report: Report) -> str:
    if isinstance(key, str):
        return key
    report.wrong_type(path, key, "a map by strings")
    return excerpt(key)


def _as_list(value: object) -> list[Any] | None:
    return list(value) if isinstance(value, tuple | set | frozenset) else None
