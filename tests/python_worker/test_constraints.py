"""Constraints: each breaks with one plain message, and none can be set to nonsense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from python_worker.client import Reason, WorkerError
from python_worker.domain.constraints import CONSTRAINTS, contradiction
from python_worker.domain.pattern import lengths, searcher
from python_worker.domain.tensor import Tensor
from python_worker.domain.types import Report
from python_worker.signatures import parse

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


LEAVE_NOTHING = [
    ':enum("a", "bb", min_length=3)',
    ':enum("a", "b", choices=["c"])',
    ':enum("a", "b", pattern="^c")',
    ':module("Predict", max_length=3)',
    ':module(choices=["no module"])',
    ':string(pattern="^a{3}$", max_length=2)',
    ':string(pattern="^(ab|c)$", min_length=3)',
    ':string(pattern="abc", max_length=2)',
    r':string(pattern="^\\p{Greek}[[:digit:]]$", min_length=3)',
    ':string(choices=["a", "b"], min_length=2)',
    ":integer(min=1, max=9, multiple_of=10)",
    ":confidence_score(exclusive_min=1)",
    ":confidence_score(min=0.1, max=0.9, multiple_of=1)",
    ":list(:boolean, unique=true, min_length=3)",
    ':list(:enum("a", "b"), unique=true, min_length=3)',
    ':list(:enum("a", "b", choices=["a"]), unique=true, min_length=2)',
    ":list(:literal(1, true, null), unique=true, min_length=4)",
    ":list(:integer(min=1, max=3), unique=true, min_length=4)",
    ":list(:float(min=0, max=1, multiple_of=0.5), unique=true, min_length=4)",
    ":list(:optional(:boolean), unique=true, min_length=4)",
    ":list(:tuple(:boolean, :boolean), unique=true, min_length=5)",
    ':tensor("float32", [2, 3], dimensions=3)',
]
LEAVE_SOMETHING = [
    (':enum("a", "bb", min_length=2)', "bb"),
    (':module("Predict", "ReAct", max_length=5)', "ReAct"),
    (':string(pattern="^(ab|c)$", min_length=2)', "ab"),
    (':string(pattern="^a|b$", min_length=9)', "aaaaaaaaa"),
    (r':string(pattern="^\\p{Greek}[[:digit:]]$", min_length=2)', "\u03b11"),
    (":list(:boolean, unique=true, min_length=2)", [True, False]),
    (":list(:float(min=0, max=1, multiple_of=0.5), unique=true, min_length=3)", [0, 0.5, 1]),
    (
        ":list(:tuple(:boolean, :boolean), unique=true, min_length=4)",
        [[True, True], [True, False], [False, True], [False, False]],
    ),
    (':tensor("int8", [2, 3], dimensions=2)', {"dtype": "int8", "shape": [2, 3], "data": [0] * 6}),
]


@pytest.mark.parametrize("text", LEAVE_NOTHING)
def test_constraints_that_leave_no_value_are_refused_when_they_are_compiled(text):
    with pytest.raises(WorkerError) as caught:
        parse(f"signature s: {text} x -> :string y")
    assert caught.value.reason is Reason.SYNTAX_ERROR


@pytest.mark.parametrize(("text", "value"), LEAVE_SOMETHING)
def test_constraints_that_leave_a_value_are_not(text, value):
    (field,) = parse(f"signature s: {text} x -> :string y").inputs
    report = Report()
    field.type.accept(value, "x", report)
    assert report.problems == []


PARTS = st.sampled_from(
    ["a", "[ab]", r"\d", r"\pL", "[[:alpha:]0]", r"\x{41}", r"\Qa.\E", ".", "b?", "a+", "(?:ab|c)", "(a){2,3}"]
)
PATTERNS = st.builds(
    lambda begin, parts, end: begin + "".join(parts) + end,
    st.sampled_from(["", "^", r"\A", "(?i)", "a|^"]),
    st.lists(PARTS, max_size=4),
    st.sampled_from(["", "$", r"\z", "$|b"]),
)


@given(pattern=PATTERNS, text=st.text("abcA1.", max_size=8))
def test_no_text_that_a_pattern_is_found_in_is_shorter_or_longer_than_its_lengths(pattern, text):
    least, most = lengths(pattern)
    if searcher(pattern)(text):
        assert least <= len(text) <= most


@given(pattern=st.text("ab^$|()[]{}*+?.\\-&~0123456789:Qz", max_size=12), text=st.text("ab", max_size=5))
def test_whatever_a_pattern_is_its_lengths_are_told_without_a_warning(pattern, text):
    try:
        searcher(pattern)
    except ValueError:
        return
    least, most = lengths(pattern)
    if searcher(pattern)(text):
        assert least <= len(text) <= most
