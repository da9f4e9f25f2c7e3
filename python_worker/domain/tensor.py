"""A tensor as every language can read it: element type, shape, and little-endian bytes in row-major order."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

# By dtype, the code of Python's ``struct`` module, whose "<" forms are the wire's.
_CODES = {
    "bool": "?",
    "int8": "b",
    "int16": "h",
    "int32": "i",
    "int64": "q",
    "uint8": "B",
    "uint16": "H",
    "uint32": "I",
    "uint64": "Q",
    "float16": "e",
    "float32": "f",
    "float64": "d",
}

DTYPES = tuple(_CODES)
"""The element types, by NumPy's names."""

LIMITS: dict[str, tuple[float, float]] = {
    "float16": (-65504.0, 65504.0),
    "float32": (-3.4028234663852886e38, 3.4028234663852886e38),
    "float64": (-1.7976931348623157e308, 1.7976931348623157e308),
} | {
    name: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if name.startswith("int") else (0, 2**bits - 1)
    for bits in (8, 16, 32, 64)
    for name in (f"int{bits}", f"uint{bits}")
}
"""The least and the greatest finite number of each element type but ``bool``."""


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """Numbers of one element type in a shape. Equal when every bit is; NumPy is not needed.

    Args:
        dtype: One of ``DTYPES``.
        shape: The length of each dimension, outermost first; ``()`` is a single number.
        data: The elements, little-endian, row-major: as many bytes as the shape times the element's size.

    Raises:
        ValueError: What does not fit the rest.

    >>> Tensor.of([[1.0, 2.0], [3.0, 4.0]], dtype="float32").shape
    (2, 2)
    >>> Tensor(dtype="int16", shape=(3,), data=bytes(4))
    Traceback (most recent call last):
    ...
    ValueError: int16 of shape (3,) takes 6 bytes, and 4 are given
    """

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    def __post_init__(self) -> None:
        if self.dtype not in _CODES:
            raise ValueError(f"no element type {self.dtype!r}; there are {', '.join(DTYPES)}")
        if any(length < 0 for length in self.shape):
            raise ValueError(f"the shape {self.shape} has a negative length")
        needed = math.prod(self.shape) * struct.calcsize(_CODES[self.dtype])
        if needed != len(self.data):
            raise ValueError(f"{self.dtype} of shape {self.shape} takes {needed} bytes, and {len(self.data)} are given")

    def __repr__(self) -> str:
        return f"Tensor({self.dtype}, shape={list(self.shape)}, {len(self.data)} bytes)"

    @classmethod
    def of(cls, numbers: Any, *, dtype: str) -> Tensor:
        r"""A tensor of nested sequences of numbers.

        Raises:
            ValueError: The nesting is uneven, or a number does not fit the element type.

        >>> Tensor.of([1, 2], dtype="uint8").data
        b'\x01\x02'
        """
        shape = _shape(numbers)
        return cls.flat(_flattened(numbers, shape), dtype=dtype, shape=shape)

    @classmethod
    def flat(cls, numbers: Sequence[float], *, dtype: str, shape: Sequence[int]) -> Tensor:
        """A tensor of its elements in row-major order.

        Raises:
            ValueError: There are too many or too few, or one does not fit the element type.
        """
        if dtype not in _CODES:
            raise ValueError(f"no element type {dtype!r}; there are {', '.join(DTYPES)}")
        try:
            data = struct.pack(f"<{len(numbers)}{_CODES[dtype]}", *numbers)
        except (struct.error, OverflowError) as error:
            raise ValueError(f"not every number is a {dtype}: {error}") from None
        return cls(dtype=dtype, shape=tuple(shape), data=data)

    @classmethod
    def from_array(cls, array: Any) -> Tensor:
        """A tensor of a NumPy array, or of what behaves like one, bit for bit.

        Raises:
            ValueError: Its element type is not one of ``DTYPES``.
        """
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        return cls(dtype=array.dtype.name, shape=tuple(map(int, array.shape)), data=little.tobytes(order="C"))

    def to_array(self) -> Any:
        """A NumPy array of it, bit for bit; read-only, without a copy.

        Raises:
            ImportError: NumPy is not installed.
        """
        import numpy as np

        return np.frombuffer(self.data, dtype=np.dtype(self.dtype).newbyteorder("<")).reshape(self.shape)

    @property
    def elements(self) -> tuple[float, ...]:
        """The numbers in row-major order.

        >>> Tensor.of([[1, 2], [3, 4]], dtype="int32").elements
        (1, 2, 3, 4)
        """
        return struct.unpack(f"<{math.prod(self.shape)}{_CODES[self.dtype]}", self.data)

    def to_json(self) -> dict[str, Any]:
        """What a person, a model and a JSON Schema see of it.

        >>> Tensor.of([1.5], dtype="float32").to_json()
        {'dtype': 'float32', 'shape': [1], 'data': [1.5]}
        """
        return {"dtype": self.dtype, "shape": list(self.shape), "data": list(self.elements)}


def _shape(numbers: Any) -> tuple[int, ...]:
    if not isinstance(numbers, list | tuple):
        return ()
    return (len(numbers), *(_shape(numbers[0]) if numbers else ()))


def _flattened(numbers: Any, shape: tuple[int, ...]) -> list[float]:
    if not shape:
        if isinstance(numbers, list | tuple):
            raise ValueError("the nesting is uneven: a list stands where a number should")
        return [numbers]
    if not isinstance(numbers, list | tuple) or len(numbers) != shape[0]:
        raise ValueError(f"the nesting is uneven: {numbers!r} is not a list of {shape[0]}")
    return [element for row in numbers for element in _flattened(row, shape[1:])]
