"""Constraints on values of a right type: each says in plain words what broke it, and what JSON Schema calls it."""

from __future__ import annotations

import difflib
import json
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar, Literal

from python_worker.domain.pattern import searcher

Kind = Literal["number", "text", "list", "tensor", "other"]
"""What a type's values are, as far as constraints care."""


@dataclass(frozen=True)
class Constraint(ABC):
    """A rule that a value of a right type keeps or breaks.

    Attributes:
        limit: What the constraint is set to.
        name: Its name in the native syntax.
        keywords: JSON Schema's name for it, by the kinds of types it fits.
        word: What the limit must be, for the message of one that is not.
    """

    limit: Any
    name: ClassVar[str]
    keywords: ClassVar[Mapping[Kind, str]]
    word: ClassVar[str]

    def __post_init__(self) -> None:
        if not self.fits(self.limit):
            raise ValueError(f"{self.name} must be {self.word}, not {_json(self.limit)}")

    def __str__(self) -> str:
        return f"{self.name}={_json(self.limit)}"

    @staticmethod
    @abstractmethod
    def fits(limit: Any) -> bool:
        """Whether the constraint can be set to this."""

    @abstractmethod
    def broken_by(self, value: Any) -> str | None:
        """What the value is that it must not be, such as ``above maximum 1.0``; None where it keeps the rule."""

    def schema(self, kind: Kind) -> dict[str, Any]:
        """The keywords of JSON Schema for it, on values of a kind."""
        return {self.keywords[kind]: list(self.limit) if isinstance(self.limit, tuple) else self.limit}


def _is_number(limit: Any) -> bool:
    return isinstance(limit, int | float) and not isinstance(limit, bool) and limit == limit and abs(limit) != _INFINITE  # noqa: PLR0124 - NaN


def _is_count(limit: Any) -> bool:
    return isinstance(limit, int) and not isinstance(limit, bool) and limit >= 0


_INFINITE = float("inf")


@dataclass(frozen=True)
class Minimum(Constraint):
    """At least.

    >>> Minimum(0).broken_by(-1)
    'below minimum 0'
    """

    name, word = "min", "a finite number"
    keywords: ClassVar[Mapping[Kind, str]] = {"number": "minimum"}
    fits = staticmethod(_is_number)

    def broken_by(self, value: Any) -> str | None:
        """Below?"""
        return f"below minimum {self.limit}" if value < self.limit else None


@dataclass(frozen=True)
class Maximum(Constraint):
    """At most.

    >>> Maximum(1.0).broken_by(1.5)
    'above maximum 1.0'
    """

    name, word = "max", "a finite number"
    keywords: ClassVar[Mapping[Kind, str]] = {"number": "maximum"}
    fits = staticmethod(_is_number)

    def broken_by(self, value: Any) -> str | None:
        """Above?"""
        return f"above maximum {self.limit}" if value > self.limit else None


@dataclass(frozen=True)
class ExclusiveMinimum(Constraint):
    """More than.

    >>> ExclusiveMinimum(0).broken_by(0)
    'not above exclusive minimum 0'
    """

    name, word = "exclusive_min", "a finite number"
    keywords: ClassVar[Mapping[Kind, str]] = {"number": "exclusiveMinimum"}
    fits = staticmethod(_is_number)

    def broken_by(self, value: Any) -> str | None:
        """At or below?"""
        return f"not above exclusive minimum {self.limit}" if value <= self.limit else None


@dataclass(frozen=True)
class ExclusiveMaximum(Constraint):
    """Less than.

    >>> ExclusiveMaximum(1).broken_by(1)
    'not below exclusive maximum 1'
    """

    name, word = "exclusive_max", "a finite number"
    keywords: ClassVar[Mapping[Kind, str]] = {"number": "exclusiveMaximum"}
    fits = staticmethod(_is_number)

    def broken_by(self, value: Any) -> str | None:
        """At or above?"""
        return f"not below exclusive maximum {self.limit}" if value >= self.limit else None


@dataclass(frozen=True)
class MultipleOf(Constraint):
    """A whole number of steps from zero, in decimal arithmetic: 0.3 is a multiple of 0.1.

    >>> MultipleOf(0.1).broken_by(0.25), MultipleOf(0.1).broken_by(0.3)
    ('not a multiple of 0.1', None)
    """

    name, word = "multiple_of", "a number above 0"
    keywords: ClassVar[Mapping[Kind, str]] = {"number": "multipleOf"}

    @staticmethod
    def fits(limit: Any) -> bool:
        """Above zero."""
        return _is_number(limit) and limit > 0

    def broken_by(self, value: Any) -> str | None:
        """Between two steps?"""
        # Compared as ratios: a decimal context would round what is longer than its precision.
        steps, base = Decimal(str(value)).as_integer_ratio(), Decimal(str(self.limit)).as_integer_ratio()
        whole = (steps[0] * base[1]) % (steps[1] * base[0]) == 0
        return None if whole else f"not a multiple of {self.limit}"


@dataclass(frozen=True)
class MinLength(Constraint):
    """At least so many characters (code points) or items.

    >>> MinLength(2).broken_by("a"), MinLength(1).broken_by([])
    ('shorter than minimum length 2', 'shorter than minimum length 1')
    """

    name, word = "min_length", "a whole number from 0"
    keywords: ClassVar[Mapping[Kind, str]] = {"text": "minLength", "list": "minItems"}
    fits = staticmethod(_is_count)

    def broken_by(self, value: Any) -> str | None:
        """Shorter?"""
        return f"shorter than minimum length {self.limit}" if len(value) < self.limit else None


@dataclass(frozen=True)
class MaxLength(Constraint):
    """At most so many characters (code points) or items.

    >>> MaxLength(2).broken_by("abc")
    'longer than maximum length 2'
    """

    name, word = "max_length", "a whole number from 0"
    keywords: ClassVar[Mapping[Kind, str]] = {"text": "maxLength", "list": "maxItems"}
    fits = staticmethod(_is_count)

    def broken_by(self, value: Any) -> str | None:
        """Longer?"""
        return f"longer than maximum length {self.limit}" if len(value) > self.limit else None


@dataclass(frozen=True)
class Pattern(Constraint):
    """Text in which a regular expression of RE2 is found somewhere; anchor it with ``^`` and ``$`` for the whole.

    Look-around and back-references are not in RE2.

    >>> Pattern("^[a-z]+$").broken_by("Abc")
    'not matching pattern "^[a-z]+$"'
    """

    name, word = "pattern", "a regular expression of RE2"
    keywords: ClassVar[Mapping[Kind, str]] = {"text": "pattern"}

    @staticmethod
    def fits(limit: Any) -> bool:
        """It compiles."""
        if not isinstance(limit, str):
            return False
        try:
            searcher(limit)
        except ValueError:
            return False
        return True

    def broken_by(self, value: Any) -> str | None:
        """Not found?"""
        return None if searcher(self.limit)(value) else f"not matching pattern {_json(self.limit)}"


@dataclass(frozen=True)
class Choices(Constraint):
    """One of these values, as JSON compares: ``1`` is ``1.0`` and is not ``true``.

    >>> Choices(("a", "b")).broken_by("c")
    'not one of "a", "b"'
    """

    name, word = "choices", "a list of one or more strings or numbers"
    keywords: ClassVar[Mapping[Kind, str]] = {"number": "enum", "text": "enum"}

    @cached_property
    def _keys(self) -> frozenset[Hashable]:
        return frozenset(map(json_key, self.limit))

    @staticmethod
    def fits(limit: Any) -> bool:
        """Strings or numbers, at least one."""
        values = isinstance(limit, list | tuple) and limit
        return bool(values) and all(isinstance(each, str) or _is_number(each) for each in limit)

    def strangers(self, kind: Kind, *, whole: bool) -> list[Any]:
        """Those that no value of a kind can be.

        Args:
            kind: The type's.
            whole: Whether its values are whole numbers.
        """
        if kind == "text":
            return [each for each in self.limit if not isinstance(each, str)]
        return [each for each in self.limit if isinstance(each, str) or (whole and each != int(each))]

    def broken_by(self, value: Any) -> str | None:
        """None of them?"""
        return None if json_key(value) in self._keys else f"not one of {', '.join(map(_json, self.limit))}"


@dataclass(frozen=True)
class Dimensions(Constraint):
    """A tensor of so many dimensions (its rank). Of an embedding, the length is its type's: ``:embedding(768)``.

    >>> from python_worker.domain.tensor import Tensor
    >>> Dimensions(2).broken_by(Tensor.of([1.0], dtype="float32"))
    'of 1 dimensions, not 2'
    """

    name, word = "dimensions", "a whole number from 0"
    keywords: ClassVar[Mapping[Kind, str]] = {"tensor": "shape"}
    fits = staticmethod(_is_count)

    def broken_by(self, value: Any) -> str | None:
        """Of another rank?"""
        rank = len(value.shape)
        return None if rank == self.limit else f"of {rank} dimensions, not {self.limit}"

    def schema(self, kind: Kind) -> dict[str, Any]:
        """The length of ``shape``."""
        return {"properties": {self.keywords[kind]: {"minItems": self.limit, "maxItems": self.limit}}}


@dataclass(frozen=True)
class Unique(Constraint):
    """No item twice, as JSON compares.

    >>> Unique(True).broken_by([1, 2, 1])
    'not unique: item 2 repeats item 0'
    """

    name, word = "unique", "true or false"
    keywords: ClassVar[Mapping[Kind, str]] = {"list": "uniqueItems"}

    @staticmethod
    def fits(limit: Any) -> bool:
        """A boolean."""
        return isinstance(limit, bool)

    def broken_by(self, value: Any) -> str | None:
        """One twice?"""
        if not self.limit:
            return None
        seen: dict[Hashable, int] = {}
        for index, item in enumerate(value):
            first = seen.setdefault(json_key(item), index)
            if first != index:
                return f"not unique: item {index} repeats item {first}"
        return None


CONSTRAINTS: dict[str, type[Constraint]] = {
    each.name: each
    for each in (
        Minimum,
        Maximum,
        ExclusiveMinimum,
        ExclusiveMaximum,
        MultipleOf,
        MinLength,
        MaxLength,
        Pattern,
        Choices,
        Dimensions,
        Unique,
    )
}
"""By name in the native syntax."""

# Lower, upper, and whether they leave no value where they are equal.
_RANGES = (
    ("min", "max", False),
    ("exclusive_min", "exclusive_max", True),
    ("min", "exclusive_max", True),
    ("exclusive_min", "max", True),
    ("min_length", "max_length", False),
)


def build_constraint(name: str, limit: Any) -> Constraint:
    """The constraint of a name in the native syntax.

    Raises:
        ValueError: There is none, or it cannot be set to this; the message says what would do.

    >>> str(build_constraint("max", 3))
    'max=3'
    """
    if name not in CONSTRAINTS:
        close = difflib.get_close_matches(name, CONSTRAINTS, n=1, cutoff=0.5)
        raise ValueError(
            f"no constraint {name!r}; "
            + (f"did you mean {close[0]}?" if close else f"there are {', '.join(CONSTRAINTS)}")
        )
    return CONSTRAINTS[name](tuple(limit) if isinstance(limit, list) else limit)


def contradiction(constraints: Sequence[Constraint]) -> str | None:
    """Why no value can keep all of them, or None.

    >>> contradiction((Minimum(5), Maximum(1)))
    'min=5 and max=1 leave no value'
    """
    named = {each.name: each for each in constraints}
    if len(named) < len(constraints):
        twice = next(each.name for index, each in enumerate(constraints) if each.name in _names(constraints[:index]))
        return f"{twice} stands twice"
    for low, high, strict in _RANGES:
        if low in named and high in named:
            least, most = named[low].limit, named[high].limit
            if least > most or (strict and least == most):
                return f"{named[low]} and {named[high]} leave no value"
    return None


def json_key(value: Any) -> Hashable:
    """What two values share exactly when JSON Schema calls them equal.

    >>> json_key(1) == json_key(1.0), json_key(1) == json_key(True)
    (True, False)
    """
    match value:
        case bool():
            return ("boolean", value)
        case list() | tuple():
            return ("array", tuple(map(json_key, value)))
        case dict():
            return ("object", frozenset((key, json_key(item)) for key, item in value.items()))
        case _:
            assert isinstance(value, Hashable)
            return value


def _names(constraints: Sequence[Constraint]) -> set[str]:
    return {each.name for each in constraints}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=repr)
