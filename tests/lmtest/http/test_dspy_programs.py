"""Real DSPy programs run against the stand-in and get answers of the types they ask for."""

import asyncio
import datetime as dt
import enum
from typing import Literal

import dspy
import pydantic
import pytest

import lmtest
from lmtest.http.server import StandIn


class Address(pydantic.BaseModel):
    street: str
    number: int


class Person(pydantic.BaseModel):
    name: str
    address: Address
    nickname: str | None = None


class Mood(enum.Enum):
    CALM = "calm"
    WILD = "wild"


class Profile(dspy.Signature):
    """Describe whom the question is about."""

    question: str = dspy.InputField()
    answer: str = dspy.OutputField(desc="one sentence")
    count: int = dspy.OutputField(ge=3, le=5)
    confidence: float = dspy.OutputField(ge=0.4, le=0.5)
    certain: bool = dspy.OutputField()
    kind: Literal["a; b", "it's", 3] = dspy.OutputField()
    mood: Mood = dspy.OutputField()
    tags: list[str] = dspy.OutputField()
    scores: dict[str, float] = dspy.OutputField()
    person: Person = dspy.OutputField()
    age: int | None = dspy.OutputField()
    note: str | None = dspy.OutputField()
    born: dt.datetime = dspy.OutputField()


QUESTION = "Who wrote Faust?"


def lm_of(server, engine="auto", **settings):
    return dspy.LM(
        "gemini/gemini-2.5-flash",
        api_base=f"{server.url}/v1beta",
        api_key="x",
        cache=False,
        num_retries=0,
        engine=engine,
        **settings,
    )


def lookup(city: str, days: int = 3) -> str:
    """Look up the weather of a city."""
    return f"{days} sunny days in {city}"


# No fallback to JSON: an answer that the adapter cannot read must fail here.
ADAPTERS = {
    "chat": lambda: dspy.ChatAdapter(use_json_adapter_fallback=False),
    "json": dspy.JSONAdapter,
    "xml": lambda: dspy.XMLAdapter(use_json_adapter_fallback=False),
}


@pytest.fixture(params=sorted(ADAPTERS))
def adapter(request):
    return ADAPTERS[request.param]()


@pytest.mark.parametrize("engine", ["auto", "lm15"])
def test_predict_answers(stand_in, engine):
    with dspy.context(lm=lm_of(stand_in, engine)):
        assert QUESTION in dspy.Predict("question -> answer")(question=QUESTION).answer


def test_chain_of_thought_fills_every_type(stand_in, adapter):
    with dspy.context(lm=lm_of(stand_in), adapter=adapter):
        prediction = dspy.ChainOfThought(Profile)(question=QUESTION)
    assert QUESTION in prediction.reasoning
    assert 3 <= prediction.count <= 5
    assert 0.4 <= prediction.confidence <= 0.5
    assert prediction.kind in {"a; b", "it's", 3}
    types = {name: type(prediction[name]) for name in ("certain", "mood", "person", "age", "note", "born")}
    assert types == {
        "certain": bool,
        "mood": Mood,
        "person": Person,
        "age": int,
        "note": str,
        "born": dt.datetime,
    }
    assert all(isinstance(tag, str) for tag in prediction.tags)
    assert all(isinstance(score, float) for score in prediction.scores.values())


def test_marks_in_a_question_do_not_break_the_answer(stand_in, adapter):
    question = 'Is "1 < 2 & 3" </answer> true?'
    with dspy.context(lm=lm_of(stand_in), adapter=adapter):
        assert question in dspy.Predict("question -> answer")(question=question).answer


def test_an_agent_calls_its_tool_once_and_finishes(stand_in, adapter):
    with dspy.context(lm=lm_of(stand_in), adapter=adapter):
        prediction = dspy.ReAct("question -> answer", tools=[lookup])(question="How is the weather in Tokyo?")
    assert prediction.trajectory["tool_name_0"] == "lookup"
    assert prediction.trajectory["observation_0"] == "3 sunny days in Tokyo"
    assert prediction.trajectory["tool_name_1"] == "finish"
    assert prediction.answer


class Choose(dspy.Signature):
    question: str = dspy.InputField()
    tools: list[dspy.Tool] = dspy.InputField()
    calls: dspy.ToolCalls = dspy.OutputField()


@pytest.mark.parametrize("native", [True, False])
def test_a_signature_of_tool_calls_gets_a_real_one(native):
    adapter = dspy.ChatAdapter(use_native_function_calling=native, use_json_adapter_fallback=False)
    with StandIn() as server, dspy.context(lm=lm_of(server), adapter=adapter):
        prediction = dspy.Predict(Choose)(question="How is the weather in Tokyo?", tools=[dspy.Tool(lookup)])
    (call,) = prediction.calls.tool_calls
    assert (call.name, call.args) == ("lookup", {"city": "Tokyo"})
    assert ("tools" in server.requests[0].json) is native


class Describe(dspy.Signature):
    question: str = dspy.InputField()
    person: Person = dspy.OutputField()


def test_json_adapter_sends_a_schema_and_gets_what_fits_it():
    with StandIn() as server, dspy.context(lm=lm_of(server), adapter=dspy.JSONAdapter()):
        person = dspy.Predict(Describe)(question=QUESTION).person
    assert isinstance(person.address.number, int)
    assert "responseJsonSchema" in server.requests[0].json["generationConfig"]


def test_another_question_gets_another_answer(stand_in):
    program = dspy.Predict("question -> answer")
    with dspy.context(lm=lm_of(stand_in)):
        assert program(question="Who?").answer != program(question="Why?").answer


def test_the_same_program_gets_the_same_answer(stand_in):
    with dspy.context(lm=lm_of(stand_in)):
        one, other = (dspy.ChainOfThought(Profile)(question=QUESTION) for _ in range(2))
    assert one.toDict() == other.toDict()


def test_acall_answers_as_a_call_does(stand_in):
    program = dspy.Predict("question -> answer")
    with dspy.context(lm=lm_of(stand_in)):
        assert asyncio.run(program.acall(question=QUESTION)).answer == program(question=QUESTION).answer


def test_streamify_delivers_the_answer_in_pieces(stand_in):
    program = dspy.Predict("question -> answer")
    listener = dspy.streaming.StreamListener(signature_field_name="answer")
    streaming = dspy.streamify(program, stream_listeners=[listener])

    async def run():
        return [each async for each in streaming(question=QUESTION)]

    with dspy.context(lm=lm_of(stand_in)):
        *chunks, prediction = asyncio.run(run())
        assert len(chunks) > 1
        assert "".join(chunk.chunk for chunk in chunks).strip() == prediction.answer
        assert prediction.answer == program(question=QUESTION).answer


def test_a_stream_of_the_stand_in_costs_nothing_and_is_known_for_its_own(stand_in, tmp_path):
    async def run():
        return [each async for each in dspy.streamify(dspy.Predict("question -> answer"))(question=QUESTION)]

    with dspy.context(lm=lm_of(stand_in)), lmtest.use_cassette(tmp_path / "qa.yaml", mode="record") as cassette:
        asyncio.run(run())
    assert cassette.source == "stand-in"
    assert [(call.spent, call.cost > 0) for call in cassette.calls] == [(0, True)]


def test_usage_reaches_dspy(stand_in):
    with dspy.context(lm=lm_of(stand_in), track_usage=True):
        usage = dspy.Predict("question -> answer")(question=QUESTION).get_lm_usage()["gemini/gemini-2.5-flash"]
    assert usage["prompt_tokens"] > usage["completion_tokens"] > 0


def test_a_refused_key_is_dspys_own_error(stand_in):
    lm = lm_of(stand_in).copy(api_key="invalid")
    with dspy.context(lm=lm), pytest.raises(Exception, match="API key not valid"):
        dspy.Predict("question -> answer")(question=QUESTION)


def test_litellm_gets_what_lm15_gets(stand_in):
    # One test: importing litellm takes seconds.
    answers = {}
    for engine in ("lm15", "litellm"):
        with dspy.context(lm=lm_of(stand_in, engine), adapter=ADAPTERS["chat"]()):
            answers[engine] = dspy.ChainOfThought(Profile)(question=QUESTION).toDict()
    assert answers["litellm"] == answers["lm15"]
