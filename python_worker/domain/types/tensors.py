"""Types of many numbers: tensors and embeddings."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from python_worker.domain.constraints import Dimensions
from python_worker.domain.tensor import DTYPES, LIMITS, Tensor
from python_worker.domain.types.base import NotConvertible, Report, Schema, Type

if TYPE_CHECKING:
    from python_worker.domain.constraints import Kind
    from python_worker.domain.value import Value

_FLOATS = ("float16", "float32", "float64")


@dataclass(frozen=True)
class TensorType(Type):
    """A tensor, of one element type or any, of one shape or any; None is a dimension of any length.

    >>> str(TensorType("float32", (None, 3)))
    ':tensor("float32", [null, 3])'
    """

    dtype: str | None = None
    shape: tuple[int | None, ...] | None = None

    name = "tensor"
    kind: ClassVar[Kind] = "tensor"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dtype is not None and self.dtype not in DTYPES:
            raise ValueError(f":tensor has no element type {json.dumps(self.dtype)}; there are {', '.join(DTYPES)}")
        if self.shape is not None:
            _check_lengths(self.shape)
            for each in self.constraints:
                if isinstance(each, Dimensions) and each.limit != len(self.shape):
                    raise ValueError(f"{each} and a shape of {len(self.shape)} dimensions leave no value")

    @property
    def arguments(self) -> tuple[str, ...]:
        """Element type and shape."""
        given = [] if self.dtype is None else [json.dumps(self.dtype)]
        return (*given, *([] if self.shape is None else [json.dumps(list(self.shape))]))

    def take(self, value: Value, path: str, report: Report) -> Value:
        """Take a tensor or its JSON form; coerced: nested lists of numbers, where the element type is told."""
        tensor = _from_form(value) if isinstance(value, dict) else value
        if not isinstance(tensor, Tensor):
            return report.wrong_type(path, value, _TENSOR, convert=self._convert)
        if self.dtype is not None and tensor.dtype != self.dtype:
            return report.wrong_type(path, value, f"a tensor of {self.dtype}")
        if self.shape is not None and not _agree(tensor.shape, self.shape):
            return report.wrong_type(path, value, f"a tensor of shape {json.dumps(list(self.shape))}")
        return tensor

    def plain_schema(self) -> Schema:
        """An object of element type, shape and elements; of an open shape it cannot tell how many those are."""
        shape: Schema = {"type": "array", "items": {"type": "integer", "minimum": 0}}
        data: Schema = {"type": "array", "items": _element_schema(self.dtype)}
        if self.shape is not None:
            shape |= {"minItems": len(self.shape), "maxItems": len(self.shape)}
            if self.shape:
                any_length = {"type": "integer", "minimum": 0}
                shape["prefixItems"] = [any_length if length is None else {"const": length} for length in self.shape]
            if None not in self.shape:
                size = math.prod(length for length in self.shape if length is not None)
                data |= {"minItems": size, "maxItems": size}
        dtype = {"enum": list(DTYPES)} if self.dtype is None else {"const": self.dtype}
        return _form({"dtype": {"type": "string", **dtype}, "shape": shape, "data": data}) | self._example()

    def _example(self) -> Schema:
        """Where the schema cannot tell how many elements there are, a form in which they agree."""
        if self.shape is not None and None not in self.shape:
            return {}
        ranks = [each.limit for each in self.constraints if isinstance(each, Dimensions)]
        shape = [1 if length is None else length for length in self.shape or [None] * (ranks[0] if ranks else 1)]
        dtype = self.dtype or "float32"
        return {"examples": [{"dtype": dtype, "shape": shape, "data": [dtype == "bool" or 1] * math.prod(shape)}]}

    def _convert(self, value: Any) -> Value:
        if self.dtype is None or not isinstance(value, list):
            raise NotConvertible
        tensor = Tensor.of(value, dtype=self.dtype)
        if self.shape is not None and not _agree(tensor.shape, self.shape):
            raise NotConvertible
        return tensor


@dataclass(frozen=True)
class EmbeddingType(Type):
    """A vector of floats, of one length or any. Its JSON form is the list of its numbers.

    >>> str(EmbeddingType(768))
    ':embedding(768)'
    """

    length: int | None = None

    name = "embedding"
    kind: ClassVar[Kind] = "tensor"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.constraints:
            raise ValueError(f":embedding has no {self.constraints[0].name}; its length is :embedding(768)")
        if self.length is not None:
            _check_lengths((self.length,))

    @property
    def arguments(self) -> tuple[str, ...]:
        """The length."""
        return () if self.length is None else (str(self.length),)

    def take(self, value: Value, path: str, report: Report) -> Value:
        """Take a tensor of one dimension and floats, or a list of numbers, which becomes a float64 tensor."""
        vector = _vector(value) if isinstance(value, list) else value
        if not isinstance(vector, Tensor) or len(vector.shape) != 1 or vector.dtype not in _FLOATS:
            return report.wrong_type(path, value, "an embedding: finite numbers in a row")
        if self.length is not None and vector.shape[0] != self.length:
            report.broken(path, value, f"of {vector.shape[0]} dimensions, not {self.length}")
        return vector

    def plain_schema(self) -> Schema:
        """An array of numbers."""
        length = {} if self.length is None else {"minItems": self.length, "maxItems": self.length}
        return {"type": "array", "items": _element_schema("float64"), **length}


_TENSOR = "a tensor, or a map of its dtype, shape and data"


def _form(properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _check_lengths(shape: tuple[Any, ...]) -> None:
    for length in shape:
        if length is not None and (isinstance(length, bool) or not isinstance(length, int) or length < 0):
            raise ValueError(f"a length is a whole number from 0, not {json.dumps(length)}")


def _agree(shape: tuple[int, ...], pattern: tuple[int | None, ...]) -> bool:
    return len(shape) == len(pattern) and all(
        wanted in {None, length} for length, wanted in zip(shape, pattern, strict=True)
    )


def _from_form(value: dict[str, Any]) -> Tensor | None:
    dtype, shape, data = (value.get(name) for name in ("dtype", "shape", "data"))
    if value.keys() != {"dtype", "shape", "data"} or not isinstance(shape, list) or not isinstance(data, list):
        return None
    if not all(isinstance(length, int) and not isinstance(length, bool) for length in shape):
        return None
    if dtype not in DTYPES or not all(_is_element(each, dtype) for each in data):
        return None
    try:
        return Tensor.flat(data, dtype=dtype, shape=shape)
    except ValueError:
        return None


def _vector(value: list[Any]) -> Tensor | None:
    whole = all(_is_element(each, "float64") for each in value)
    return Tensor.flat(value, dtype="float64", shape=(len(value),)) if whole else None


def _is_element(number: Any, dtype: str) -> bool:
    if dtype == "bool" or isinstance(number, bool):
        return dtype == "bool" and isinstance(number, bool)
    least, greatest = LIMITS[dtype]
    whole = isinstance(number, int) or (isinstance(number, float) and "int" not in dtype)
    return whole and least <= number <= greatest


def _element_schema(dtype: str | None) -> Schema:
    if dtype is None:
        return {"type": ["number", "boolean"]}
    if dtype == "bool":
        return {"type": "boolean"}
    if dtype == "float64":
        return {"type": "number"}  # which is what JSON's are
    least, greatest = LIMITS[dtype]
    return {"type": "integer" if "int" in dtype else "number", "minimum": least, "maximum": greatest}
