"""Constraints: each breaks with one plain message, and none can be set to nonsense."""

import pytest

from python_worker.domain.constraints import CONSTRAINTS, contradiction
from python_worker.domain.tensor import Tensor

VECTOR = Tensor.of([1.0, 2.0], dtype="float32")


@pytest.mark.parametrize(
    ("name", "limit", "keeps", "breaks", "message"),
    [
        ("min", 0, 0, -1, "below minimum 0"),
        ("max", 1.0, 1.0, 1.5, "above maximum 1.0"),
        ("exclusive_min", 0, 0.1, 0, "not above exclusive minimum 0"),
        ("exclusive_max", 1, 0.9, 1, "not below exclusive maximum 1"),
        ("multiple_of", 0.1, 0.3, 0.35, "not a multiple of 0.1"),
        ("multiple_of", 3, 3 * 10**40, 3 * 10**40 + 1, "not a multiple of 3"),
        ("min_length", 2, "ab", "a", "shorter than minimum length 2"),
        ("max_length", 2, [1, 2], [1, 2, 3], "longer than maximum length 2"),
        ("max_length", 1, "\U0001f600", "ab", "longer than maximum length 1"),
        ("pattern", "^a+$", "aaa", "ab", 'not matching pattern "^a+$"'),
        ("pattern", "b", "abc", "ac", 'not matching pattern "b"'),
        ("choices", ["a", "b"], "a", "A", 'not one of "a", "b"'),
        ("choices", [1, 2.5], 1.0, 2, "not one of 1, 2.5"),
        ("dimensions", 1, VECTOR, Tensor.of([[1]], dtype="int8"), "of 2 dimensions, not 1"),
        ("unique", True, [1, True, "1"], [[1], [1.0]], "not unique: item 1 repeats item 0"),
        ("unique", True, [{"a": 1}, {"a": 2}], [{"a": 1}, 2, {"a": 1}], "not unique: item 2 repeats item 0"),
    ],
)
def test_a_broken_constraint_says_so_in_plain_words(name, limit, keeps, breaks, message):
    constraint = CONSTRAINTS[name](limit)
    assert constraint.broken_by(keeps) is None
    assert constraint.broken_by(breaks) == message


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("min", "0"),
        ("min", True),
        ("max", float("nan")),
        ("exclusive_max", float("inf")),
        ("multiple_of", 0),
        ("min_length", -1),
        ("max_length", 2.0),
        ("pattern", "(?=a)"),
        ("pattern", "(a"),
        ("pattern", 3),
        ("choices", []),
        ("choices", [True]),
        ("dimensions", None),
        ("unique", 1),
    ],
)
def test_a_constraint_cannot_be_set_to_nonsense(name, limit):
    with pytest.raises(ValueError, match=f"{name} must be"):
        CONSTRAINTS[name](limit)


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"min": 2, "max": 1}, "min=2 and max=1 leave no value"),
        ({"min": 1, "exclusive_max": 1}, "min=1 and exclusive_max=1 leave no value"),
        ({"min_length": 3, "max_length": 2}, "min_length=3 and max_length=2 leave no value"),
        ({"min": 1, "max": 1}, None),
    ],
)
def test_constraints_that_leave_no_value_are_told(limits, says):
    assert contradiction([CONSTRAINTS[name](limit) for name, limit in limits.items()]) == says


def test_a_pattern_that_blows_up_other_engines_takes_linear_time():
    evil = CONSTRAINTS["pattern"]("^(a+)+$")
    # A backtracking engine would take longer than the universe is old, and the suite's timeout would end it.
    assert evil.broken_by("a" * 50_000 + "!") is not None


def test_an_unlimited_unique_asks_nothing():
    assert CONSTRAINTS["unique"](limit=False).broken_by([1, 1]) is None
