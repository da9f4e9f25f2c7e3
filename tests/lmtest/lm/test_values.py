"""Made-up values fit their schema, whatever it is."""

import datetime as dt
import re
import uuid

import jsonschema
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmtest.lm.values import invent


def bounded(kind, numbers):
    bounds = st.tuples(numbers, numbers).map(sorted)
    return bounds.map(lambda pair: {"type": kind, "minimum": pair[0], "maximum": pair[1]})


def sized(kind, least, most):
    return st.tuples(st.integers(0, 30), st.integers(0, 30)).map(
        lambda pair: {"type": kind, least: min(pair), most: max(pair)}
    )


LEAVES = st.one_of(
    bounded("integer", st.integers(-1000, 1000)),
    bounded("number", st.floats(-1000, 1000)),
    st.integers(-50, 50).map(lambda low: {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": low + 1}),
    st.integers(-50, 50).map(lambda low: {"type": "integer", "exclusiveMinimum": low, "exclusiveMaximum": low + 2}),
    st.integers(1, 9).map(lambda step: {"type": "integer", "multipleOf": step, "minimum": -20}),
    sized("string", "minLength", "maxLength"),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"const": 7}, {"enum": ["a", 2, None]}, {}]),
    st.tuples(st.sampled_from(["^[a-z]+$", "b", r"^\d{2}-\w*$", "[A-Z]$"]), st.integers(3, 20), st.integers(0, 9)).map(
        lambda each: {"type": "string", "pattern": each[0], "minLength": each[1], "maxLength": sum(each[1:])}
    ),
    st.sampled_from(["date-time", "date", "uuid", "email", "uri", "ipv4"]).map(
        lambda name: {"type": "string", "format": name}
    ),
)


def nest(inner):
    arrays = st.tuples(inner, st.integers(0, 4), st.integers(0, 4)).map(
        lambda each: {"type": "array", "items": each[0], "minItems": min(each[1:]), "maxItems": max(each[1:])}
    )
    objects = st.dictionaries(st.sampled_from("abc"), inner, min_size=1).map(
        lambda fields: {
            "type": "object", "properties": fields, "required": sorted(fields), "additionalProperties": False,
        }
    )  # fmt: skip
    mappings = inner.map(lambda schema: {"type": "object", "additionalProperties": schema, "minProperties": 1})
    choices = st.lists(inner, min_size=1, max_size=3).map(lambda branches: {"anyOf": branches})
    return st.one_of(arrays, objects, mappings, choices)


@settings(max_examples=150, deadline=None)
@given(schema=st.recursive(LEAVES, nest, max_leaves=8), seed=st.text(max_size=4))
def test_a_value_fits_any_schema(schema, seed):
    value = invent(schema, seed=seed, topic="Why?", name="field")
    jsonschema.validate(value, schema, format_checker=jsonschema.FormatChecker())


@given(seed=st.text(max_size=8))
@settings(max_examples=50, deadline=None)
def test_the_same_seed_gives_the_same_value(seed):
    schema = {"type": "array", "items": {"type": "number"}, "minItems": 3}
    assert invent(schema, seed=seed, topic="") == invent(schema, seed=seed, topic="")


def test_another_seed_gives_another_value():
    values = {invent({"type": "integer", "minimum": 0, "maximum": 10**9}, seed=str(n), topic="") for n in range(20)}
    assert len(values) == 20


class Tree(pydantic.BaseModel):
    name: str
    branches: list["Tree"] = []
    parent: "Tree | None" = None
    by_name: dict[str, "Tree"] = {}


class Everything(pydantic.BaseModel):
    tree: Tree
    pair: tuple[int, str]
    unique: set[int] = pydantic.Field(min_length=3)
    when: dt.datetime
    day: dt.date
    clock: dt.time
    span: dt.timedelta
    key: uuid.UUID
    ratio: float = pydantic.Field(gt=0, lt=1)
    short: str = pydantic.Field(max_length=3)
    either: int | list[str]


@pytest.mark.parametrize("seed", ["a", "b", "c"])
def test_pydantic_accepts_what_its_schema_gets(seed):
    Everything.model_validate(invent(Everything.model_json_schema(), seed=seed, topic="Why?"))


def test_a_tree_of_required_children_comes_to_an_end():
    schema = {"properties": {"children": {"type": "array", "items": {"$ref": "#"}}}, "required": ["children"]}
    jsonschema.validate(invent(schema, seed="a", topic=""), schema)


def test_geminis_upper_case_types_are_understood():
    schema = {
        "type": "OBJECT",
        "properties": {"n": {"type": "INTEGER"}, "s": {"type": "ARRAY", "items": {"type": "STRING"}}},
    }
    value = invent(schema, seed="a", topic="")
    assert isinstance(value["n"], int)
    assert all(isinstance(each, str) for each in value["s"])


def test_a_reference_to_nowhere_is_named():
    with pytest.raises(ValueError, match=r"the schema of a refers to '#/\$defs/Gone': not found"):
        invent({"properties": {"a": {"$ref": "#/$defs/Gone"}}}, seed="a", topic="")


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"pattern": "^a$", "minLength": 2}, "tags.0: no text of at least 2 characters was found for pattern '^a$'"),
        ({"enum": ["x"]}, "tags: no 2 different items were found"),
        ({"type": "integer", "multipleOf": 5, "maximum": 4, "minimum": 1}, "tags.0: no multiple of 5 is within"),
    ],
)
def test_what_cannot_be_met_names_the_field_and_the_constraint(schema, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        invent({"type": "array", "items": schema, "minItems": 2, "uniqueItems": True}, seed="a", topic="", name="tags")


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"anyOf": [{"$ref": "#"}]},
        {"properties": {"a": {"$ref": "#"}}, "required": ["a"]},
    ],
)
def test_a_schema_that_requires_itself_is_refused(schema):
    with pytest.raises(ValueError, match="never ends"):
        invent(schema, seed="a", topic="")
