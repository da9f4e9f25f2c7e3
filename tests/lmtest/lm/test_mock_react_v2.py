"""dspy.ReActV2, which ends by a tool ``submit``: it runs to its end, in mock mode and on the stand-in."""

import asyncio
from contextlib import contextmanager
from typing import Annotated, Literal

import dspy
import pydantic
import pytest
from dspy.adapters.baml_adapter import BAMLAdapter
from dspy.predict.react_v2 import ReActV2

import lmtest

pytestmark = pytest.mark.filterwarnings("ignore:.*experimental.*")

MODEL = "gemini/gemini-2.5-flash"
ADAPTERS = {
    "chat": lambda _: dspy.ChatAdapter(),
    "chat, native calls": lambda _: dspy.ChatAdapter(use_native_function_calling=True),
    "json, native calls": lambda _: dspy.JSONAdapter(),
    "json": lambda _: dspy.JSONAdapter(use_native_function_calling=False),
    "xml": lambda _: dspy.XMLAdapter(),
    "xml, native calls": lambda _: dspy.XMLAdapter(use_native_function_calling=True),
    "baml, native calls": lambda _: BAMLAdapter(),
    "baml": lambda _: BAMLAdapter(use_native_function_calling=False),
    "two-step": dspy.TwoStepAdapter,
    "two-step, native calls": lambda lm: dspy.TwoStepAdapter(lm, use_native_function_calling=True),
}


class Price(pydantic.BaseModel):
    amount: float
    currency: Literal["EUR", "JPY"]


class Journey(dspy.Signature):
    question: str = dspy.InputField()
    answer: str = dspy.OutputField()
    hours: int = dspy.OutputField(ge=5, le=6)
    codes: list[Annotated[str, pydantic.Field(pattern="^[A-Z]{2}$")]] = dspy.OutputField(min_length=1)
    kind: Literal["rail & sea", "<air>"] = dspy.OutputField()
    price: Price = dspy.OutputField()
    stops: dict[str, int] = dspy.OutputField()


class Typed(pydantic.BaseModel):
    answer: str = pydantic.Field(min_length=1)
    hours: int
    codes: list[str]
    kind: Literal["rail & sea", "<air>"]
    price: Price
    stops: dict[str, int]


class Kept(Typed):
    hours: int = pydantic.Field(ge=5, le=6)
    codes: list[Annotated[str, pydantic.Field(pattern="^[A-Z]{2}$")]] = pydantic.Field(min_length=1)


def look_up(city: str) -> str:
    """Look a journey up."""
    return f"in {city}"


def count(n: int) -> int:
    """Count."""
    return n


def failing(city: str) -> str:
    """Fail."""
    raise RuntimeError(f"no {city}")


def awaited(agent, **inputs):
    return asyncio.run(agent.acall(**inputs))


def streamed(agent, **inputs):
    async def last():
        return [item async for item in dspy.streamify(agent)(**inputs)][-1]

    return asyncio.run(last())


HOW = {"sync": lambda agent, **inputs: agent(**inputs), "async": awaited, "streamed": streamed}


@contextmanager
def in_mock_mode(adapter, *rules):
    lm = dspy.LM(MODEL, api_key="none")
    with lmtest.use_cassette(mode="mock", rules=rules), dspy.context(lm=lm, adapter=ADAPTERS[adapter](lm)):
        yield


@contextmanager
def on(server, adapter):
    lm = dspy.LM(MODEL, api_base=f"{server.url}/v1beta", api_key="any", cache=False)
    with dspy.context(lm=lm, adapter=ADAPTERS[adapter](lm)):
        yield


def travel(*tools, how="sync", **options):
    agent = ReActV2(Journey, tools=list(tools), **options)
    return HOW[how](agent, question="How do I get to Tokyo?")


def called(prediction):
    events = (each["tool_calls"] for each in prediction.history.messages if "tool_calls" in each)
    return [(call.name, call.args) for event in events for call in event.tool_calls]


def values(prediction, kind):
    return {name: prediction[name] for name in kind.model_fields}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_agent_calls_its_tool_and_submits_what_its_fields_allow(adapter, how):
    with in_mock_mode(adapter):
        prediction = travel(look_up, how=how)
    assert called(prediction)[0] == ("look_up", {"city": "Tokyo"})
    assert [name for name, _ in called(prediction)] == ["look_up", "submit"]
    assert prediction.termination_reason == "submit"
    Kept.model_validate(values(prediction, Kept))


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_on_the_stand_in_it_submits_what_its_types_allow(adapter, how, provider):
    with on(provider, adapter):
        prediction = travel(look_up, how=how)
    assert [name for name, _ in called(prediction)] == ["look_up", "submit"]
    assert prediction.termination_reason == "submit"
    Typed.model_validate(values(prediction, Typed))


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_agent_without_tools_submits_at_once(adapter):
    with in_mock_mode(adapter):
        prediction = travel()
    assert [name for name, _ in called(prediction)] == ["submit"]
    Kept.model_validate(values(prediction, Kept))


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_of_several_tools_the_first_is_called_once(adapter):
    with in_mock_mode(adapter):
        assert [name for name, _ in called(travel(count, look_up))] == ["count", "submit"]


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_tool_that_fails_is_not_called_again(adapter):
    with in_mock_mode(adapter):
        assert [name for name, _ in called(travel(failing))] == ["failing", "submit"]


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_agent_whose_turns_are_over_submits_when_it_is_made_to(adapter):
    with in_mock_mode(adapter):
        prediction = travel(look_up, max_iters=1)
    assert prediction.termination_reason == "forced_submit"
    Kept.model_validate(values(prediction, Kept))


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_conversation_that_goes_on_calls_the_tool_for_its_new_question(adapter):
    agent = ReActV2(Journey, tools=[look_up])
    with in_mock_mode(adapter):
        first = agent(question="How do I get to Tokyo?")
        second = agent(question="And to Rome?", history=first.history)
    assert [name for name, _ in called(second)] == ["look_up", "submit"] * 2


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_what_it_submits_can_be_scripted_by_the_fields_of_its_answer(adapter):
    with in_mock_mode(adapter, lmtest.Rule(when="Tokyo", reply={"answer": "By <air>.", "hours": 9})):
        prediction = travel(look_up)
    assert (prediction.answer, prediction.hours) == ("By <air>.", 9)
    assert [name for name, _ in called(prediction)] == ["look_up", "submit"]
    assert prediction.kind in {"rail & sea", "<air>"}


def test_a_call_of_it_can_be_scripted():
    first = {"tool_calls": {"tool_calls": [{"name": "look_up", "args": {"city": "Kyoto"}}]}}
    with in_mock_mode("chat", lmtest.Rule(reply=[first, {"answer": "By air."}])):
        prediction = travel(look_up)
    assert called(prediction)[0] == ("look_up", {"city": "Kyoto"})
    assert prediction.answer == "By air."


def test_a_field_that_neither_the_call_nor_the_answer_has_is_refused():
    with (
        in_mock_mode("chat", lmtest.Rule(reply={"anser": "x"})),
        pytest.raises(lmtest.ConfigurationError, match="'answer'"),
    ):
        travel(look_up)


def test_the_answer_is_about_the_question():
    with in_mock_mode("json, native calls"):
        assert "How do I get to Tokyo?" in travel(look_up).answer


def test_a_tool_of_react_that_is_named_submit_is_a_tool_as_any_other():
    def submit(city: str) -> str:
        return f"sent to {city}"

    with in_mock_mode("chat"):
        prediction = dspy.ReAct("question -> answer", tools=[submit])(question="How do I get to Tokyo?")
    assert prediction.trajectory["observation_0"] == "sent to Tokyo"
    assert prediction.trajectory["tool_name_1"] == "finish"


def test_a_recorded_run_on_the_stand_in_replays(provider, project):
    with lmtest.use_cassette("agent.yaml", mode="record"), on(provider, "json, native calls"):
        recorded = travel(look_up)
    with lmtest.use_cassette("agent.yaml", mode="replay") as cassette, on(provider, "json, native calls"):
        assert values(travel(look_up), Typed) == values(recorded, Typed)
    assert cassette.unplayed == ()


@pytest.mark.parametrize("adapter", ["chat", "two-step"])
def test_react_on_the_stand_in_calls_its_tool_and_finishes(adapter, provider):
    with on(provider, adapter):
        prediction = dspy.ReAct(Journey, tools=[look_up], max_iters=4)(question="How do I get to Tokyo?")
    assert [prediction.trajectory[f"tool_name_{n}"] for n in (0, 1)] == ["look_up", "finish"]
    Typed.model_validate(values(prediction, Typed))
