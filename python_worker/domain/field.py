"""A field: a named slot of a type, and how maps of values are held against several."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from python_worker.domain.errors import Problem, Reason
from python_worker.domain.value import Fields, Value, excerpt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_worker.domain.types.base import Report, Schema, Type


_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()
"""The default of a field that has none."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """A named slot of a type.

    Args:
        name: Letters, digits and underscores.
        type: What it holds.
        description: What it means, for the model; "" says nothing.
        default: The JSON form of the value that an absent input gets; ``REQUIRED`` where it must be given.

    >>> from python_worker.domain.types import IntegerType
    >>> print(Field(name="count", type=IntegerType(), default=3, description="how many"))
    :integer count = 3 "how many"
    """

    name: str
    type: Type
    description: str = ""
    default: Any = REQUIRED

    # A default may be a list or a map; what prints alike is alike.
    def __hash__(self) -> int:
        return hash((self.name, self.type, self.description))

    def __str__(self) -> str:
        default = "" if self.default is REQUIRED else f" = {_json(self.default)}"
        description = f" {_json(self.description)}" if self.description else ""
        return f"{self.type} {self.name}{default}{description}"

    @property
    def may_be_absent(self) -> bool:
        """Whether an input may leave it out."""
        return self.default is not REQUIRED or self.type.may_be_absent

    @property
    def objection(self) -> str:
        """Why its type does not take its default, in one line; "" where it does, or there is none.

        >>> from python_worker.domain.types import IntegerType
        >>> print(Field(name="count", type=IntegerType(), default="3").objection)
        the default must be an integer, not "3" ('count' is :integer)
        """
        if self.default is REQUIRED:
            return ""
        problems = self.type.problems(self.default, "the default")
        return f"{'; '.join(map(str, problems))} ({self.name!r} is {self.type})" if problems else ""

    def schema(self) -> Schema:
        """The schema of its type, with its description and default.

        >>> from python_worker.domain.types import StringType
        >>> Field(name="q", type=StringType(), description="what is asked").schema()
        {'type': 'string', 'description': 'what is asked'}
        """
        described = {"description": self.description} if self.description else {}
        return self.type.schema() | described | ({} if self.default is REQUIRED else {"default": self.default})


def is_name(text: str) -> bool:
    """Whether a field, a signature or a type may be called so: a letter, then letters, digits and underscores.

    >>> is_name("max_length"), is_name("_x"), is_name("ünder")
    (True, False, False)
    """
    return _NAME.fullmatch(text) is not None


def accept_fields(fields: Sequence[Field], values: Fields, report: Report, *, within: str = "") -> dict[str, Value]:
    """Values by field name as the types hold them: defaults filled in, absent optional ones None.

    Args:
        fields: What is expected.
        values: What was given.
        report: Collects the problems: of each value, of each missing one, of each name that is no field's.
        within: The path of the map that the values are in, "" at the top.
    """
    prefix = f"{within}." if within else ""
    accepted: dict[str, Value] = {}
    for field in fields:
        path = prefix + field.name
        if field.name in values:
            accepted[field.name] = field.type.accept(values[field.name], path, report)
        elif field.default is not REQUIRED:
            accepted[field.name] = field.type.accept(field.default, path, report)
        else:
            accepted[field.name] = None
            if not field.type.may_be_absent:
                report.problems.append(
                    Problem(kind=Reason.VALIDATION_ERROR, field=path, value="missing", rule=f"given ({field.type})")
                )
    if len(values) > len(fields) or not values.keys() <= accepted.keys():
        report.problems += _unknown(fields, values, prefix)
    return accepted


def fields_schema(fields: Sequence[Field]) -> Schema:
    """The JSON Schema of a map that holds the fields and nothing else."""
    return {
        "type": "object",
        "properties": {field.name: field.schema() for field in fields},
        "required": [field.name for field in fields if not field.may_be_absent],
        "additionalProperties": False,
    }


def _unknown(fields: Sequence[Field], values: Fields, prefix: str) -> list[Problem]:
    known = [field.name for field in fields]
    return [
        Problem(
            kind=Reason.VALIDATION_ERROR,
            field=prefix + name,
            value=excerpt(values[name]),
            rule=f"one of {_nearest(name, known)}" if known else "left out: there are no fields",
        )
        for name in values
        if name not in known
    ]


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"the fields {known} (did you mean {close[0]!r}?)" if close else f"the fields {known}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
