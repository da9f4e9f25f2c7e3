"""Types of one value: text, numbers, truth, and choices among them."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from python_worker.domain.constraints import Choices, Constraint, Kind, Maximum, Minimum, json_key
from python_worker.domain.types.base import NotConvertible, Report, Schema, Type

if TYPE_CHECKING:
    from python_worker.domain.value import Value

_INTEGER = re.compile(r"[+-]?\d{1,400}")
_TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True, kw_only=True)
class StringType(Type):
    """Text."""

    name = "string"
    kind: ClassVar[Kind] = "text"

    def take(self, value: Value, path: str, report: Report) -> Value:
        """Take a string; coerced: a number or a boolean, as JSON writes it."""
        return value if isinstance(value, str) else report.wrong_type(path, value, "a string", convert=_to_string)

    def plain_schema(self) -> Schema:
        """A string."""
        return {"type": "string"}


@dataclass(frozen=True, kw_only=True)
class IntegerType(Type):
    """A whole number."""

    name = "integer"
    kind: ClassVar[Kind] = "number"
    whole: ClassVar[bool] = True

    def take(self, value: Value, path: str, report: Report) -> Value:
        """Take an integer that is no boolean; coerced: its digits as text, or a float without a fraction."""
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        return report.wrong_type(path, value, "an integer", convert=_to_integer)

    def plain_schema(self) -> Schema:
        """An integer; JSON Schema calls 3.0 one, the validator does not."""
        return {"type": "integer"}


@dataclass(frozen=True, kw_only=True)
class FloatType(Type):
    """A finite number."""

    name = "float"
    kind: ClassVar[Kind] = "number"

    def take(self, value: Value, path: str, report: Report) -> Value:
        """Take a finite number; an integer becomes a float. Coerced: a number as text."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:
                return report.wrong_type(path, value, "a finite number")
            if math.isfinite(number):
                return number
        return report.wrong_type(path, value, "a finite number", convert=_to_float)

    def plain_schema(self) -> Schema:
        """A number."""
        return {"type": "number"}


@dataclass(frozen=True, kw_only=True)
class ConfidenceScoreType(FloatType):
    """A number from 0 to 1."""

    name = "confidence_score"

    def accept(self, value: Value, path: str, report: Report) -> Value:
        """Take a number from 0 to 1 that keeps the further constraints."""
        before = len(report.problems)
        score = super().accept(value, path, report)
        if len(report.problems) == before:
            for bound in _UNIT:
                if rule := bound.broken_by(score):
                    report.broken(path, value, rule)
        return score

    def constraint_keywords(self) -> Schema:
        """The bounds, narrowed by the further constraints."""
        further = super().constraint_keywords()
        return {
            **further,
            "minimum": max(0.0, further.get("minimum", 0.0)),
            "maximum": min(1.0, further.get("maximum", 1.0)),
        }

    def _can_be(self, choice: float) -> bool:
        return 0 <= choice <= 1 and super()._can_be(choice)


@dataclass(frozen=True, kw_only=True)
class BooleanType(Type):
    """True or false."""

    name = "boolean"

    def take(self, value: Value, path: str, report: Report) -> Value:
        """Take a boolean; coerced: ``true`` and ``false`` as text in any case, 1 and 0."""
        return value if isinstance(value, bool) else report.wrong_type(path, value, "a boolean", convert=_to_boolean)

    @property
    def most_values(self) -> int:
        """Two."""
        return 2

    def plain_schema(self) -> Schema:
        """A boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class EnumType(Type):
    """One of several strings; ``:choice`` is another spelling.

    >>> str(EnumType(("yes", "no")))
    ':enum("yes", "no")'
    """

    choices: tuple[str, ...]

    name = "enum"
    kind: ClassVar[Kind] = "text"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.choices or not all(isinstance(choice, str) for choice in self.choices):
            raise ValueError(f':{self.name} needs its strings, such as :{self.name}("yes", "no")')
        if len(set(self.choices)) < len(self.choices):
            raise ValueError(f":{self.name} has a choice twice")

    @property
    def arguments(self) -> tuple[str, ...]:
        """The choices, quoted."""
        return tuple(json.dumps(choice, ensure_ascii=False) for choice in self.choices)

    @property
    def members(self) -> tuple[str, ...]:
        """The choices."""
        return self.choices

    def take(self, value: Value, path: str, report: Report) -> Value:
        """Take one of the strings; coerced: the only one that differs in case or outer blanks alone."""
        if not isinstance(value, str):
            return report.wrong_type(path, value, "a string")
        if value in self.choices:
            return value
        alike = [choice for choice in self.choices if choice.strip().casefold() == value.strip().casefold()]
        if report.coerce and len(alike) == 1:
            return alike[0]
        report.broken(path, value, Choices(self.choices).broken_by(value) or "")
        return None

    def plain_schema(self) -> Schema:
        """An enumeration of strings."""
        return {"type": "string", "enum": list(self.choices)}


@dataclass(frozen=True)
class LiteralType(Type):
    """One of several values: strings, whole numbers, booleans, null.

    >>> str(LiteralType(("a", 1, True)))
    ':literal("a", 1, true)'
    """

    values: tuple[str | int | bool | None, ...]

    name = "literal"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.values or not all(each is None or isinstance(each, str | int) for each in self.values):
            raise ValueError(':literal needs strings, whole numbers, booleans or null, such as :literal("a", 1)')
        if len(set(map(json_key, self.values))) < len(self.values):
            raise ValueError(":literal has a value twice")

    @property
    def arguments(self) -> tuple[str, ...]:
        """The values as JSON."""
        return tuple(json.dumps(each, ensure_ascii=False) for each in self.values)

    @property
    def most_values(self) -> int:
        """As many as are named."""
        return len(self.values)

    def take(self, value: Value, path: str, report: Report) -> Value:
        """Take one of the values, of its own type: ``1`` is not ``true``."""
        for each in self.values:
            if type(each) is type(value) and each == value:
                return value
        return report.wrong_type(path, value, " or ".join(self.arguments))

    def plain_schema(self) -> Schema:
        """An enumeration."""
        return {"enum": list(self.values)}


@dataclass(frozen=True)
class ModuleType(Type):
    """The name of a DSPy module, one of some or any.

    >>> str(ModuleType(("Predict", "ChainOfThought")))
    ':module("Predict", "ChainOfThought")'
    """

    choices: tuple[str, ...] = ()

    name = "module"
    kind: ClassVar[Kind] = "text"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(isinstance(choice, str) and _is_class_name(choice) for choice in self.choices):
            raise ValueError(':module needs names of modules, such as :module("Predict", "ChainOfThought")')

    @property
    def arguments(self) -> tuple[str, ...]:
        """The choices, quoted."""
        return tuple(map(json.dumps, self.choices))

    @property
    def members(self) -> tuple[str, ...] | None:
        """The choices, where there are any."""
        return self.choices or None

    def take(self, value: Value, path: str, report: Report) -> Value:
        """Take a name."""
        if not isinstance(value, str) or not _is_class_name(value):
            return report.wrong_type(path, value, "the name of a DSPy module")
        if self.choices and (rule := Choices(self.choices).broken_by(value)):
            report.broken(path, value, rule)
        return value

    def plain_schema(self) -> Schema:
        """An enumeration, or a name."""
        return {"type": "string"} | ({"enum": list(self.choices)} if self.choices else {"pattern": _CLASS_NAME})

    def _can_be(self, choice: str) -> bool:
        return _is_class_name(choice) and super()._can_be(choice)


_UNIT: tuple[Constraint, ...] = (Minimum(0.0), Maximum(1.0))
_CLASS_NAME = "^[A-Z][A-Za-z0-9_]*$"


def _is_class_name(text: str) -> bool:
    return re.fullmatch(_CLASS_NAME.strip("^$"), text) is not None


def _to_string(value: Value) -> Value:
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return json.dumps(value)
    raise NotConvertible


def _to_integer(value: Value) -> Value:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    raise NotConvertible


def _to_float(value: Value) -> Value:
    if isinstance(value, str) and math.isfinite(number := float(value)):
        return number
    raise NotConvertible


def _to_boolean(value: Value) -> Value:
    if isinstance(value, str):
        value = _TRUTHS.get(value.strip().lower())
    elif isinstance(value, int) and value in {0, 1}:
        value = bool(value)
    if isinstance(value, bool):
        return value
    raise NotConvertible
