"""Rules over fields: what each check says of values that hold and of values that do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from python_worker.client import Reason, WorkerError
from python_worker.domain.rule import read_rules

VALUES = {"n": 3, "m": 5, "text": "one two three", "tags": ["a", "b"], "empty": "", "nothing": None}


def problems(rule, values=VALUES):
    [read] = read_rules([rule])
    return read.problems(values)


@pytest.mark.parametrize(
    ("holds", "breaks"),
    [
        ({"field": "text", "min_words": 3}, {"field": "text", "min_words": 4}),
        ({"field": "text", "max_words": 3}, {"field": "text", "max_words": 2}),
        ({"field": "tags", "min_length": 2}, {"field": "tags", "min_length": 3}),
        ({"field": "text", "max_length": 13}, {"field": "text", "max_length": 12}),
        ({"field": "n", "at_least": 3}, {"field": "n", "at_least": 4}),
        ({"field": "n", "at_most": 3}, {"field": "n", "at_most": 2}),
        ({"field": "m", "more_than": {"field": "n"}}, {"field": "n", "more_than": {"field": "m"}}),
        ({"field": "n", "less_than": {"field": "m"}}, {"field": "m", "less_than": {"field": "n"}}),
        ({"field": "n", "equals": 3}, {"field": "n", "equals": 4}),
        ({"field": "n", "not_equals": 4}, {"field": "n", "not_equals": 3}),
        ({"field": "n", "one_of": [1, 3]}, {"field": "n", "one_of": [1, 2]}),
        ({"field": "tags", "contains": "a"}, {"field": "tags", "contains": "c"}),
        ({"field": "n", "in": [3]}, {"field": "text", "in": {"field": "tags"}}),
        ({"field": "text", "matches": "^one"}, {"field": "text", "matches": "^two"}),
        ({"field": "text", "filled": True}, {"field": "empty", "filled": True}),
        ({"field": "nothing", "filled": False}, {"field": "text", "filled": False}),
        ({"not": {"field": "n", "equals": 4}}, {"not": {"field": "n", "equals": 3}}),
        (
            {"any": [{"field": "n", "equals": 4}, {"field": "m", "equals": 5}]},
            {"any": [{"field": "n", "equals": 4}, {"field": "m", "equals": 4}]},
        ),
        (
            {"if": {"field": "n", "equals": 4}, "then": {"field": "m", "equals": 0}},
            {
                "if": {"field": "n", "equals": 4},
                "then": {"field": "m", "equals": 5},
                "else": {"field": "m", "equals": 0},
            },
        ),
    ],
)
def test_a_check_holds_or_is_one_problem(holds, breaks):
    assert problems(holds) == []
    assert len(problems(breaks)) == 1


def test_a_value_that_a_check_does_not_fit_breaks_it():
    assert problems({"field": "nothing", "min_words": 1}) == ["nothing must have at least 1 words"]
    assert problems({"field": "text", "at_least": 3}) == ["text must be at least 3"]


def test_a_pattern_that_a_field_gives_and_that_is_none_is_not_matched():
    rule = {"field": "text", "matches": {"field": "given"}}
    assert problems(rule, VALUES | {"given": "^one"}) == []
    for given_pattern in ("(", 3, ["one"]):
        assert len(problems(rule, VALUES | {"given": given_pattern})) == 1


def test_all_broken_rules_are_told_and_a_message_stands_for_its_own():
    both = {"all": [{"field": "n", "equals": 4}, {"field": "m", "equals": 4, "message": "m is off"}]}
    assert problems(both) == ["n must be 4", "m is off"]


def test_rules_that_nest_without_end_are_refused():
    rule = {"field": "n", "equals": 1}
    for _ in range(50):
        rule = {"not": rule}
    with pytest.raises(WorkerError) as caught:
        read_rules([rule])
    assert caught.value.reason is Reason.INVALID_ARGUMENT


@given(
    rule=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(["field", "if", "n"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["field", "if", "then", "not", "any", "all", "equals", "x"]), inner, max_size=4
            )
        ),
        max_leaves=15,
    )
)
def test_anything_is_read_or_refused_with_its_place(rule):
    where = ""
    try:
        read = read_rules([rule])
    except WorkerError as error:
        read, where = (), error.field
    assert bool(read) != where.startswith("rules[0]")
    assert all(isinstance(each, str) for one in read for each in one.problems(VALUES))


@given(n=st.integers(), m=st.integers())
def test_a_rule_and_its_negation_never_agree(n, m):
    rule = {"field": "n", "less_than": {"field": "m"}}
    values = {"n": n, "m": m}
    assert bool(problems(rule, values)) != bool(problems({"not": rule}, values))
