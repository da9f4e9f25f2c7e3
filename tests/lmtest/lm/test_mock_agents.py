"""dspy.ReAct in mock mode: tools get arguments that keep their constraints, and the run ends with its typed answer."""

from typing import Annotated, Literal

import dspy
import pydantic
import pytest
from dspy.adapters.baml_adapter import BAMLAdapter

import lmtest


def model():
    return dspy.LM("gemini/gemini-2.5-flash", api_key="none")


ADAPTERS = {
    "chat": dspy.ChatAdapter,
    "chat, native calls": lambda: dspy.ChatAdapter(use_native_function_calling=True),
    "json": dspy.JSONAdapter,
    "xml": dspy.XMLAdapter,
    "baml": BAMLAdapter,
    "two-step": lambda: dspy.TwoStepAdapter(model()),
}
# Calls of the model: two steps and the answer; two-step asks twice for each.
CALLS = dict.fromkeys(ADAPTERS, 3) | {"two-step": 6}


class Span(pydantic.BaseModel):
    first: int = pydantic.Field(ge=1, le=3)
    last: int = pydantic.Field(ge=7)


class Journey(dspy.Signature):
    question: str = dspy.InputField()
    price: float = dspy.OutputField(ge=5, le=6)
    codes: list[Annotated[str, pydantic.Field(pattern="^[A-Z]{2}$")]] = dspy.OutputField(min_length=1)
    kind: Literal["rail & sea", "<air>"] = dspy.OutputField()


class Answered(pydantic.BaseModel):
    price: float = pydantic.Field(ge=5, le=6)
    codes: list[Annotated[str, pydantic.Field(pattern="^[A-Z]{2}$")]] = pydantic.Field(min_length=1)
    kind: Literal["rail & sea", "<air>"]


def travel(tool, adapter, question="How do I get to Tokyo?"):
    """The prediction of an agent with this tool, and how often its model was asked."""
    with lmtest.use_cassette(mode="mock") as cassette, dspy.context(lm=model(), adapter=ADAPTERS[adapter]()):
        return dspy.ReAct(Journey, tools=[tool], max_iters=4)(question=question), len(cassette.calls)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_tool_gets_arguments_of_its_constraints_and_the_answer_is_typed(adapter):
    seen = []

    def look_up(  # noqa: PLR0917 - ReAct gives them by name
        code: Annotated[str, pydantic.Field(pattern="^[A-Z]{3}$")],
        days: Annotated[int, pydantic.Field(ge=3, le=5)],
        by: Literal["day", "night"],
        parts: list[Annotated[float, pydantic.Field(gt=0, lt=1)]],
        span: Span,
        note: str,
        seats: int = 4,
    ) -> str:
        """Look a journey up."""
        pydantic.validate_call(look_up_strictly)(code, days, by, parts, span.model_dump())
        seen.append((note, seats))
        return "found"

    def look_up_strictly(
        code: Annotated[str, pydantic.Field(pattern="^[A-Z]{3}$")],
        days: Annotated[int, pydantic.Field(ge=3, le=5)],
        by: Literal["day", "night"],
        parts: list[Annotated[float, pydantic.Field(gt=0, lt=1)]],
        span: Span,
    ) -> None: ...

    prediction, calls = travel(look_up, adapter)
    assert (prediction.trajectory["tool_name_0"], prediction.trajectory["observation_0"]) == ("look_up", "found")
    assert (prediction.trajectory["tool_name_1"], calls) == ("finish", CALLS[adapter])
    assert seen == [("Tokyo", 4)], "what is optional is left to its default, plain text is what the question is about"
    Answered.model_validate({name: prediction[name] for name in Answered.model_fields})


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_schema_that_a_tool_was_given_is_kept(adapter):
    tool = dspy.Tool(lambda n: f"found {n}", name="count", args={"n": {"type": "integer", "minimum": 7, "maximum": 7}})
    assert travel(tool, adapter)[0].trajectory["observation_0"] == "found 7"


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_tool_that_fails_is_not_called_again(adapter):
    def look_up(city: str) -> str:
        raise RuntimeError(f"no {city}")

    prediction, calls = travel(look_up, adapter)
    assert "no Tokyo" in prediction.trajectory["observation_0"]
    assert (prediction.trajectory["tool_name_1"], calls) == ("finish", CALLS[adapter])


class Finder:
    """A tool that is an object."""

    def __call__(self, city: str) -> str:
        return f"in {city}"


def test_a_tool_may_be_an_object():
    assert travel(dspy.Tool(Finder(), name="find"), "chat")[0].trajectory["observation_0"] == "in Tokyo"


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.filterwarnings("ignore:ProgramOfThought is deprecated:DeprecationWarning")
def test_the_code_of_a_program_of_thought_runs_and_its_answer_is_typed(adapter):
    with lmtest.use_cassette(mode="mock") as cassette, dspy.context(lm=model(), adapter=ADAPTERS[adapter]()):
        program = dspy.ProgramOfThought(Journey, max_iters=1, interpreter_factory=dspy.LocalInterpreter)
        prediction = program(question="How do I get to Tokyo?")
    Answered.model_validate({name: prediction[name] for name in Answered.model_fields})
    assert len(cassette.calls) == (4 if adapter == "two-step" else 2), "code, and an answer of what it gave"
