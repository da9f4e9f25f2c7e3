"""Canonical JSON: equal values have equal bytes."""

from __future__ import annotations

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from lmtest.cassette.canonical import canonical_bytes, digest

EXACT = 2**53 - 1
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-EXACT, EXACT) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_it_is_rfc_8785(value):
    assert canonical_bytes(value) == rfc8785.dumps(value)


@given(st.dictionaries(TEXT, JSON, min_size=2), st.randoms())
def test_the_order_of_keys_does_not_matter(value, random):
    keys = list(value)
    random.shuffle(keys)

    assert digest({key: value[key] for key in keys}) == digest(value)


@given(st.integers(-EXACT, EXACT))
def test_a_whole_number_is_the_same_as_integer_and_as_float(number):
    assert digest([float(number)]) == digest([int(float(number))])


@pytest.mark.parametrize("number", [2**53, -(2**53), 2**64 + 1, 10**40])
def test_an_integer_beyond_what_a_double_holds_differs_from_its_neighbours(number):
    assert len({digest(number - 1), digest(number), digest(number + 1)}) == 3


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_json_cannot_carry_is_refused(number):
    with pytest.raises(ValueError):
        canonical_bytes({"n": number})
