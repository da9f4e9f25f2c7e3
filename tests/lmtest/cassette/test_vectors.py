"""Vectors as a cassette keeps them."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmtest.cassette.interaction import Interaction, Reply
from lmtest.cassette.vectors import nearness, packed, unpacked, vectors_of
from lmtest.errors import CassetteFormatError

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
MATRICES = st.integers(1, 5).flatmap(
    lambda dimensions: st.lists(st.lists(FLOATS, min_size=dimensions, max_size=dimensions), min_size=1, max_size=4)
)


@given(MATRICES)
def test_a_float32_is_read_as_it_was_written_to_the_last_bit(matrix):
    assert [_bits(row) for row in unpacked(packed(matrix))] == [_bits(row) for row in matrix]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=4))
def test_what_is_finer_is_rounded_as_numpy_rounds_it(vector):
    np = pytest.importorskip("numpy")
    assert unpacked(packed([vector])) == [np.array(vector, dtype=np.float32).tolist()]


@given(MATRICES)
def test_what_was_rounded_is_not_rounded_again(matrix):
    assert packed(unpacked(packed(matrix))) == packed(matrix)


def _bits(row):
    return struct.pack(f"<{len(row)}f", *row)


@pytest.mark.parametrize("vectors", [[], [[]], [[1.0], []], [[math.nan]], [[math.inf]], [[1e39]], ["AACA"], [[None]]])
def test_what_is_no_matrix_of_finite_numbers_is_refused(vectors):
    with pytest.raises(ValueError, match=r"vectors|numbers"):
        packed(vectors)


@pytest.mark.parametrize(
    "changed", [{"count": 2}, {"count": True}, {"dimensions": 0}, {"dimensions": "1"}, {"data": "AACA"}, {"data": "?"}]
)
def test_what_somebody_edited_is_refused(changed):
    edited = {**packed([[1.0]]), **changed}
    interaction = Interaction(key="k" * 64, request={}, outcome=Reply(response={"vectors": edited}))
    with pytest.raises(CassetteFormatError, match="LM_MODE=record"):
        unpacked(vectors_of(interaction))


def test_nearness_is_that_of_the_vector_that_moved_furthest():
    assert nearness([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.6, 0.8]]) == pytest.approx(0.8)
    assert nearness([[0.0]], [[0.0]]) == 1
    assert nearness([[0.0]], [[1.0]]) == 0
