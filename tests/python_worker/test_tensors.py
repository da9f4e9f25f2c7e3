"""Tensors, media and days: what they refuse to be, and that the wire changes no bit of them."""

import struct
from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.media import Media
from python_worker.domain.tensor import DTYPES, Tensor
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire.values import from_wire, to_wire

SIZES = {"bool": 1, "float16": 2, "float32": 4, "float64": 8} | {
    f"{sign}int{bits}": bits // 8 for sign in ("", "u") for bits in (8, 16, 32, 64)
}


@st.composite
def tensors(draw):
    dtype = draw(st.sampled_from(DTYPES))
    shape = tuple(draw(st.lists(st.integers(0, 3), max_size=3)))
    size = SIZES[dtype]
    for length in shape:
        size *= length
    return Tensor(dtype=dtype, shape=shape, data=draw(st.binary(min_size=size, max_size=size)))


@settings(max_examples=100, deadline=None)
@given(tensors())
def test_every_bit_of_a_tensor_comes_back_over_the_wire(tensor):
    assert from_wire(pb.Value.FromString(to_wire(tensor, "x").SerializeToString()), "x") == tensor


def test_a_payload_of_a_nan_survives_the_wire():
    odd_nan = bytes.fromhex("dfbeadfe ffffffff")
    tensor = Tensor(dtype="float32", shape=(2,), data=odd_nan)
    assert from_wire(to_wire(tensor, "x"), "x").data == odd_nan


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (pb.Tensor(dtype="float32", shape=[2, 2], data=bytes(15)), "takes 16 bytes, and 15 are given"),
        (pb.Tensor(dtype="complex64", shape=[1], data=bytes(8)), "no element type 'complex64'"),
        (pb.Tensor(dtype="int8", shape=[-1, -1], data=bytes(1)), "has a negative length"),
    ],
)
def test_a_tensor_that_contradicts_itself_is_refused_by_its_path(message, says):
    with pytest.raises(WorkerError, match=says) as caught:
        from_wire(pb.Value(tensor=message), "inputs.x")
    assert (caught.value.reason, caught.value.field) == (Reason.INVALID_ARGUMENT, "inputs.x")


def test_elements_are_little_endian_and_row_major():
    tensor = Tensor.of([[1, 2, 3], [4, 5, 6]], dtype="int16")
    assert tensor.data == struct.pack("<6h", 1, 2, 3, 4, 5, 6)


@pytest.mark.parametrize("numbers", [[[1, 2], [3]], [[1], 2], [1, [2]]])
def test_uneven_nesting_is_no_tensor(numbers):
    with pytest.raises(ValueError, match="uneven"):
        Tensor.of(numbers, dtype="int8")


@pytest.mark.parametrize(("number", "dtype"), [(300, "uint8"), (1.5, "int32"), (1e39, "float32"), ("a", "float64")])
def test_a_number_that_does_not_fit_its_element_type_is_refused(number, dtype):
    with pytest.raises(ValueError, match=f"not every number is a {dtype}"):
        Tensor.of([number], dtype=dtype)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_numpy_array_comes_back_as_it_went_whatever_its_byte_order(dtype, order):
    array = np.arange(6).astype(dtype).astype(np.dtype(dtype).newbyteorder(order)).reshape(2, 3)
    again = Tensor.from_array(array).to_array()
    assert (again.dtype, again.shape) == (np.dtype(dtype), (2, 3))
    assert (again == array).all()


@pytest.mark.parametrize(
    "value",
    [
        date(2024, 2, 29),
        date(1, 1, 1),
        Media(mime_type="image/png", data=b"\x89PNG"),
        Media(url="https://example.com/a.wav"),
        Media(mime_type="audio/wav", data=b""),
    ],
)
def test_days_and_media_come_back_as_they_went(value):
    assert from_wire(pb.Value.FromString(to_wire(value, "x").SerializeToString()), "x") == value


def test_a_day_is_no_moment_on_the_wire():
    assert to_wire(date(2024, 1, 1), "x").WhichOneof("kind") == "date"
    assert to_wire(datetime(2024, 1, 1, tzinfo=UTC), "x").WhichOneof("kind") == "timestamp"


@pytest.mark.parametrize(
    "message",
    [
        pb.Value(date=pb.Date(year=2023, month=2, day=29)),
        pb.Value(media=pb.Media(mime_type="image/png")),
        pb.Value(media=pb.Media(url="file:///etc/passwd")),
        pb.Value(media=pb.Media(mime_type="png", data=b"a")),
    ],
)
def test_a_day_or_media_that_cannot_be_are_refused(message):
    with pytest.raises(WorkerError) as caught:
        from_wire(message, "x")
    assert caught.value.reason is Reason.INVALID_ARGUMENT


@pytest.mark.parametrize("uri", ["data:image/png;base64,@@@", "data:image/png,abc", "ftp://x/y", "", "https://a b"])
def test_what_is_no_uri_of_media_is_refused(uri):
    with pytest.raises(ValueError, match=r"base64|no http"):
        Media.from_uri(uri)
