"""Every adapter times every type of an output: made up so that DSPy reads it, in mock mode and on the stand-in."""

import datetime as dt
import decimal
import enum
import uuid
from typing import Any, Literal

import dspy
import pydantic
import pytest
from dspy.adapters.baml_adapter import BAMLAdapter

import lmtest
from lmtest.lm.baml import read_type

MODEL = "gemini/gemini-2.5-flash"
ADAPTERS = {
    "chat": lambda _: dspy.ChatAdapter(),
    "json": lambda _: dspy.JSONAdapter(),
    "xml": lambda _: dspy.XMLAdapter(),
    "baml": lambda _: BAMLAdapter(),
    "two-step": dspy.TwoStepAdapter,
}
# A second one would be DSPy's, by another adapter, after an answer that did not read; two-step asks twice by itself.
CALLS = dict.fromkeys(ADAPTERS, 1) | {"two-step": 2}


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Rank(enum.IntEnum):
    FIRST = 1
    SECOND = 2


class Leg(pydantic.BaseModel):
    """A part of a journey."""

    hours: int = pydantic.Field(description="how long it takes")
    day: dt.date
    by: Literal["rail", "sea"]


class Journey(pydantic.BaseModel):
    legs: list[Leg]
    prices: dict[str, int]
    note: str | None = None
    span: tuple[int, int]


class Node(pydantic.BaseModel):
    name: str
    children: list["Node"] = []


TYPES = [
    str, int, float, bool, Literal["a", "b"], Literal[1, 2], Literal["a", 1], Colour, Rank,
    str | None, int | None, Colour | None, Leg | None, int | str, int | list[str],
    list[str], list[int], list[float], list[bool], list[Colour], list[dt.date], list[Leg], list[list[int]],
    list[int | None], list[dict[str, int]], list,
    dict[str, int], dict[str, float], dict[str, bool], dict[str, str], dict[str, list[int]], dict[str, Any],
    dict[str, Leg], dict,
    Leg, Journey,
    dt.date, dt.datetime, dt.time, dt.timedelta,
    tuple[int, str], tuple[int, ...], set[str], set[int], frozenset[int],
    decimal.Decimal, uuid.UUID, pydantic.HttpUrl, bytes, Any,
]  # fmt: skip


def ask(annotation):
    signature = dspy.Signature({"question": (str, dspy.InputField()), "answer": (annotation, dspy.OutputField())})
    return dspy.Predict(signature)(question="How do I get to Tokyo?").answer


def fits(annotation, value):
    return pydantic.TypeAdapter(annotation).validate_python(value, strict=True) == value


@pytest.mark.parametrize("annotation", TYPES, ids=str)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_in_mock_mode_a_value_of_any_type_is_read_at_the_first_go(adapter, annotation):
    lm = dspy.LM(MODEL, api_key="none")
    with lmtest.use_cassette(mode="mock") as cassette, dspy.context(lm=lm, adapter=ADAPTERS[adapter](lm)):
        assert fits(annotation, ask(annotation))
    assert len(cassette.calls) == CALLS[adapter]


@pytest.mark.parametrize("annotation", TYPES, ids=str)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_stand_in_answers_with_a_value_of_any_type(adapter, annotation, provider):
    lm = dspy.LM(MODEL, api_base=f"{provider.url}/v1beta", api_key="any", cache=False)
    with dspy.context(lm=lm, adapter=ADAPTERS[adapter](lm)):
        assert fits(annotation, ask(annotation))


# DSPy's BAMLAdapter refuses a type that holds itself.
@pytest.mark.parametrize("adapter", [name for name in ADAPTERS if name != "baml"])
def test_a_type_that_holds_itself_comes_to_an_end(adapter, provider):
    lm = dspy.LM(MODEL, api_base=f"{provider.url}/v1beta", api_key="any", cache=False)
    with dspy.context(lm=lm, adapter=ADAPTERS[adapter](lm)):
        assert fits(Node, ask(Node))


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("int", {"type": "integer"}),
        ("int or null", {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        ("int or null[]", {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}),
        ("int[][]", {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}),
        ('"a, b" or 1 or true', {"anyOf": [{"const": "a, b"}, {"const": 1}, {"const": True}]}),
        ("dict[string, float]", {"type": "object", "additionalProperties": {"type": "number"}}),
        (
            "dict[date, int]",
            {
                "type": "object",
                "additionalProperties": {"type": "integer"},
                "propertyNames": {"type": "string", "format": "date"},
            },
        ),
        (
            "[\n  # A part: {of} a journey\n  {\n    # how long, it takes\n    hours: int,\n  }\n]",
            {"type": "array", "items": {"type": "object", "properties": {"hours": {"type": "integer"}}}},
        ),
        (
            'dict[string, # A part [of] a journey.\n{\n  by: "#1",\n}]',
            {"type": "object", "additionalProperties": {"type": "object", "properties": {"by": {"const": "#1"}}}},
        ),
        ("SomethingElse", {"type": "string"}),
    ],
)
def test_a_type_in_the_words_of_baml_is_read(text, schema):
    assert read_type(text) == schema


class Described(pydantic.BaseModel):
    hours: int = pydantic.Field(description="how long\nit takes]")


def test_in_mock_mode_a_description_of_several_lines_is_no_matter():
    with (
        lmtest.use_cassette(mode="mock"),
        dspy.context(lm=dspy.LM(MODEL, api_key="none"), adapter=BAMLAdapter()),
    ):
        assert fits(dict[str, Described], ask(dict[str, Described]))


@pytest.mark.parametrize("text", ["dict[string", "{ a int }", "int]", ""])
def test_a_type_that_does_not_read_is_refused(text):
    with pytest.raises(ValueError, match=r"type|expected"):
        read_type(text)
