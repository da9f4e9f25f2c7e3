"""Mock mode answers every typed signature, through every adapter of DSPy, with values the signature takes."""

from dataclasses import replace

import dspy
import pytest
from dspy.adapters.baml_adapter import BAMLAdapter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lmtest
from python_worker.signatures import parse, to_dspy

from .typed import ANSWERS, signatures

ADAPTERS = {
    "chat": dspy.ChatAdapter,
    "json": dspy.JSONAdapter,
    "xml": dspy.XMLAdapter,
    "baml": BAMLAdapter,
    "two-step": lambda: dspy.TwoStepAdapter(dspy.LM("gemini/gemini-2.5-flash", api_key="none")),
}
EVERYTHING = parse(
    "signature everything: :string question -> :integer(min=3, max=9, multiple_of=3) count, "
    ':float(exclusive_min=5) size, :boolean sure, :enum("a", "b c") kind, :literal("x", 1) mark, :datetime at, '
    ":date day, :list(:string(max_length=4), unique=true, min_length=2) tags, "
    ":tuple(:string, :integer) pair, :optional(:integer) maybe, :embedding(3) vector, "
    ':tensor("int8", [2, 2]) grid, :reasoning_chain(min_length=1) steps, :confidence_score confidence, '
    ':string(pattern="^[A-Z]{3}-[0-9]{2}$") code, '
    ":nested(:string name, :integer(min=18) age, :list(:float) scores) person"
)


def answers(signature, adapter, question="why?"):
    lm = dspy.LM("gemini/gemini-2.5-flash", api_key="none")
    inputs = {field.name: question for field in signature.inputs}
    with lmtest.use_cassette(mode="mock") as cassette, dspy.context(lm=lm, adapter=ADAPTERS[adapter]()):
        found = dict(dspy.Predict(to_dspy(signature))(**inputs).items())
    return found, len(cassette.calls)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_answer_of_every_type_is_valid_through_every_adapter(adapter):
    found, calls = answers(EVERYTHING, adapter)
    assert EVERYTHING.accept_outputs(found).keys() == {field.name for field in EVERYTHING.outputs}
    assert calls == (2 if adapter == "two-step" else 1), "DSPy asked again: the first answer did not read"


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_same_question_gets_the_same_answer_and_another_gets_another(adapter):
    once, again, other = (answers(EVERYTHING, adapter, question) for question in ("why?", "why?", "how?"))
    assert once == again
    assert once != other


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(signatures(ANSWERS), st.sampled_from(["chat", "json", "xml", "baml"]))
def test_any_signature_at_all_gets_a_valid_answer(signature, adapter):
    asking = replace(signature, inputs=parse("question -> answer").inputs)
    asking.accept_outputs(answers(asking, adapter)[0])
