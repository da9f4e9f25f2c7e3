"""What is kept of an execution's values: they come back as they were, types and all."""

import math
import struct
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from python_worker.domain.exact import exact_json, from_exact_json
from python_worker.domain.media import Media
from python_worker.domain.tensor import Tensor
from python_worker.domain.value import canonical_json
from python_worker.store import AuditLog
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire.values import fields_to_wire

from .test_wire import SCALARS

TEXTS = st.text(st.characters(codec="utf-8"), max_size=5) | st.from_regex(r"\A@{0,3}(date|float|x)\Z")
LEAVES = st.one_of(
    SCALARS,
    TEXTS,
    st.floats(),
    st.dates(),
    st.lists(st.floats(width=32), max_size=3).map(lambda numbers: Tensor.of(numbers, dtype="float32")),
    st.binary(max_size=9).map(lambda data: Media(mime_type="image/png", data=data)),
    st.just(Media(mime_type="image/png", url="https://example.com/a.png")),
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)
FIELDS = st.dictionaries(TEXTS, VALUES, max_size=4)

TYPES = """
signature everything:
    :datetime moment, :date day, :tensor("float32", [2, null]) grid, :embedding(3) point, :image picture,
    :list(:datetime) moments, :nested(:date since, :tensor("float64", [1]) weight) part, :map open, :float number
    -> :datetime told_moment, :date told_day, :embedding(2) told_point, :list(:date) told_days, :map told_open
"""
NOW = datetime(2026, 11, 20, 12, 30, 15, 123456, tzinfo=UTC)
INPUTS = {
    "moment": NOW,
    "day": date(2026, 11, 20),
    "grid": Tensor.of([[1.5, -0.0], [math.nan, math.inf]], dtype="float32"),
    "point": Tensor.of([0.1, 0.2, 0.3], dtype="float64"),
    "picture": Media(mime_type="image/png", data=b"\x89PNG"),
    "moments": [NOW, NOW],
    "part": {"since": date(2020, 2, 29), "weight": Tensor.of([2.0], dtype="float64")},
    "open": {"@date": "2026-11-20", "@": None, "plain": "2026-11-20"},
    "number": 1.0,
}
ANSWERS = {
    "moment": {
        "told_moment": "2026-11-20T12:30:15.123456Z",
        "told_day": "2026-11-20",
        "told_point": [0.5, 0.25],
        "told_days": ["2026-01-01"],
        "told_open": {"@x": 1},
    }
}


def on_the_wire(fields):
    return pb.Execution(inputs=fields_to_wire(fields)).SerializeToString(deterministic=True)


@settings(max_examples=200, deadline=None)
@given(FIELDS)
def test_values_come_back_from_their_text_to_the_last_bit(fields):
    read = from_exact_json(exact_json(fields))
    if not any_nan(fields):
        assert read == fields
        assert on_the_wire(read) == on_the_wire(fields)
    assert exact_json(read) == exact_json(fields)


def any_nan(value):
    """Whether a number is no number: those differ from themselves, and on the wire by their payload."""
    if isinstance(value, dict | list):
        return any(map(any_nan, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float) and math.isnan(value)


def test_what_json_has_a_form_for_is_kept_as_canonical_json():
    fields = {"b": [1, 2.5, None, True, "x"], "a": {"c": "2026-11-20"}}
    assert exact_json(fields) == canonical_json(fields).decode()


def test_a_tensor_comes_back_with_the_payload_of_its_nan():
    odd = Tensor(dtype="float64", shape=(1,), data=struct.pack("<Q", 0x7FF8_0000_0000_BEEF))
    assert from_exact_json(exact_json({"x": odd})) == {"x": odd}


@pytest.mark.parametrize("key", ["", "once"])
def test_an_execution_is_told_later_as_it_was_answered(database, start_worker, key):
    worker = start_worker(ANSWERS, database=database)
    worker.client.create_signature(TYPES)
    worker.client.create_program("everything", signature="everything")
    answered = worker.client.execute("everything", INPUTS, idempotency_key=key)
    assert answered.inputs == INPUTS
    assert answered.outputs["told_point"] == Tensor.of([0.5, 0.25], dtype="float64")
    assert (answered.outputs["told_moment"], answered.outputs["told_day"]) == (NOW, date(2026, 11, 20))
    assert worker.client.get_execution(answered.id) == answered
    if key:
        assert worker.client.execute("everything", INPUTS, idempotency_key=key) == answered
    (listed,) = worker.client.list_executions()
    assert (listed.inputs, listed.outputs) == (answered.inputs, answered.outputs)
    _, breaks = AuditLog(database).verify()
    assert breaks == []
