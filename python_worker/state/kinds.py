"""The types of variables: read from the native syntax, inferred from a value, held to."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.media import Media
from python_worker.domain.tensor import Tensor
from python_worker.domain.types import ListType, Report, Type, build_type
from python_worker.domain.value import excerpt
from python_worker.signatures import parse_type

if TYPE_CHECKING:
    from python_worker.domain.value import Value

_INFERRED: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "float",
    str: "string",
    dict: "map",
    datetime: "datetime",
    date: "date",
    Tensor: "tensor",
    Media: "file",
}


@lru_cache(maxsize=1024)
def read_type(text: str) -> Type:
    """The type a text spells in the native syntax, constraints included; texts are remembered.

    Raises:
        WorkerError: ``syntax_error``, with the position.

    >>> str(read_type(":list(:integer(min=0))"))
    ':list(:integer(min=0))'
    """
    try:
        return parse_type(text)
    except WorkerError as error:
        raise WorkerError(
            f"{text[:80]!r} is no type: {error.message}", reason=error.reason, field="type", position=error.position
        ) from error


def infer(value: Value) -> Type:
    """The type of a variable that is registered without one; ``:json`` where the value could be of many.

    >>> [str(infer(value)) for value in (1, [0.5], [1, "two"], [], None)]
    [':integer', ':list(:float)', ':json', ':json', ':json']
    """
    if type(value) in _INFERRED:
        return build_type(_INFERRED[type(value)])
    if isinstance(value, list):
        items = {str(kind): kind for kind in map(infer, value)}
        if len(items) == 1:
            return ListType(*items.values())
    return build_type("json")


def hold(type_text: str, name: str, value: Value) -> Value:
    """The value as a variable of that type and name holds it.

    Raises:
        WorkerError: ``validation_error`` or ``constraint_violation``, with every problem listed.
    """
    report = Report()
    held = read_type(type_text).accept(value, name, report)
    if not report.problems:
        return held
    wrong = [problem for problem in report.problems if problem.kind is Reason.VALIDATION_ERROR]
    listed = "; ".join(map(str, report.problems))
    if wrong:
        message = f"Cannot convert {excerpt(value, length=80)} to {type_text}: {listed}."
    else:
        message = f"variable {name!r} breaks a constraint of {type_text}: {listed}."
    first = (wrong or report.problems)[0]
    raise WorkerError(message, reason=first.kind, field=first.field, problems=tuple(report.problems))
