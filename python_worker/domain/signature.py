"""A signature: what goes into a program and what comes out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from python_worker.domain.errors import invalid_values
from python_worker.domain.field import Field, accept_fields
from python_worker.domain.types import Report, StringType

if TYPE_CHECKING:
    from datetime import datetime

    from python_worker.domain.value import Fields, Value


@dataclass(frozen=True, kw_only=True, eq=False)
class Signature:
    """Fields in, fields out; what every form of a signature compiles to. Equal to another that prints alike.

    >>> from python_worker.domain.field import Field
    >>> from python_worker.domain.types import IntegerType, StringType
    >>> q, n = Field(name="question", type=StringType()), Field(name="count", type=IntegerType())
    >>> print(Signature(name="counting", inputs=(q,), outputs=(n,)))
    signature counting: :string question -> :integer count
    """

    name: str
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    description: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Signature) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __str__(self) -> str:
        description = f" {json.dumps(self.description, ensure_ascii=False)}" if self.description else ""
        fields = f"{', '.join(map(str, self.inputs))} -> {', '.join(map(str, self.outputs))}"
        return f"signature {self.name}{description}: {fields}"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the printed form, 64 hexadecimal digits: equal for what means the same, in every release.

        >>> from python_worker.domain.field import Field
        >>> from python_worker.domain.types import StringType
        >>> q, a = Field(name="q", type=StringType()), Field(name="a", type=StringType())
        >>> Signature(name="qa", inputs=(q,), outputs=(a,)).digest[:12]
        'f43fc618745a'
        """
        return hashlib.sha256(str(self).encode("utf-8", "surrogatepass")).hexdigest()

    def accept_inputs(self, values: Fields, *, coerce: bool = False) -> dict[str, Value]:
        """The inputs as their types hold them, absent ones as their default or None.

        Args:
            values: By field.
            coerce: Whether a value of another type may be converted; docs/signatures.md has the rules.

        Raises:
            WorkerError: ``validation_error`` or ``constraint_violation``, with every problem listed.
        """
        return _accept(self.inputs, values, what=f"inputs of {self.name!r}", coerce=coerce)

    def accept_outputs(self, values: Fields, *, coerce: bool = False) -> dict[str, Value]:
        """The outputs as their types hold them.

        Args:
            values: By field.
            coerce: Whether a value of another type may be converted.

        Raises:
            WorkerError: ``validation_error`` or ``constraint_violation``, with every problem listed.
        """
        return _accept(self.outputs, values, what=f"outputs of {self.name!r}", coerce=coerce)

    def with_reasoning(self) -> Signature:
        """This signature as ChainOfThought answers it: a string ``reasoning`` before the other outputs."""
        if any(field.name == "reasoning" for field in self.outputs):
            return self
        return replace(self, outputs=(Field(name="reasoning", type=StringType()), *self.outputs))


@dataclass(frozen=True, kw_only=True)
class SignatureRecord:
    """A signature as it is kept: its source, which compiles to the rest.

    Attributes:
        name: Unique in its session; "" for one that came with a program and is found by its id alone.
        text: As it was given.
        description: What the model is told to do, or "".
        session: Whose it is; "" is everybody's.
    """

    id: str
    name: str
    text: str
    description: str
    created_at: datetime
    session: str = ""


def _accept(fields: tuple[Field, ...], values: Fields, *, what: str, coerce: bool) -> dict[str, Value]:
    report = Report(coerce=coerce)
    accepted = accept_fields(fields, values, report)
    if report.problems:
        raise invalid_values(tuple(report.problems), what=what)
    return accepted
