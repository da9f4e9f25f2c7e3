"""A signature from a ``dspy.Signature`` class."""

from __future__ import annotations

import enum
import types
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

import orjson
from typing_extensions import get_type_hints, is_typeddict

from python_worker.domain.constraints import CONSTRAINTS, Constraint, build_constraint
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.field import REQUIRED, Field, is_name
from python_worker.domain.signature import Signature
from python_worker.domain.types import NestedType, OptionalType, Type, build_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import dspy

_LEAVES: dict[Any, str] = {
    str: "string",
    int: "integer",
    float: "float",
    bool: "boolean",
    dict: "map",
    Any: "json",
    datetime: "datetime",
    date: "date",
}
_DSPY = {"Image": "image", "Audio": "audio", "File": "file", "Reasoning": "string"}

# pydantic's names, and annotated_types' classes' attributes, for the native constraints.
_PYDANTIC = {
    "ge": "min",
    "le": "max",
    "gt": "exclusive_min",
    "lt": "exclusive_max",
    "multiple_of": "multiple_of",
    "min_length": "min_length",
    "max_length": "max_length",
    "pattern": "pattern",
}


def from_dspy(cls: type[dspy.Signature]) -> Signature:
    """Compile a ``dspy.Signature`` class: its fields, types, descriptions, defaults, constraints and instructions.

    Args:
        cls: The class.

    Raises:
        WorkerError: ``invalid_argument``: a field whose Python type has no native one, or a name that is none here.

    >>> import dspy
    >>> class Rate(dspy.Signature):
    ...     "Rate the text."
    ...     text: str = dspy.InputField(desc="what is rated")
    ...     stars: int = dspy.OutputField(ge=1, le=5)
    >>> print(from_dspy(Rate))
    signature Rate "Rate the text.": :string text "what is rated" -> :integer(min=1, max=5) stars
    """
    if not is_name(cls.__name__):
        raise WorkerError(
            f"the class {cls.__name__!r} cannot name a signature: a letter, then letters, digits and underscores.",
            reason=Reason.INVALID_ARGUMENT,
            field="name",
        )
    return Signature(
        name=cls.__name__,
        inputs=tuple(_field(name, info) for name, info in cls.input_fields.items()),
        outputs=tuple(_field(name, info) for name, info in cls.output_fields.items()),
        description=cls.instructions,
    )


def _field(name: str, info: Any) -> Field:
    extra = info.json_schema_extra or {}
    described = extra.get("desc") or ""
    try:
        return _made(name, info, description="" if described == f"${{{name}}}" else described)
    except ValueError as error:
        raise WorkerError(f"the field {name!r}: {error}.", reason=Reason.INVALID_ARGUMENT, field=name) from None


def _made(name: str, info: Any, *, description: str) -> Field:
    _check_name(name)
    type_, default = _constrained(_type_of(info.annotation), info.metadata), _default(info)
    if default is None and type_.problems(None, name):
        type_ = OptionalType(type_)  # Python's habit: None for what may be absent, whatever the annotation says
    field = Field(name=name, type=type_, description=description, default=default)
    if objection := field.objection:
        raise ValueError(objection)
    return field


def _default(info: Any) -> Any:
    if info.is_required():
        return REQUIRED
    try:
        return orjson.loads(orjson.dumps(info.get_default(call_default_factory=True)))
    except TypeError as error:
        raise ValueError(f"the default has no JSON form: {error}") from None


def _type_of(annotation: Any) -> Type:  # noqa: PLR0911 - one a type
    if annotation in _LEAVES:
        return build_type(_LEAVES[annotation])
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _constrained(_type_of(arguments[0]), arguments[1:])
    if origin in {NotRequired, Required}:
        return _type_of(arguments[0])
    if origin in {Union, types.UnionType}:
        return _optional(annotation, arguments)
    if origin is Literal:
        return _one_of(arguments)
    if origin in {list, tuple}:
        one_type = Ellipsis in arguments  # tuple[int, ...], of any length
        items = [_type_of(each) for each in arguments if each is not Ellipsis]
        return build_type("list" if one_type else origin.__name__, items)
    if origin is dict:
        return build_type("map")
    if isinstance(annotation, type):
        return _class_type(annotation)
    raise ValueError(f"{annotation!r} has no native type")


def _one_of(values: Sequence[Any]) -> Type:
    return build_type("enum" if all(isinstance(each, str) for each in values) else "literal", values)


def _class_type(annotation: type) -> Type:
    if annotation.__module__.startswith("dspy.") and annotation.__name__ in _DSPY:
        return build_type(_DSPY[annotation.__name__])
    if issubclass(annotation, enum.Enum):
        return _one_of([member.value for member in annotation])
    if annotation is list:
        return build_type("list", [build_type("json")])
    if is_typeddict(annotation):
        hints = get_type_hints(annotation, include_extras=True)
        required: Iterable[str] = annotation.__required_keys__  # type: ignore[attr-defined] # every TypedDict has it
        return NestedType(tuple(_entry(key, hint, required=key in required) for key, hint in hints.items()))
    if hasattr(annotation, "model_fields"):
        return NestedType(tuple(_model_field(name, info) for name, info in annotation.model_fields.items()))
    raise ValueError(f"{annotation.__module__}.{annotation.__qualname__} has no native type; a pydantic model would do")


def _check_name(name: str) -> None:
    if not is_name(name):
        raise ValueError(f"{name!r} cannot name a field: a letter, then letters, digits and underscores")


def _model_field(name: str, info: Any) -> Field:
    return _made(name, info, description=info.description or "")


def _entry(key: str, hint: Any, *, required: bool) -> Field:
    _check_name(key)
    type_ = _type_of(hint)
    return Field(name=key, type=type_ if required or type_.may_be_absent else OptionalType(type_))


def _optional(annotation: Any, arguments: tuple[Any, ...]) -> Type:
    values = [each for each in arguments if each is not type(None)]
    if len(values) != 1 or len(arguments) != 2:
        raise ValueError(f"{annotation!r}: of unions, only one type or None is taken")
    return OptionalType(_type_of(values[0]))


def _constrained(type_: Type, metadata: Iterable[Any]) -> Type:
    limits = {
        native: limit
        for each in metadata
        for name, native in _PYDANTIC.items()
        if (limit := getattr(each, name, None)) is not None
    }
    constraints: list[Constraint] = [build_constraint(name, limits[name]) for name in CONSTRAINTS if name in limits]
    if isinstance(type_, OptionalType):
        return OptionalType(type_.item.constrained(*constraints))
    return type_.constrained(*constraints)
