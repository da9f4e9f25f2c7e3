"""Schemas in the words of Gemini, OpenAI and Anthropic."""

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmtest.lm.values import invent
from python_worker.domain.errors import Reason, WorkerError
from python_worker.signatures import Dialect, json_schema, parse

from .typed import ANSWERS, signatures

drawn = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ALLOWED = {
    Dialect.GEMINI: {
        *("type", "format", "description", "nullable", "enum", "maxItems", "minItems", "properties", "required"),
        *("minLength", "maxLength", "pattern", "anyOf", "default", "items", "minimum", "maximum"),
    },
    Dialect.OPENAI: {
        *("type", "description", "enum", "anyOf", "properties", "required", "additionalProperties", "items"),
        *("pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minItems", "maxItems"),
    },
    Dialect.ANTHROPIC: {
        *("type", "description", "enum", "anyOf", "properties", "required", "additionalProperties", "items"),
        *("pattern", "format", "default", "minItems"),
    },
}


def output(text, dialect):
    return json_schema(parse(f"signature s: :string q -> {text} a").outputs, dialect)["properties"]["a"]


def parts(schema):
    """The schema and all schemas in it."""
    yield schema
    for inner in [*schema.get("properties", {}).values(), *schema.get("anyOf", [])]:
        yield from parts(inner)
    if "items" in schema:
        yield from parts(schema["items"])


def open_ended(signature):
    return any(word in str(signature) for word in (":map", ":json"))


@drawn
@given(signatures(ANSWERS), st.sampled_from([Dialect.GEMINI, Dialect.OPENAI, Dialect.ANTHROPIC]))
def test_a_dialect_has_only_keywords_its_provider_takes(signature, dialect):
    if open_ended(signature) and dialect is not Dialect.GEMINI:
        return
    for part in parts(json_schema(signature.outputs, dialect)):
        assert part.keys() <= ALLOWED[dialect]


@drawn
@given(signatures(ANSWERS), st.sampled_from([Dialect.OPENAI, Dialect.ANTHROPIC]), st.text("abc", max_size=4))
def test_a_dialect_takes_whatever_fits_the_schema_itself(signature, dialect, seed):
    if open_ended(signature):
        return
    value = invent(json_schema(signature.outputs), seed=seed, topic="")
    jsonschema.Draft202012Validator(json_schema(signature.outputs, dialect)).validate(value)


@drawn
@given(signatures(ANSWERS.filter(lambda type_: not open_ended(type_))))
def test_openai_gets_every_property_required_and_no_other_allowed(signature):
    for part in parts(json_schema(signature.outputs, Dialect.OPENAI)):
        if part.get("type") == "object":
            assert (part["required"], part["additionalProperties"]) == (list(part["properties"]), False)


@pytest.mark.parametrize(
    ("type_", "dialect", "schema"),
    [
        (":optional(:integer)", Dialect.GEMINI, {"type": "INTEGER", "nullable": True}),
        (":float(exclusive_min=0)", Dialect.GEMINI, {"type": "NUMBER", "description": "exclusiveMinimum: 0"}),
        (":literal(1, 2)", Dialect.GEMINI, {"type": "INTEGER", "description": "one of 1, 2"}),
        (":date", Dialect.GEMINI, {"type": "STRING", "description": 'format: "date"'}),
        (":map", Dialect.GEMINI, {"type": "OBJECT"}),
        (
            ":string(max_length=5)",
            Dialect.OPENAI,
            {"type": "string", "description": "maxLength: 5"},
        ),
        (
            ":integer(min=0, max=9)",
            Dialect.ANTHROPIC,
            {"type": "integer", "description": "minimum: 0; maximum: 9"},
        ),
        (
            ':literal("a", 1, null)',
            Dialect.ANTHROPIC,
            {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "integer", "enum": [1]}, {"type": "null"}]},
        ),
        (
            ":tuple(:string, :integer)",
            Dialect.OPENAI,
            {
                "type": "array",
                "minItems": 2,
                "maxItems": 2,
                "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                "description": 'items in this order: [{"type": "string"}, {"type": "integer"}]',
            },
        ),
    ],
)
def test_what_a_dialect_has_no_keyword_for_is_told_in_the_description(type_, dialect, schema):
    assert output(type_, dialect) == schema


@pytest.mark.parametrize("dialect", [Dialect.OPENAI, Dialect.ANTHROPIC])
@pytest.mark.parametrize("type_", [":map", ":json", ":list(:map)"])
def test_strict_outputs_refuse_open_maps_by_path(type_, dialect):
    with pytest.raises(WorkerError, match=f"{dialect.value}'s strict outputs do not have") as caught:
        output(type_, dialect)
    assert (caught.value.reason, caught.value.field[0]) == (Reason.INVALID_ARGUMENT, "a")


def test_a_fields_description_stays_before_what_is_told():
    schema = json_schema(parse('signature s: :string q -> :integer(min=0) a "how many"').outputs, Dialect.ANTHROPIC)
    assert schema["properties"]["a"]["description"] == "how many; minimum: 0"
