"""The Python types that DSPy is told for the native ones, and values as DSPy takes them."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, Optional, Union

from pydantic import WithJsonSchema
from typing_extensions import TypedDict

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.types import (
    STEP,
    AudioType,
    BooleanType,
    ConfidenceScoreType,
    DateTimeType,
    DateType,
    EmbeddingType,
    EnumType,
    FileType,
    FloatType,
    ImageType,
    IntegerType,
    JsonType,
    ListType,
    LiteralType,
    MapType,
    ModuleType,
    NestedType,
    OptionalType,
    ReasoningChainType,
    StringType,
    TensorType,
    TupleType,
    Type,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_worker.domain.field import Field
    from python_worker.domain.media import Media
    from python_worker.domain.signature import Signature
    from python_worker.domain.value import Fields


# For mypy a TypedDict is what stands in the source; these are made of what a signature says.
_typed_dict: Any = TypedDict

_LEAVES: dict[type[Type], Any] = {
    StringType: str,
    IntegerType: int,
    FloatType: float,
    ConfidenceScoreType: float,
    BooleanType: bool,
    MapType: dict[str, Any],
    JsonType: Any,
    DateTimeType: datetime,
    DateType: date,
    EmbeddingType: list[float],
}
_MEDIA: dict[type[Type], str] = {ImageType: "Image", AudioType: "Audio", FileType: "File"}


def annotation_of(type_: Type, *, answered: bool = True) -> Any:  # noqa: C901, PLR0911 - one line a type
    """The Python type by which DSPy words the prompt and parses the answer.

    Constraints within, such as those of a list's items, are in its JSON Schema, for the prompt; DSPy does not hold
    answers to them.

    Args:
        type_: The native type.
        answered: False for an input, which DSPy holds against its type by ``isinstance``: maps are plain dicts then.

    >>> annotation_of(ListType(OptionalType(IntegerType()))) == list[int | None]
    True
    """
    type_ = type_.resolved
    match type_:
        case ListType():
            return list[_inner(type_.item, answered=answered)]  # type: ignore[misc]
        case OptionalType():
            # Not "… | None": before Python 3.14, DSPy 3.4.0 words that otherwise, and keys would differ.
            return Optional[annotation_of(type_.item, answered=answered)]  # noqa: UP045
        case TupleType():
            return tuple.__class_getitem__(tuple(_inner(item, answered=answered) for item in type_.items))
        case NestedType() | TensorType() if not answered:
            return dict[str, Any]
        case TensorType():
            return _tensor_form(type_.dtype)
        case NestedType():
            return _typed_dict("Nested", {field.name: _entry(field) for field in type_.fields})
        case ReasoningChainType():
            return list[annotation_of(STEP, answered=answered)]  # type: ignore[misc]
        case EnumType() | ModuleType() if type_.choices:
            return Literal[tuple(type_.constraint_keywords()["enum"])]
        case LiteralType():
            return Literal[type_.values]
    if type(type_) in _MEDIA:
        import dspy

        return getattr(dspy, _MEDIA[type(type_)])
    return _LEAVES.get(type(type_), str if isinstance(type_, ModuleType) else Any)


def dspy_inputs(signature: Signature, values: Fields) -> dict[str, Any]:
    """Accepted inputs as DSPy takes them: tensors in their JSON form, media as DSPy's own types.

    Args:
        signature: What the values were accepted by.
        values: By field.

    Raises:
        WorkerError: ``invalid_argument``: a sound or a file by its URL, which DSPy would have to fetch.

    >>> from python_worker.domain.tensor import Tensor
    >>> from python_worker.signatures import parse
    >>> dspy_inputs(parse("signature s: :embedding v -> :string x"), {"v": Tensor.of([1.0, 2.0], dtype="float32")})
    {'v': [1.0, 2.0]}
    """
    return dspy_values(signature.inputs, values)


def dspy_values(fields: Sequence[Field], values: Fields) -> dict[str, Any]:
    """The same of any fields, those that have no value left out.

    Raises:
        WorkerError: ``invalid_argument``, likewise.
    """
    return {each.name: _to_dspy(each.type, values[each.name], each.name) for each in fields if each.name in values}


def _tensor_form(dtype: str | None) -> Any:
    data: Any = list[float]
    if dtype is None:
        data = list[Union[bool, int, float]]  # noqa: UP007 - likewise
    elif "float" not in dtype:
        data = list[bool] if dtype == "bool" else list[int]
    return _typed_dict("Tensor", {"dtype": str, "shape": list[int], "data": data})


def _inner(type_: Type, *, answered: bool = True) -> Any:
    plain = annotation_of(type_, answered=answered)
    if not answered:
        return plain
    told = type_.constraints or isinstance(type_.resolved, TensorType | EmbeddingType | ConfidenceScoreType)
    return Annotated[plain, WithJsonSchema(type_.schema())] if told else plain


def _entry(field: Field) -> Any:
    return NotRequired[_inner(field.type)] if field.may_be_absent else _inner(field.type)


def _to_dspy(type_: Type, value: Any, path: str) -> Any:  # noqa: PLR0911 - one a type
    type_ = type_.resolved
    if value is None:
        return None
    match type_:
        case ListType():
            return [_to_dspy(type_.item, item, f"{path}[{index}]") for index, item in enumerate(value)]
        case TupleType():
            pairs = enumerate(zip(type_.items, value, strict=True))
            return tuple(_to_dspy(item, each, f"{path}[{index}]") for index, (item, each) in pairs)
        case OptionalType():
            return _to_dspy(type_.item, value, path)
        case NestedType():
            return {
                field.name: _to_dspy(field.type, value[field.name], f"{path}.{field.name}") for field in type_.fields
            }
        case TensorType():
            return value.to_json()
        case EmbeddingType():
            return list(value.elements)
        case ImageType() | AudioType() | FileType():
            return _to_dspy_media(type_, value, path)
        case _:
            return value


def _to_dspy_media(type_: Type, media: Media, path: str) -> Any:
    import dspy

    if isinstance(type_, ImageType):
        return dspy.Image(media.uri)
    if media.data is None:
        raise WorkerError(
            f"{path} is {media.url!r}: DSPy sends {type_} as bytes alone; fetch it, and send the bytes.",
            reason=Reason.INVALID_ARGUMENT,
            field=path,
        )
    return dspy.Audio(media.uri) if isinstance(type_, AudioType) else dspy.File(file_data=media.uri)
