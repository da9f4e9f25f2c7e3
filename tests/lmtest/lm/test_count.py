"""Tokens that a provider counts: asked for before the call where that is wanted, and the call is as it was without."""

import asyncio
import contextlib
import json
from decimal import Decimal

import dspy
import pytest

import lmtest

from .loopback import Handler, Loopback

QUESTION = "Why is the sky blue?"
WORST_INPUT = 3_000
"""Tokens; at $0.30 a million for Gemini and $3 for Claude."""


class Counter(Loopback):
    """Gemini's and Anthropic's protocols on loopback, as far as calls and counts go; keeps what it was sent."""

    def __init__(self, status=200, tokens=WORST_INPUT, details=()):
        self.arrived = []
        self.status, self.tokens, self.details = status, tokens, list(details)
        super().__init__(_Handler)

    def lm(self, seller):
        if seller == "gemini":
            lm = dspy.LM("gemini/gemini-2.5-flash", api_base=f"{self.url}/v1beta")
        else:
            lm = dspy.LM("anthropic/claude-sonnet-4-5", api_base=f"{self.url}/v1")
        return lm.copy(api_key="k" * 12, max_tokens=10, cache=False, num_retries=0, engine="lm15")


class _Handler(Handler):
    def answer(self):
        body = self.asked()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.owner.arrived.append((self.path, headers, body))
        counts = "count" in self.path
        if counts:
            self.send(self._count(), status=self.owner.status)
        else:
            self.send(self._answer())

    def _count(self):
        tokens = self.owner.tokens
        if "messages" in self.path:
            return {"input_tokens": tokens}
        return {"totalTokens": tokens, "promptTokensDetails": self.owner.details}

    def _answer(self):
        if "messages" in self.path:
            return {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5"} | {
                "content": [{"type": "text", "text": "It is."}],
                "stop_reason": "end_turn",
                "usage": {"input_tokens": 5, "output_tokens": 2},
            }
        content = {"role": "model", "parts": [{"text": "It is."}]}
        usage = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}
        return {"candidates": [{"content": content, "finishReason": "STOP"}], "usageMetadata": usage}


@pytest.fixture
def asked_for(monkeypatch):
    monkeypatch.setenv("LMTEST_COUNT_TOKENS", "1")


def ask(lm, usd="1", **options):
    with dspy.context(lm=lm), lmtest.use_cassette(mode="live", limits=lmtest.Limits(usd_per_run=usd), **options):
        return lm(QUESTION)


async def ask_async(lm, usd="1"):
    with dspy.context(lm=lm):
        async with lmtest.use_cassette(mode="live", limits=lmtest.Limits(usd_per_run=usd)):
            return await lm.acall(QUESTION)


def paths(counter):
    return [path.partition("?")[0] for path, _, _ in counter.arrived]


COUNTS = {
    "gemini": ("/v1beta/models/gemini-2.5-flash:countTokens", "/v1beta/models/gemini-2.5-flash:generateContent"),
    "anthropic": ("/v1/messages/count_tokens", "/v1/messages"),
}


@pytest.mark.parametrize("seller", COUNTS)
def test_nobody_is_asked_where_nobody_wants_it(seller, project):
    with Counter() as counter:
        ask(counter.lm(seller))
    assert len(counter.arrived) == 1


@pytest.mark.parametrize("seller", COUNTS)
def test_nobody_is_asked_where_no_limit_holds(seller, project, asked_for):
    with Counter() as counter:
        lm = counter.lm(seller)
        with lmtest.use_cassette(mode="live"):
            lm(QUESTION)
    assert len(counter.arrived) == 1


@pytest.mark.parametrize("seller", COUNTS)
def test_the_count_goes_before_the_call_to_the_same_place_with_the_same_key(seller, project, asked_for):
    with Counter() as counter:
        ask(counter.lm(seller))
    (count, counted, body), (call, called, _) = counter.arrived
    assert (count.partition("?")[0], call.partition("?")[0]) == COUNTS[seller]
    for name in ("x-goog-api-key", "x-api-key", "anthropic-version", "host"):
        assert counted.get(name) == called.get(name)
    assert QUESTION in json.dumps(body)


@pytest.mark.parametrize("seller", COUNTS)
def test_the_call_is_the_one_that_is_sent_without_a_count(seller, project, monkeypatch):
    with Counter() as counter:
        ask(counter.lm(seller))
        monkeypatch.setenv("LMTEST_COUNT_TOKENS", "1")
        ask(counter.lm(seller))
    plain, _, counted = counter.arrived
    assert plain == counted


@pytest.mark.parametrize("seller", COUNTS)
def test_settings_that_its_counter_refuses_are_not_sent_to_claude_and_gemini_gets_all(seller, project, asked_for):
    with Counter() as counter:
        ask(counter.lm(seller))
    _, _, body = counter.arrived[0]
    if seller == "gemini":
        assert body["generateContentRequest"]["model"] == "models/gemini-2.5-flash"
        assert body["generateContentRequest"]["generationConfig"]["maxOutputTokens"] == 10
    else:
        assert set(body) == {"messages", "model"}


def refused_at(counter, seller, usd):
    """What the call is held at, where that is more than may be spent."""
    with pytest.raises(lmtest.BudgetExceeded) as caught:
        ask(counter.lm(seller), usd)
    return caught.value.estimate


@pytest.mark.parametrize(
    ("seller", "held"),
    [
        ("gemini", WORST_INPUT * Decimal("0.30e-6") + 10 * Decimal("2.50e-6")),
        ("anthropic", WORST_INPUT * Decimal("3.75e-6") + 10 * Decimal("15e-6")),
    ],
)
def test_a_call_is_held_at_what_was_counted(seller, held, project, asked_for):
    with Counter() as counter:
        assert refused_at(counter, seller, "0.0005") == held
    assert paths(counter) == [COUNTS[seller][0]]


def test_an_awaited_call_is_held_at_what_was_counted(project, asked_for):
    with Counter() as counter, pytest.raises(lmtest.BudgetExceeded):
        asyncio.run(ask_async(counter.lm("gemini"), "0.0005"))
    assert paths(counter) == [COUNTS["gemini"][0]]
    with Counter(tokens=5) as counter:
        asyncio.run(ask_async(counter.lm("gemini"), "0.0005"))
    assert paths(counter) == list(COUNTS["gemini"])


def test_sound_that_was_counted_has_its_own_rate(project, asked_for):
    kinds = [{"modality": "TEXT", "tokenCount": 1_000}, {"modality": "AUDIO", "tokenCount": 2_000}]
    with Counter(details=kinds) as counter:
        held = refused_at(counter, "gemini", "0.0005")
    assert held == Decimal("0.0003") + Decimal("0.002") + Decimal("0.000025")


@pytest.mark.parametrize("broken", [{"status": 500}, {"status": 403}, {"tokens": None}, {"tokens": "many"}])
@pytest.mark.parametrize("seller", COUNTS)
def test_a_count_that_fails_leaves_the_estimate(broken, seller, project, asked_for):
    with Counter(**broken) as counter:
        ask(counter.lm(seller))
        held = refused_at(counter, seller, "0.00001")
    assert paths(counter)[:2] == list(COUNTS[seller])
    assert held < Decimal("0.0006")


def test_the_project_s_table_asks_for_it_and_the_environment_goes_before_it(project, monkeypatch):
    (project / "pyproject.toml").write_text("[tool.lmtest]\ncount_tokens = true\n")
    with Counter() as counter:
        ask(counter.lm("gemini"))
        monkeypatch.setenv("LMTEST_COUNT_TOKENS", "0")
        ask(counter.lm("gemini"))
    assert paths(counter) == [*COUNTS["gemini"], COUNTS["gemini"][1]]


def test_a_call_that_litellm_carries_is_estimated(project, asked_for):
    with Counter() as counter:
        with contextlib.suppress(dspy.LMError):
            ask(counter.lm("anthropic").copy(engine="litellm"))
    assert not [path for path in paths(counter) if "count" in path]
