"""Demos: worked examples, held against the program's signature, that the model is shown."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import orjson

from python_worker.domain.errors import invalid_values
from python_worker.domain.field import accept_fields
from python_worker.domain.types import OptionalType, Report
from python_worker.domain.value import canonical_json
from python_worker.signatures import dspy_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    import dspy

    from python_worker.domain.field import Field
    from python_worker.domain.signature import Signature
    from python_worker.domain.value import Fields, Value


def accept_demos(demos: Sequence[Fields], signature: Signature) -> tuple[dict[str, Value], ...]:
    """Demos in their JSON form, each with as many of the signature's fields as it has.

    Raises:
        WorkerError: ``validation_error`` or ``constraint_violation``, with every problem of every demo.

    >>> from python_worker.signatures import parse
    >>> accept_demos([{"n": 3}], parse("signature s: :string q -> :integer n"))
    ({'n': 3},)
    """
    report = Report()
    accepted = [_accept(demo, signature, report, f"demos[{index}]") for index, demo in enumerate(demos)]
    if report.problems:
        raise invalid_values(tuple(report.problems), what=f"demos of {signature.name!r}")
    return tuple(orjson.loads(canonical_json(demo)) for demo in accepted)


def attach_demos(module: dspy.Module, demos: Sequence[Fields], signature: Signature) -> None:
    """Show demos to every predictor that answers the signature, after those it has from a saved state."""
    import dspy

    fields = (*signature.inputs, *signature.outputs)
    shown = [dspy_values(fields, _accept(demo, signature, Report(), "demos")) for demo in demos]
    wanted = {field.name for field in signature.outputs}
    for predictor in module.predictors():
        if wanted <= predictor.signature.output_fields.keys() | {"reasoning", "rationale"}:
            known = predictor.signature.fields.keys()
            predictor.demos = [
                *predictor.demos,
                *(dspy.Example({name: value for name, value in each.items() if name in known}) for each in shown),
            ]


def _accept(demo: Fields, signature: Signature, report: Report, within: str) -> dict[str, Value]:
    fields = tuple(_maybe(field) for field in (*signature.inputs, *signature.outputs))
    accepted = accept_fields(fields, demo, report, within=within)
    return {name: value for name, value in accepted.items() if name in demo}


def _maybe(field: Field) -> Field:
    return field if field.may_be_absent else replace(field, type=OptionalType(field.type))
