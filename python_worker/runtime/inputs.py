"""Inputs that nobody has checked, as far as they can be used."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from python_worker.domain.errors import Reason, WorkerError
from python_worker.signatures import dspy_inputs

if TYPE_CHECKING:
    from python_worker.domain.signature import Signature
    from python_worker.domain.value import Fields, Value


def unchecked(signature: Signature, values: Fields) -> tuple[dict[str, Value], tuple[str, ...]]:
    """The inputs, those that break their type as they came.

    Names are held to all the same: DSPy would leave out what it does not know.

    Returns:
        The inputs, and the names of those that break their type.

    Raises:
        WorkerError: ``validation_error``: a name that is no input's.
    """
    names = [field.name for field in signature.inputs]
    unknown = [name for name in values if name not in names]
    if unknown:
        raise WorkerError(
            f"inputs of {signature.name!r}: {unknown[0]!r} is no input; there are {', '.join(names)}.",
            reason=Reason.VALIDATION_ERROR,
            field=unknown[0],
        )
    taken: dict[str, Value] = {}
    broken: list[str] = []
    for field in signature.inputs:
        alone = {field.name: values[field.name]} if field.name in values else {}
        try:
            taken |= replace(signature, inputs=(field,)).accept_inputs(alone)
        except WorkerError:
            taken[field.name] = values.get(field.name)
            broken.append(field.name)
    return taken, tuple(broken)


def for_dspy(signature: Signature, values: Fields) -> dict[str, Any]:
    """Inputs as DSPy takes them; one that is not what its type says goes as it is.

    Raises:
        WorkerError: ``invalid_argument``: a sound or a file by its URL, which DSPy would have to fetch.
    """
    try:
        return dspy_inputs(signature, values)
    except (AttributeError, KeyError, TypeError, ValueError):
        return {field.name: _one_for_dspy(signature, field.name, values[field.name]) for field in signature.inputs}


def _one_for_dspy(signature: Signature, name: str, value: Value) -> Any:
    fields = tuple(field for field in signature.inputs if field.name == name)
    try:
        return dspy_inputs(replace(signature, inputs=fields), {name: value})[name]
    except (AttributeError, KeyError, TypeError, ValueError):
        return value
