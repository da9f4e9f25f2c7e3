"""Values as messages and back."""

from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from python_worker.domain.errors import Reason, WorkerError
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire.values import MAX_DEPTH, from_wire, to_wire

# A timestamp holds nanoseconds from the year 1 to 9999; strings are what UTF-8 can encode.
TIMES = st.datetimes(timezones=st.just(UTC))
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(), TIMES
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


def nested(depth):
    value = "leaf"
    for _ in range(depth):
        value = {"x": value}
    return value


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_a_value_comes_back_as_it_went_type_and_all(value):
    message = pb.Value.FromString(to_wire(value, "x").SerializeToString())
    assert from_wire(message, "x") == value
    assert same_types(from_wire(message, "x"), value)


def same_types(one, other):
    if isinstance(one, list):
        return all(map(same_types, one, other))
    if isinstance(one, dict):
        return all(same_types(one[key], other[key]) for key in one)
    return type(one) is type(other)


def test_the_deepest_value_that_is_taken_can_be_read_at_the_other_end():
    request = pb.ExecuteRequest(inputs={"x": to_wire(nested(MAX_DEPTH), "x")})
    read = pb.ExecuteRequest.FromString(request.SerializeToString())
    assert from_wire(read.inputs["x"], "x") == nested(MAX_DEPTH)


@pytest.mark.parametrize(
    ("value", "path", "what"),
    [
        (nested(MAX_DEPTH + 1), "x" + ".x" * (MAX_DEPTH + 1), f"nested deeper than {MAX_DEPTH}"),
        ([1, 2**63], "x[1]", "an integer beyond 64 bits"),
        ({"a": {1, 2}}, "x.a", "a set"),
        ("half a pair \ud83d", "x", "text that is no valid Unicode"),
    ],
)
def test_what_no_message_can_carry_is_refused_by_its_path(value, path, what):
    with pytest.raises(WorkerError, match=what) as caught:
        to_wire(value, "x")
    assert (caught.value.reason, caught.value.field) == (Reason.UNSERIALIZABLE, path)
