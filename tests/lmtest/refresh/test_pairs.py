"""Which call of a refresh is which call of the recording, in programs of DSPy that go another way the second time."""

import asyncio

import dspy
import pytest

import lmtest
from lmtest.cassette.pending import fresh_path
from lmtest.refresh.accept import why_left
from lmtest.refresh.drift import Tier, compare
from lmtest.refresh.pairs import pair
from lmtest.refresh.result import compare_anew, read_calls

from .oracle import fields

PATH = "program.yaml"
EXTRACT = "starting with the field `[[ ## reasoning ## ]]`"


def look_up(city: str) -> str:
    """Look a city up."""
    return f"{city} is big."


@pytest.fixture
def drift(lm, oracle, project):
    """Records a program, refreshes it with other answers, and compares."""

    def drift(program, before, after):
        for mode, answers in (("record", before), ("refresh", after)):
            oracle.says = answers
            with dspy.context(lm=lm), lmtest.use_cassette(PATH, mode=mode):
                program()
        return [compare(*each) for each in pair(read_calls(project / PATH), read_calls(fresh_path(project / PATH)))]

    return drift


def step(thought, name, **arguments):
    return fields(next_thought=thought, next_tool_name=name, next_tool_args=arguments)


def agent(steps, answer="Paris is big.", reasoning="It was looked up."):
    """What an agent is told: so many steps, then its answer; keyed by what only that prompt holds, the latest first."""
    turns = {f"[[ ## observation_{place} ## ]]": said for place, said in enumerate(steps[1:])}
    later = dict(reversed(turns.items()))
    return {EXTRACT: fields(reasoning=reasoning, answer=answer), **later, "question": steps[0]}


def ask():
    dspy.ReAct("question -> answer: str", tools=[look_up])(question="How big is Paris?")


LOOK, ELSE, END = step("Look.", "look_up", city="Paris"), step("Again.", "look_up", city="Lyon"), step("So.", "finish")


def outputs(call):
    return None if call is None else "step" if "next_tool_name" in call.request["system"] else "answer"


# ── by who asked ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_more_step_of_an_agent_is_a_call_more_and_its_answer_is_compared_with_its_answer(drift):
    found = drift(ask, agent([LOOK, END]), agent([LOOK, ELSE, END]))
    assert [(outputs(each.before), outputs(each.after)) for each in found] == [
        ("step", "step"), ("step", "step"), ("answer", "answer"), (None, "step"),
    ]  # fmt: skip
    assert [each.tier for each in found] == [Tier.SAME, Tier.STRUCTURE, Tier.SAME, Tier.STRUCTURE]
    assert found[3].reason == "not asked before"


def test_one_step_less_of_an_agent_is_a_call_less_and_its_answer_is_compared_with_its_answer(drift):
    found = drift(ask, agent([LOOK, ELSE, END]), agent([LOOK, END], answer="paris is BIG"))
    assert [(outputs(each.before), outputs(each.after)) for each in found] == [
        ("step", "step"), ("step", "step"), ("step", None), ("answer", "answer"),
    ]  # fmt: skip
    assert [each.tier for each in found] == [Tier.SAME, Tier.STRUCTURE, Tier.STRUCTURE, Tier.CHANGED]


def test_another_thought_of_an_agent_moves_its_later_requests_and_no_tier_further_than_wording(drift):
    found = drift(
        ask, agent([LOOK, END]), agent([step("Let me look.", "look_up", city="Paris"), END], reasoning="Big.")
    )
    assert [each.tier for each in found] == [Tier.WORDING, Tier.SAME, Tier.WORDING]


def test_predictors_that_swap_places_are_compared_each_with_itself(drift):
    def program(first):
        names = ["question -> capital: str", "question -> river: str"]
        for signature in names if first() else names[::-1]:
            dspy.Predict(signature)(question="France?")

    turn = iter([True, False])
    said = {"`[[ ## capital ## ]]`": fields(capital="Paris"), "`[[ ## river ## ]]`": fields(river="Seine")}
    found = drift(lambda: program(lambda: next(turn)), said, said)
    assert [each.tier for each in found] == [Tier.SAME, Tier.SAME]


def test_predictors_that_were_told_something_else_are_compared_by_their_fields(drift):
    def program(told):
        for outputs_ in ("capital", "river"):
            fields_ = {"question": (str, dspy.InputField()), outputs_: (str, dspy.OutputField())}
            dspy.Predict(dspy.Signature(fields_, told()))(question="France?")

    told = iter(["Answer."] * 2 + ["Answer in a word."] * 2)
    said = {"`[[ ## capital ## ]]`": fields(capital="Paris"), "`[[ ## river ## ]]`": fields(river="Seine")}
    assert [each.tier for each in drift(lambda: program(lambda: next(told)), said, said)] == [Tier.SAME, Tier.SAME]


# ── concurrent calls ─────────────────────────────────────────────────────────────────────────────────────────────────

CITIES = ("Paris", "Rome", "Oslo")


class Twice(dspy.Module):
    """Asks, and asks about the answer: the second request moves with the first answer."""

    def __init__(self):
        self.find, self.tell = dspy.Predict("city -> country: str"), dspy.Predict("city, country -> fact: str")

    def forward(self, city):
        return self.tell(city=city, country=self.find(city=city).country)

    async def aforward(self, city):
        return await self.tell.acall(city=city, country=(await self.find.acall(city=city)).country)


def facts(moved):
    """Another country for each city, and a fact of each city that stays as it is."""
    told = {f"{city}\n\n[[ ## country": fields(fact=f"{city} is old.") for city in CITIES}
    return told | {city: fields(country=f"The country of {city}{moved}") for city in CITIES}


def in_parallel(cities):
    return lambda: dspy.Parallel(num_threads=3, disable_progress_bar=True)(
        [(Twice(), {"city": city}) for city in cities]
    )


def gathered(cities):
    async def gather():
        await asyncio.gather(*(Twice().acall(city=city) for city in cities))

    return lambda: asyncio.run(gather())


def city_of(call):
    return next(city for city in CITIES if city in call.request["messages"][0]["parts"][0]["text"])


@pytest.mark.parametrize("start", [in_parallel, gathered])
def test_concurrent_chains_in_another_order_are_compared_each_with_itself(drift, oracle, start):
    orders = iter([CITIES, CITIES[::-1]])

    def program():
        order = next(orders)
        # Whoever comes first is answered first, by far: so the recordings are in the two orders.
        oracle.delays = {city: 0.15 * place for place, city in enumerate(order)}
        start(order)()

    found = drift(program, facts(""), facts(", they say"))
    assert len(found) == 6
    assert all(city_of(each.before) == city_of(each.after) for each in found)
    assert sorted(each.tier for each in found) == [Tier.SAME] * 3 + [Tier.CHANGED] * 3


# ── fields to think aloud in ─────────────────────────────────────────────────────────────────────────────────────────


class Told(dspy.Signature):
    """Answer in a word."""

    question: str = dspy.InputField()
    answer: str = dspy.OutputField()


class Own(dspy.Signature):
    """Answer in a word."""

    question: str = dspy.InputField()
    reasoning: str = dspy.OutputField()
    answer: str = dspy.OutputField()


def reasoned(reasoning):
    return {"question": fields(reasoning=reasoning, answer="Paris")}


@pytest.mark.parametrize("signature", ["question -> answer: str", Told])
def test_another_reasoning_of_a_chain_of_thought_is_wording(drift, signature):
    program = dspy.ChainOfThought(signature)
    [found] = drift(lambda: program(question="Where?"), reasoned("By heart."), reasoned("From school."))
    assert found.tier is Tier.WORDING


@pytest.mark.parametrize("signature", ["question -> reasoning: str, answer: str", Own])
def test_another_reasoning_that_the_program_asks_for_itself_is_a_change(drift, signature):
    program = dspy.Predict(signature)
    [found] = drift(lambda: program(question="Where?"), reasoned("By heart."), reasoned("From school."))
    assert found.tier is Tier.CHANGED


def test_a_recording_that_does_not_tell_whose_reasoning_it_holds_is_told_by_the_newer_one(drift, project):
    from dataclasses import replace

    program = dspy.ChainOfThought(Told)
    drift(lambda: program(question="Where?"), reasoned("By heart."), reasoned("From school."))
    [before], [after] = read_calls(project / PATH), read_calls(fresh_path(project / PATH))
    assert after.thought == "reasoning"
    assert compare(replace(before, thought=None), after).tier is Tier.WORDING
    assert compare(replace(before, thought=None), replace(after, thought=None)).tier is Tier.CHANGED


# ── what an accept leaves out ────────────────────────────────────────────────────────────────────────────────────────


def test_a_shorter_chain_says_which_call_it_no_longer_makes(drift, project):
    drift(ask, agent([LOOK, ELSE, END]), agent([LOOK, END]))
    why = why_left(compare_anew(project / PATH, tests=["t.py::test_a"]), "all")
    assert "no longer asks for next_thought, next_tool_name, next_tool_args" in why
