"""What types take, make and promise: drawn ones agree with their schema, their printed form and the wire."""

from datetime import UTC, date, datetime

import jsonschema
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmtest.lm.values import invent
from python_worker.domain.constraints import build_constraint
from python_worker.domain.media import Media
from python_worker.domain.tensor import Tensor
from python_worker.domain.types import Report, StringType, build_type, register_type
from python_worker.domain.value import canonical_json
from python_worker.signatures import parse, parse_type
from python_worker.wire.values import from_wire, to_wire

from .typed import JSON, TYPES, changed, signatures

drawn = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SEEDS = st.text("abc", max_size=5)


def problems_of(type_, value, *, coerce=False):
    report = Report(coerce=coerce)
    type_.accept(value, "x", report)
    return [str(problem) for problem in report.problems]


def taken(type_, value, *, coerce=False):
    report = Report(coerce=coerce)
    accepted = parse_type(type_).accept(value, "x", report)
    assert not report.problems, report.problems
    return accepted


@drawn
@given(TYPES, SEEDS)
def test_every_value_made_up_by_a_types_schema_is_one_the_type_takes(type_, seed):
    assert problems_of(type_, invent(type_.schema(), seed=seed, topic="")) == []


@drawn
@given(TYPES)
def test_a_types_schema_is_valid_draft_2020_12(type_):
    jsonschema.Draft202012Validator.check_schema(type_.schema())


@drawn
@given(TYPES, SEEDS, st.data())
def test_a_schema_takes_what_the_validator_takes_and_refuses_what_it_refuses(type_, seed, data):
    value = data.draw(changed(invent(type_.schema(), seed=seed, topic="")) | JSON)
    checker = jsonschema.FormatChecker(formats=["date"])
    checker.checks("date-time")(
        lambda text: not isinstance(text, str) or problems_of(build_type("datetime"), text) == []
    )
    accepts = jsonschema.Draft202012Validator(type_.schema(), format_checker=checker).is_valid(value)
    assert accepts == (problems_of(type_, value) == [])


@drawn
@given(TYPES, SEEDS)
def test_an_accepted_value_comes_back_over_the_wire(type_, seed):
    accepted = type_.accept(invent(type_.schema(), seed=seed, topic=""), "x", Report())
    assert from_wire(to_wire(accepted, "x"), "x") == accepted


@drawn
@given(TYPES.filter(lambda type_: ":embedding" not in str(type_)), SEEDS)
def test_an_accepted_value_comes_back_from_its_canonical_json(type_, seed):
    accepted = type_.accept(invent(type_.schema(), seed=seed, topic=""), "x", Report())
    assert type_.accept(orjson.loads(canonical_json(accepted)), "x", Report()) == accepted


@drawn
@given(signatures())
def test_a_signature_prints_as_what_parses_to_it_again(signature):
    again = parse(str(signature))
    assert (again, str(again), again.digest) == (signature, str(signature), signature.digest)


COERCIONS = [
    (":integer", "42", 42),
    (":integer", " -7 ", -7),
    (":integer", 3.0, 3),
    (":float", "1.5", 1.5),
    (":string", 42, "42"),
    (":string", True, "true"),
    (":boolean", "TRUE", True),
    (":boolean", 0, False),
    (':enum("Yes", "No")', " yes", "Yes"),
    (":list(:integer)", ("1", 2), [1, 2]),
    (":datetime", "2024-05-01T12:00:00", datetime(2024, 5, 1, 12, tzinfo=UTC)),
    (":datetime", 0, datetime(1970, 1, 1, tzinfo=UTC)),
    (":date", datetime(2024, 5, 1, 12, tzinfo=UTC), date(2024, 5, 1)),
    (':tensor("int8", [2, 1])', [[1], [2]], Tensor.of([[1], [2]], dtype="int8")),
]


@pytest.mark.parametrize(("type_", "value", "accepted"), COERCIONS)
def test_a_value_is_converted_where_coercion_is_on(type_, value, accepted):
    found = taken(type_, value, coerce=True)
    assert (found, type(found)) == (accepted, type(accepted))


@pytest.mark.parametrize(("type_", "value", "accepted"), COERCIONS)
def test_nothing_is_converted_where_it_is_off(type_, value, accepted):
    assert problems_of(parse_type(type_), value) != []


@pytest.mark.parametrize(
    ("type_", "value", "message"),
    [
        (":integer", "abc", 'x: Cannot convert "abc" to an integer'),
        (":integer", 3.5, "x: Cannot convert 3.5 to an integer"),
        (":integer", float("inf"), "x: Cannot convert Infinity to an integer"),
        (":float", "nan", 'x: Cannot convert "nan" to a finite number'),
        (":boolean", "yes", 'x: Cannot convert "yes" to a boolean'),
        (":boolean", 2, "x: Cannot convert 2 to a boolean"),
        (":list(:string)", "abc", 'x: Cannot convert "abc" to a list, as :list(:string) says'),
        (":string", ["a"], 'x: Cannot convert ["a"] to a string'),
        (":datetime", "soon", 'x: Cannot convert "soon" to a time with its zone, such as 2024-05-01T12:00:00Z'),
    ],
)
def test_what_cannot_be_converted_is_said(type_, value, message):
    assert problems_of(parse_type(type_), value, coerce=True) == [message]


def test_constraints_hold_for_what_was_converted():
    assert problems_of(parse_type(":integer(max=3)"), "4", coerce=True) == ['x is above maximum 3: "4"']


@pytest.mark.parametrize(
    ("type_", "form", "accepted"),
    [
        (":datetime", "2024-05-01T14:00:00+02:00", datetime(2024, 5, 1, 12, tzinfo=UTC)),
        (":date", "2024-02-29", date(2024, 2, 29)),
        (":tuple(:string, :integer)", ["a", 1], ["a", 1]),
        (":embedding(2)", [1, 0.5], Tensor.of([1.0, 0.5], dtype="float64")),
        (
            ':tensor("float32", [null, 1])',
            {"dtype": "float32", "shape": [2, 1], "data": [1, 2]},
            Tensor.of([[1], [2]], dtype="float32"),
        ),
        (":image", "data:image/png;base64,YWJj", Media(mime_type="image/png", data=b"abc")),
        (":nested(:string a, :integer b = 3)", {"a": "x"}, {"a": "x", "b": 3}),
        (":json", None, None),
    ],
)
def test_the_json_form_of_a_value_is_always_taken(type_, form, accepted):
    assert taken(type_, form) == accepted


@pytest.mark.parametrize(
    ("type_", "value", "problem"),
    [
        (':enum("a", "b")', "c", 'x is not one of "a", "b": "c"'),
        (':enum("a", "b")', 1, "x must be a string, not 1"),
        (":literal(1, true)", False, "x must be 1 or true, not false"),
        (":literal(1)", True, "x must be 1, not true"),
        (":date", "2023-02-29", 'x must be a day, such as 2024-05-01, not "2023-02-29"'),
        (
            ":datetime",
            "2024-05-01T12:00:00",
            'x must be a time with its zone, such as 2024-05-01T12:00:00Z, not "2024-05-01T12:00:00"',
        ),
        (
            ":date",
            datetime(2024, 5, 1, tzinfo=UTC),
            'x must be a day, such as 2024-05-01, not "2024-05-01T00:00:00+00:00"',
        ),
        (":embedding(3)", [1.0], "x is of 1 dimensions, not 3: [1.0]"),
        (":embedding", [1.0, "a"], 'x must be an embedding: finite numbers in a row, not [1.0,"a"]'),
        (":tuple(:string)", ["a", "b"], 'x must be a list of 1, as :tuple(:string) says, not ["a","b"]'),
        (":nested(:string a)", {"a": "x", "b": 1}, "x.b must be one of the fields ['a'], not 1"),
        (":nested(:string a)", {}, "x.a must be given (:string), not missing"),
        (
            ":map",
            {"a": date(2024, 1, 1)},
            'x.a must be a JSON value; :datetime and :date hold times, or send it as a string, not "2024-01-01"',
        ),
        (
            ":audio",
            "data:image/png;base64,YWJj",
            'x must be a sound, of a type audio/…, not "data:image/png;base64,YWJj"',
        ),
        (':module("Predict")', "ReAct", 'x is not one of "Predict": "ReAct"'),
        (":float", 10**400, f"x must be a finite number, not {'1' + '0' * 199}…"),
        (":confidence_score(min=0.5)", 0.25, "x is below minimum 0.5: 0.25"),
        (':list(:string(pattern="^a"), unique=true)', ["a", "b", "a"], 'x[1] is not matching pattern "^a": "b"'),
    ],
)
def test_a_wrong_value_is_told_in_plain_words(type_, value, problem):
    assert problems_of(parse_type(type_), value) == [problem]


def test_every_broken_constraint_of_a_value_is_told():
    assert problems_of(parse_type(':string(min_length=3, pattern="^a")'), "b") == [
        'x is shorter than minimum length 3: "b"',
        'x is not matching pattern "^a": "b"',
    ]


def test_a_type_of_your_own_has_a_name_of_your_own():
    register_type("two_letters", StringType(constraints=(build_constraint("pattern", "^[a-z]{2}$"),)))
    assert str(parse("signature s: :list(:two_letters) x -> :string y").inputs[0]) == ":list(:two_letters) x"
    assert taken(":two_letters", "ab") == "ab"
    assert problems_of(parse_type(":two_letters"), "abc") == ['x is not matching pattern "^[a-z]{2}$": "abc"']


@pytest.mark.parametrize(
    ("name", "says"), [("string", "there is a type :string already"), ("1a", "cannot name a type")]
)
def test_a_name_that_is_taken_or_no_name_cannot_be_registered(name, says):
    with pytest.raises(ValueError, match=says):
        register_type(name, StringType())


def test_a_text_that_named_no_type_is_read_anew_once_the_type_is_registered():
    text = "signature s: :late_type x -> :string y"
    with pytest.raises(Exception, match="no type :late_type"):
        parse(text)
    register_type("late_type", StringType())
    assert parse(text).inputs[0].name == "x"
