"""Schemas in the words of Gemini, OpenAI and Anthropic."""

import re

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmtest.lm.values import invent
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.pattern import searcher
from python_worker.domain.portable import portable
from python_worker.domain.types import Report
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


# ---- JSON Schema itself, for plain validators

PATTERNS = [
    *(
        "^a$",
        "a|b$",
        r"\Aab\z",
        "^[a-z_.-]+$",
        r"\d{2,3}",
        r"^\w+$",
        r"\s",
        r"\S+",
        r"^[^\d\s]$",
        r"\bab\b",
        r"a\Bb",
    ),
    *("^.$", "(?s)^.$", "(?m)^b$", "(?i)^ask$", "(?i)[a-k]", "(?i)[^s]", "(?i:a)b", "^[[:alpha:]]+$", "[[:^digit:]]"),
    *(
        r"\x{41}",
        r"\Qa.b\E",
        r"^\p{Greek}+$",
        r"\pL",
        "a{,2}",
        "a{2}",
        "a{2,}?",
        "^(?P<n>a)(b)?$",
        "(?<n>ab)",
        "[]a]",
        "[^]a]",
    ),
    *(
        "[a\\\\-z]",
        "[a&&b]",
        "[[a]",
        "a++?",
        "(?U)a+",
        "x*",
        "",
        "^$",
        "(?i)\u00e9",
        "[\u00e0-\u00ff]",
        "\U0001f600",
        r"\a|\v",
        r"\.",
        "a/b",
    ),
]
TEXTS = st.text(
    st.sampled_from("ab\n\rAkKsS01_-.&[]{,/ \t\x0b\u00e9\u00c9\u0660\u03b1\u212a\u017f\u2028\U0001f600"), max_size=5
)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=TEXTS)
def test_a_pattern_is_found_by_a_plain_engine_where_ours_finds_it(pattern, text):
    try:
        search = searcher(pattern)
    except ValueError:
        return
    spelled = portable(pattern)
    assert spelled is None or bool(re.search(spelled, text)) == bool(search(text))


def test_most_patterns_have_words_that_all_engines_read():
    marked = {each for each in PATTERNS if _reads(each) and portable(each) is None}
    assert marked == {r"^\p{Greek}+$", r"\pL", "[[:^digit:]]", "(?i)\u00e9", "(?U)a+"}


def _reads(pattern):
    try:
        searcher(pattern)
    except ValueError:
        return False
    return True


CONSTRAINED = [
    ':string(pattern="^a$")',
    r':string(pattern="^\\d+$")',
    ":float(multiple_of=0.1, min=0, max=1)",
    ":float(multiple_of=0.05, exclusive_min=-1, exclusive_max=1)",
    ":float(multiple_of=0.5)",
    ":integer(multiple_of=0.3)",
    ":integer(multiple_of=2.5, min=0)",
    ":confidence_score(multiple_of=0.1)",
    ":list(:float(multiple_of=0.1, min=0, max=1))",
    ':optional(:string(pattern="^a$"))',
]
VALUES = st.sampled_from(
    [
        *("a", "a\n", "1", "\u0661", None),
        *(n / 10 for n in range(-11, 12)),
        *(n / 20 for n in range(-21, 22)),
        *range(-5, 6),
        0.25,
    ]
)


@pytest.mark.parametrize("text", CONSTRAINED)
@given(value=VALUES | st.lists(VALUES, max_size=3))
def test_a_plain_validator_says_what_ours_says(text, value):
    (field,) = parse(f"signature s: :string q -> {text} a").outputs
    if isinstance(value, float) and value.is_integer() and ":integer" in text:
        return  # JSON Schema calls 3.0 an integer
    report = Report()
    field.type.accept(value, "a", report)
    accepts = jsonschema.Draft202012Validator(output(text, Dialect.JSON_SCHEMA)).is_valid(value)
    assert accepts == (not report.problems)


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        (":float(multiple_of=0.1)", {"type": "number", "description": "multipleOf: 0.1, in decimals"}),
        (r':string(pattern="\\pL")', {"type": "string", "description": r'pattern: "\\pL" (RE2)'}),
        (":integer(multiple_of=0.3)", {"type": "integer", "multipleOf": 3}),
        (":float(multiple_of=0.5)", {"type": "number", "multipleOf": 0.5}),
    ],
)
def test_what_no_plain_validator_can_hold_is_told_in_the_description(text, schema):
    assert output(text, Dialect.JSON_SCHEMA) == schema
