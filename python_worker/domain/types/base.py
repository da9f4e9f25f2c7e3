"""What every type is: how values are accepted, and how problems are collected."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from python_worker.domain.constraints import Choices, Constraint, Kind, contradiction
from python_worker.domain.errors import Problem, Reason
from python_worker.domain.pattern import lengths
from python_worker.domain.ranges import how_many
from python_worker.domain.value import Value, excerpt

if TYPE_CHECKING:
    from collections.abc import Callable

Schema = dict[str, Any]
"""A JSON Schema, draft 2020-12."""


class NotConvertible(ValueError):
    """What a coercion rule raises for a value it does not take."""


class Report:
    """Collects what is wrong with a value and its parts, so that all of it is said at once.

    Args:
        coerce: Whether a value of another type may be converted; docs/signatures.md has the rules.
    """

    def __init__(self, *, coerce: bool = False) -> None:
        self.problems: list[Problem] = []
        self.coerce = coerce

    def wrong_type(
        self, path: str, value: object, rule: str, *, convert: Callable[[Any], Value] | None = None
    ) -> Value:
        """Convert a value of the wrong type where that is allowed, or note it and give nothing.

        Args:
            path: Where the value stands.
            value: The value.
            rule: What it must be, such as ``an integer``.
            convert: The type's coercion rule; raises ``NotConvertible`` for what it does not take.
        """
        if self.coerce:
            try:
                if convert is not None:
                    return convert(value)
            except (ValueError, OverflowError):
                pass  # told below, in words of our own
            rule = f"Cannot convert {excerpt(value)} to {rule}"
        self.problems.append(Problem(kind=Reason.VALIDATION_ERROR, field=path, value=excerpt(value), rule=rule))
        return None

    def broken(self, path: str, value: object, rule: str) -> None:
        """Note a value of the right type that breaks a constraint."""
        self.problems.append(Problem(kind=Reason.CONSTRAINT_VIOLATION, field=path, value=excerpt(value), rule=rule))


@dataclass(frozen=True, kw_only=True)
class Type(ABC):
    """What a field may hold.

    Args:
        constraints: What else is asked of a value, in the native syntax ``:integer(min=0)``.

    Raises:
        ValueError: A constraint that does not fit the type, stands twice, or contradicts another.
    """

    constraints: tuple[Constraint, ...] = ()

    name: ClassVar[str]
    kind: ClassVar[Kind] = "other"
    whole: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.constraints:
            return
        for constraint in self.constraints:
            if self.kind not in constraint.keywords:
                raise ValueError(f":{self.name} has no {constraint.name}")
            if isinstance(constraint, Choices) and (wrong := constraint.strangers(self.kind, whole=self.whole)):
                raise ValueError(f"choices holds {wrong[0]!r}, which no :{self.name} is")
        if said := contradiction(self.constraints):
            raise ValueError(said)
        if self.constraint_keywords().get("enum") == []:
            raise ValueError("the other constraints leave no choice")
        if self.most_values == 0 or not self._leaves_length():
            raise ValueError(f"no {self._plainly} keeps {' and '.join(map(str, self.constraints))}")

    def __str__(self) -> str:
        inside = ", ".join((*self.arguments, *map(str, self.constraints)))
        return f":{self.name}({inside})" if inside else f":{self.name}"

    @property
    def arguments(self) -> tuple[str, ...]:
        """What stands in brackets in the native syntax, before the constraints."""
        return ()

    @property
    def members(self) -> tuple[Any, ...] | None:
        """Its only values before constraints, where the type itself names them."""
        return None

    @property
    def most_values(self) -> int | None:
        """How many different values it has at most; None where nobody can count them."""
        keywords = self.constraint_keywords()
        if "enum" in keywords:
            return len(keywords["enum"])
        return how_many(keywords, whole=self.whole) if self.kind == "number" else None

    @property
    def resolved(self) -> Type:
        """The type itself, where this is a name for another."""
        return self

    @property
    def may_be_absent(self) -> bool:
        """Whether a field of this type may be left out."""
        return False

    @abstractmethod
    def take(self, value: Value, path: str, report: Report) -> Value:
        """The value as this type holds it, before constraints; what is wrong with it goes to the report.

        A value's JSON form is always taken; another type's value only where the report coerces.

        Args:
            value: What was given.
            path: Where it stands, for the report.
            report: Collects the problems.
        """

    @abstractmethod
    def plain_schema(self) -> Schema:
        """The JSON Schema of the JSON form of values, before constraints."""

    def accept(self, value: Value, path: str, report: Report) -> Value:
        """The value as this type holds it; what is wrong with it, constraints included, goes to the report."""
        if not self.constraints:
            return self.take(value, path, report)
        before = len(report.problems)
        taken = self.take(value, path, report)
        if len(report.problems) == before:
            for constraint in self.constraints:
                if rule := constraint.broken_by(taken):
                    report.broken(path, value, rule)
        return taken

    def problems(self, value: Value, path: str) -> list[Problem]:
        """What is wrong with a value; nothing where the type takes it.

        Args:
            value: The value.
            path: Where it stands.
        """
        report = Report()
        self.accept(value, path, report)
        return report.problems

    def constrained(self, *constraints: Constraint) -> Type:
        """This type with more constraints.

        Raises:
            ValueError: One does not fit the type, stands there already, or contradicts another.
        """
        return replace(self, constraints=(*self.constraints, *constraints)) if constraints else self

    def schema(self) -> Schema:
        """The JSON Schema of the JSON form of values.

        >>> from python_worker.domain.constraints import Minimum
        >>> from python_worker.domain.types import IntegerType
        >>> IntegerType(constraints=(Minimum(0),)).schema()
        {'type': 'integer', 'minimum': 0}
        """
        return self.plain_schema() | self.constraint_keywords()

    def constraint_keywords(self) -> Schema:
        """The part of the schema that the constraints make."""
        keywords: Schema = {}
        for constraint in self.constraints:
            keywords |= constraint.schema(self.kind)
        among = keywords.get("enum", self.members)
        if among is not None:
            keywords["enum"] = [choice for choice in among if self._can_be(choice)]
        return keywords

    def _can_be(self, choice: Any) -> bool:
        """Decide if a choice is left by the type and the other constraints, so that nobody has to find out."""
        named = self.members is None or choice in self.members
        return named and not any(each.broken_by(choice) for each in self.constraints)

    def _leaves_length(self) -> bool:
        """Decide if a text can be as long as pattern and lengths say together."""
        named = {each.name: each.limit for each in self.constraints}
        if "pattern" not in named:
            return True
        least, most = lengths(named["pattern"])
        return bool(least <= named.get("max_length", math.inf) and named.get("min_length", 0) <= most)

    @property
    def _plainly(self) -> str:
        """The type without its constraints."""
        inside = ", ".join(self.arguments)
        return f":{self.name}({inside})" if inside else f":{self.name}"
