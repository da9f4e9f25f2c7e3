"""The compiler from a signature to DSPy's own."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.field import REQUIRED
from python_worker.domain.types import (
    EmbeddingType,
    IntegerType,
    ListType,
    MediaType,
    OptionalType,
    TensorType,
    TupleType,
)
from python_worker.signatures.annotations import annotation_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import dspy

    from python_worker.domain.field import Field
    from python_worker.domain.signature import Signature
    from python_worker.domain.types import Type

# DSPy's modules take these as their own keyword arguments.
_TAKEN = frozenset({"config", "demos", "lm", "prediction", "signature"})
_TAKEN_OF_INPUTS = frozenset({"completions", "instance", "new_signature", "self"})
# What begins so is an Example's own, and left out of what it holds.
_OWN = "dspy_"

# JSON Schema's names for what pydantic, and by it DSPy's prompts, have words for.
_PYDANTIC = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
}


@lru_cache(maxsize=1024)
def to_dspy(signature: Signature) -> type[dspy.Signature]:
    """The ``dspy.Signature`` of a signature, constraints told as hints in the prompt.

    Answers are held to constraints by ``Signature.accept_outputs``, which names field, value and rule, not by DSPy.

    Raises:
        WorkerError: ``invalid_argument``: a field has a name that DSPy uses itself, or an output is media.
    """
    import dspy

    _check_names(signature)
    for field in signature.outputs:
        _check_answerable(field.type, field)
    fields = {
        field.name: (annotation_of(field.type, answered=False), _field(field, dspy.InputField))
        for field in signature.inputs
    }
    fields |= {field.name: (annotation_of(field.type), _field(field, dspy.OutputField)) for field in signature.outputs}
    compiled: type[dspy.Signature] = dspy.Signature(
        fields, signature.description or None, signature_name=signature.name
    )
    return compiled


def _field(field: Field, kind: Callable[..., Any]) -> Any:
    type_ = field.type.item.resolved if isinstance(field.type, OptionalType) else field.type.resolved
    hints = _hints(type_)
    if field.description:
        hints["desc"] = field.description
    if field.default is not REQUIRED:
        hints["default"] = field.default
    made = kind(**hints)
    extra = made.json_schema_extra
    said = [extra["constraints"]] if "constraints" in extra else []
    unsaid = [str(each) for each in type_.constraints if _PYDANTIC.get(each.keywords[type_.kind]) not in hints]
    if words := said + unsaid + _size(type_):
        extra["constraints"] = ", ".join(words)
    # What pydantic cannot derive from the Python type, for those who ask it for the field's JSON Schema.
    extra.update(field.type.schema())
    return made


def _hints(type_: Type) -> dict[str, Any]:
    limits = {_PYDANTIC[key]: limit for key, limit in type_.constraint_keywords().items() if key in _PYDANTIC}
    if isinstance(type_, IntegerType):  # pydantic holds integers against integers alone
        return {name: int(limit) for name, limit in limits.items() if limit == int(limit)}
    return limits


def _size(type_: Type) -> list[str]:
    return [str(type_)] if isinstance(type_, TensorType | EmbeddingType) and type_.arguments else []


def _check_names(signature: Signature) -> None:
    import dspy

    for field in (*signature.inputs, *signature.outputs):
        taken = _TAKEN | _TAKEN_OF_INPUTS if field in signature.inputs else _TAKEN
        if field.name in taken or field.name.startswith(_OWN) or hasattr(dspy.Signature, field.name):
            raise WorkerError(
                f"signature {signature.name!r}: DSPy uses the name {field.name!r} itself; call the field otherwise, "
                f"such as {field.name.removeprefix(_OWN) + '_value'!r}.",
                reason=Reason.INVALID_ARGUMENT,
                field=field.name,
            )


def _check_answerable(type_: Type, field: Field) -> None:
    type_ = type_.resolved
    if isinstance(type_, ListType | OptionalType):
        _check_answerable(type_.item, field)
    elif isinstance(type_, TupleType):
        for item in type_.items:
            _check_answerable(item, field)
    elif isinstance(type_, MediaType):
        raise WorkerError(
            f"the output {field.name!r} is {type_}: a program's answer is text; take media as inputs alone.",
            reason=Reason.INVALID_ARGUMENT,
            field=field.name,
        )
