"""XMLAdapter in mock mode: markup in a value is no markup, and what nested tags cannot carry is carried otherwise."""

import datetime as dt
import enum
from typing import Any, Literal

import dspy
import pydantic
import pytest
from dspy.utils.exceptions import AdapterParseError
from hypothesis import given, settings
from hypothesis import strategies as st

import lmtest

# Blanks around a text are DSPy's to strip, and XML itself has no control characters.
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.sampled_from("<>&\"'/]"), max_size=12).map(
    str.strip
)


def ask(signature, reply=None):
    """The prediction, of one call: a second one would be DSPy's, by JSONAdapter, after an answer that did not read."""
    lm = dspy.LM("gemini/gemini-2.5-flash", api_key="none")
    rules = [] if reply is None else [lmtest.Rule(reply=reply)]
    with (
        lmtest.use_cassette(mode="mock", rules=rules) as cassette,
        dspy.context(lm=lm, adapter=dspy.XMLAdapter()),
    ):
        prediction = dspy.Predict(signature)(question="Is <b> & </question> bold?")
    assert len(cassette.calls) == 1
    return prediction


class Mark(enum.Enum):
    OPEN = "<"
    AMPERSAND = "&amp;"


class Nested(pydantic.BaseModel):
    mark: Literal["</mark>", "a & b"]


@pytest.mark.parametrize(
    "annotation",
    [
        Literal["a<b"],
        Literal["&lt;"],
        Literal["<answer>", "</answer>"],
        Literal["<", 1],
        Mark,
        list[Literal["<item>", "x > y"]],
        list[Literal["<", 1]],
        tuple[Literal["<a>"], int],
        dict[Literal["a b"], Literal["<&>"]],
        Nested,
        list[Nested],
        Literal["<none>"] | None,
        dict[str, Any],
        list[dict[str, int]],
        dt.datetime,
    ],
    ids=str,
)
def test_a_made_up_value_of_any_type_is_read_at_the_first_go(annotation):
    signature = dspy.Signature({"question": (str, dspy.InputField()), "answer": (annotation, dspy.OutputField())})
    pydantic.TypeAdapter(annotation).validate_python(ask(signature).answer)


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS.filter(bool), st.lists(TEXTS.filter(bool), max_size=3))
def test_a_scripted_text_comes_back_as_it_is(answer, chosen, tags):
    signature = dspy.Signature(
        {
            "question": (str, dspy.InputField()),
            "answer": (str, dspy.OutputField()),
            "chosen": (Literal[chosen], dspy.OutputField()),
            "tags": (list[str], dspy.OutputField()),
        }
    )
    found = ask(signature, {"answer": answer, "chosen": chosen, "tags": tags})
    assert (found.answer, found.chosen, found.tags) == (answer, chosen, tags)


def test_numbers_in_an_open_map_stay_numbers():
    reply = {"answer": {"n": 3, "list": [1.5, None, True], "a < b": "&"}}
    assert ask("question -> answer: dict[str, Any]", reply).answer == reply["answer"]


def test_nothing_is_read_as_none():
    assert ask("question -> answer: Optional[str]", {"answer": None}).answer is None


def test_an_answer_that_breaks_its_type_can_still_be_scripted():
    with pytest.raises(AdapterParseError, match="failed to parse"):
        ask("question -> answer: int", {"answer": "many"})
