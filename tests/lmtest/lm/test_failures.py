"""What a provider's failure says to the program that catches it: the same in replay, whoever carried the call."""

import dspy
import pytest

import lmtest

from .recordings import QUESTION, qa
from .refusing import Refusing

LIMITS = {"retry-after": "0", "x-ratelimit-limit-requests": "10", "x-ratelimit-remaining-tokens": "7"}
ROUTES = [
    ("gemini/gemini-2.5-flash", "lm15"),
    ("openai/gpt-4o-mini", "lm15"),
    ("openai/gpt-4o-mini", "litellm"),
    ("anthropic/claude-sonnet-4-5", "lm15"),
    ("anthropic/claude-sonnet-4-5", "litellm"),
]


def caught(lm, mode):
    with lmtest.use_cassette("f.yaml", mode=mode, record_failures=True), dspy.context(lm=lm):
        with pytest.raises(dspy.LMError) as error:
            qa(question=QUESTION)
    return error.value


def told(error):
    return {"class": type(error), "cause": type(error.__cause__), "args": error.args, **vars(error)}


@pytest.mark.parametrize("status", [400, 401, 429])
@pytest.mark.parametrize(("model", "engine"), ROUTES)
def test_a_failure_says_in_replay_all_that_it_said_when_it_was_recorded(model, engine, status):
    with Refusing(status, {**LIMITS, "x-request-id": "req_1"}) as provider:
        lm = provider.lm(model, engine=engine)
        recorded = told(caught(lm, "record"))
    assert told(caught(lm, "replay")) == recorded


def test_the_limits_that_a_provider_told_are_in_the_cassette():
    with Refusing(429, LIMITS) as provider:
        lm = provider.lm("openai/gpt-4o-mini")
        caught(lm, "record")
    assert {name: [value] for name, value in LIMITS.items()} == {
        name: list(values) for name, values in caught(lm, "replay").rate_limit_headers.items()
    }
