"""The types by their names in the native syntax, yours among them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from python_worker.domain.field import Field, is_name
from python_worker.domain.types.base import Report, Schema, Type
from python_worker.domain.types.compounds import (
    JsonType,
    ListType,
    MapType,
    NestedType,
    OptionalType,
    ReasoningChainType,
    TupleType,
)
from python_worker.domain.types.media import AudioType, FileType, ImageType
from python_worker.domain.types.scalars import (
    BooleanType,
    ConfidenceScoreType,
    EnumType,
    FloatType,
    IntegerType,
    LiteralType,
    ModuleType,
    StringType,
)
from python_worker.domain.types.tensors import EmbeddingType, TensorType
from python_worker.domain.types.times import DateTimeType, DateType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from python_worker.domain.constraints import Constraint
    from python_worker.domain.value import Value

    Builder = Callable[[Sequence[Any], tuple[Constraint, ...]], Type]

_SCALARS: tuple[type[Type], ...] = (
    StringType,
    IntegerType,
    FloatType,
    BooleanType,
    MapType,
    JsonType,
    DateTimeType,
    DateType,
    ImageType,
    AudioType,
    FileType,
    ConfidenceScoreType,
    ReasoningChainType,
)
_registered: dict[str, Type] = {}


def register_type(name: str, type_: Type) -> None:
    """Give a type a name of your own in the native syntax, in this process.

    Args:
        name: Letters, digits and underscores, not taken by another type.
        type_: A type there is, with its constraints, or an instance of your own ``Type``.

    Raises:
        ValueError: The name is no name, or taken by another type.

    >>> from python_worker.domain.constraints import Pattern
    >>> register_type("isbn", StringType(constraints=(Pattern("^[0-9]{13}$"),)))
    >>> str(build_type("isbn"))
    ':isbn'
    """
    if not is_name(name):
        raise ValueError(f"{name!r} cannot name a type: a letter, then letters, digits and underscores")
    alias = _Alias(name, type_)
    if name in _BUILDERS or _registered.get(name, alias) != alias:
        raise ValueError(f"there is a type :{name} already")
    _registered[name] = alias


def build_type(name: str, arguments: Sequence[Any] = (), constraints: tuple[Constraint, ...] = ()) -> Type:
    """The type of a name in the native syntax.

    Args:
        name: Without the colon.
        arguments: What stands in its brackets: types, fields, JSON values.
        constraints: What else stands there.

    Raises:
        ValueError: There is no such type, or the brackets do not fit it; the message says what would.

    >>> str(build_type("list", [StringType()]))
    ':list(:string)'
    """
    if name in _registered:
        if arguments or constraints:
            raise ValueError(f":{name} is a type of your own and takes nothing in brackets")
        return _registered[name]
    if name not in _BUILDERS:
        raise ValueError(f"no type :{name}{_nearest(name)}")
    return _BUILDERS[name](arguments, constraints)


def type_names() -> tuple[str, ...]:
    """The names there are, registered ones last."""
    return (*_BUILDERS, *_registered)


@dataclass(frozen=True)
class _Alias(Type):
    """A type under a name of its user's own."""

    own_name: str
    type: Type

    name = "alias"

    def __str__(self) -> str:
        return f":{self.own_name}"

    @property
    def resolved(self) -> Type:
        """The type itself."""
        return self.type

    @property
    def may_be_absent(self) -> bool:
        """As the type says."""
        return self.type.may_be_absent

    @property
    def most_values(self) -> int | None:
        """As the type says."""
        return self.type.most_values

    def constrained(self, *constraints: Constraint) -> Type:
        """None further: the name says all there is."""
        if constraints:
            raise ValueError(f"{self} is a type of your own: register it with its constraints")
        return self

    def take(self, value: Value, path: str, report: Report) -> Value:
        """What the type takes, constraints included."""
        return self.type.accept(value, path, report)

    def plain_schema(self) -> Schema:
        """The type's, constraints included."""
        return self.type.schema()


def _scalar(cls: type[Type]) -> Builder:
    plain = cls()

    def build(arguments: Sequence[Any], constraints: tuple[Constraint, ...]) -> Type:
        if arguments:
            raise ValueError(f":{cls.name} takes no {_called(arguments[0])} in brackets")
        return cls(constraints=constraints) if constraints else plain

    return build


def _of_one(cls: Callable[..., Type]) -> Builder:
    def build(arguments: Sequence[Any], constraints: tuple[Constraint, ...]) -> Type:
        name = cls.name  # type: ignore[attr-defined] # every type has one
        if len(arguments) != 1 or not isinstance(arguments[0], Type):
            raise ValueError(f":{name} needs the type it holds, such as :{name}(:string)")
        return cls(arguments[0], constraints=constraints)

    return build


def _of_many(cls: Callable[..., Type], kinds: type | tuple[type, ...]) -> Builder:
    def build(arguments: Sequence[Any], constraints: tuple[Constraint, ...]) -> Type:
        wrong = [each for each in arguments if not isinstance(each, kinds)]
        if wrong:
            cls(())  # says what it needs
            raise ValueError(f":{cls.name} takes no {_called(wrong[0])} in brackets")  # type: ignore[attr-defined]
        return cls(tuple(arguments), constraints=constraints)

    return build


def _embedding(arguments: Sequence[Any], constraints: tuple[Constraint, ...]) -> Type:
    if len(arguments) > 1 or not all(isinstance(each, int) for each in arguments):
        raise ValueError(":embedding takes its length alone, such as :embedding(768)")
    return EmbeddingType(*arguments, constraints=constraints)


def _tensor(arguments: Sequence[Any], constraints: tuple[Constraint, ...]) -> Type:
    rest = list(arguments)
    dtype = rest.pop(0) if rest and isinstance(rest[0], str) else None
    shape = tuple(rest.pop(0)) if rest and isinstance(rest[0], list | tuple) else None
    if rest:
        raise ValueError(':tensor takes its element type and its shape, such as :tensor("float32", [2, null])')
    return TensorType(dtype, shape, constraints=constraints)


def _called(argument: object) -> str:
    return "type" if isinstance(argument, Type) else "field" if isinstance(argument, Field) else "value"


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name, type_names(), n=1, cutoff=0.5)
    return f"; did you mean :{close[0]}?" if close else f"; there are :{', :'.join(_BUILDERS)}, and those you register"


_BUILDERS: dict[str, Builder] = {
    **{cls.name: _scalar(cls) for cls in _SCALARS},
    "list": _of_one(ListType),
    "optional": _of_one(OptionalType),
    "tuple": _of_many(TupleType, Type),
    "nested": _of_many(NestedType, Field),
    "enum": _of_many(EnumType, str),
    "choice": _of_many(EnumType, str),
    "literal": _of_many(LiteralType, (str, int, type(None))),
    "module": _of_many(ModuleType, str),
    "embedding": _embedding,
    "tensor": _tensor,
}
