"""Which model answers instead of which, as ``--to`` says it."""

import pytest

from lmtest.errors import ConfigurationError
from lmtest.lm.substitution import Substitution


def test_one_that_is_named_goes_before_all():
    to = Substitution.parse(["gemini/gemini-2.5-pro", "openai/gpt-4o=openai/gpt-5"])
    assert to.of("openai/gpt-4o") == "openai/gpt-5"
    assert to.of("anthropic/claude-haiku-4-5") == "gemini/gemini-2.5-pro"
    assert not to.replaces("gemini/gemini-2.5-pro")


def test_those_that_are_not_named_stay():
    to = Substitution.parse(["gpt-4o=openai/gpt-5", "gemini/*=gemini/gemini-3-pro"])
    assert [to.of(model) for model in ("openai/gpt-4o", "gemini/gemini-2.5-flash", "xai/grok-4")] == [
        "openai/gpt-5",
        "gemini/gemini-3-pro",
        "xai/grok-4",
    ]


def test_a_replacement_is_not_replaced_again():
    to = Substitution.parse(["a/one=a/two", "a/two=a/three"])
    assert (to.of("a/one"), to.of("a/two")) == ("a/two", "a/three")


@pytest.mark.parametrize("said", [["a/b"], ["a/b=c/d", "e/*=f/g"], ["a/b=c/d", "e/f"], []])
def test_it_reads_what_it_writes_for_the_process_of_the_tests(said):
    to = Substitution.parse(said)
    assert Substitution.parse(str(to).split()) == to


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (["gemini-2.5-pro"], "Did you mean 'gemini/gemini-2.5-pro'?"),
        (["openai/gpt-4o=gpt-5"], "'gpt-5' is without a provider. Did you mean 'openai/gpt-5'?"),
        (["my-own-model"], "Write --to PROVIDER/MODEL for all"),
        (["gemini/"], "is without a provider"),
        (["=gemini/gemini-2.5-pro"], "names no model"),
        (["openai/gpt-4o="], "names no model"),
        (["gemini/gemini 2.5"], "names no model"),
        ([""], "names no model"),
        (["a/b", "a/c"], "two models for all models, a/b and a/c"),
        (["x/y=a/b", "x/y=a/c"], "two models for x/y, a/b and a/c"),
    ],
)
def test_what_cannot_be_meant_is_refused(said, told):
    with pytest.raises(ConfigurationError) as refused:
        Substitution.parse(said)
    assert told in str(refused.value)
