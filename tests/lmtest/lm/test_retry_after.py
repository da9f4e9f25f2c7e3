"""How long a provider asks to wait: by every route, in every form, and the same in replay."""

import asyncio
import time
from datetime import timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import dspy
import pytest
from dspy import lm15
from dspy.clients import execution
from hypothesis import given
from hypothesis import strategies as st

import lmtest
from lmtest.clock import utc_now
from lmtest.lm.retry import in_words, retry_after
from lmtest.testing import ScriptedProvider, fields, rate_limited, server_error

from .recordings import QUESTION, qa, run
from .refusing import Refusing

GEMINI = "gemini/gemini-2.5-flash"
ROUTES = [
    (GEMINI, "lm15"),
    (GEMINI, "litellm"),
    ("openai/gpt-4o-mini", "lm15"),
    ("openai/gpt-4o-mini", "litellm"),
    ("anthropic/claude-sonnet-4-5", "lm15"),
    ("anthropic/claude-sonnet-4-5", "litellm"),
    ("mistral/mistral-small-latest", "auto"),
    ("together_ai/meta-llama/Llama-3-8b-chat-hf", "auto"),
    ("cohere_chat/command-r", "auto"),
    ("vertex_ai/gemini-2.5-flash", "auto"),
    ("bedrock/anthropic.claude-3-haiku-20240307-v1:0", "auto"),
]
BY_GEMINI = pytest.mark.parametrize(("model", "engine"), ROUTES[:2])
HOWS = ["sync", "async", "stream"]


@pytest.fixture(autouse=True)
def credentials(monkeypatch):
    """Of clouds whose keys are no strings."""
    for name, value in (("ACCESS_KEY_ID", "AKIA" + "X" * 16), ("SECRET_ACCESS_KEY", "x" * 40), ("REGION_NAME", "eu-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    from litellm.llms.vertex_ai.vertex_llm_base import VertexBase

    async def token(*_, **__):
        return "token", "project"

    monkeypatch.setattr(VertexBase, "_ensure_access_token", lambda *_, **__: ("token", "project"))
    monkeypatch.setattr(VertexBase, "_ensure_access_token_async", token)


def ask(lm, how="sync"):
    program = dspy.Predict("question -> answer")
    with dspy.context(lm=lm):
        if how == "sync":
            return program(question=QUESTION).answer
        if how == "async":
            return run(program.acall(question=QUESTION)).answer
        return run(_streamed(program)).answer


async def _streamed(program):
    listener = dspy.streaming.StreamListener("answer")
    items = [item async for item in dspy.streamify(program, stream_listeners=[listener])(question=QUESTION)]
    return items[-1]


def refused(lm, how="sync", path=None, **options):
    """The error that a program gets for a call that is refused."""
    with lmtest.use_cassette(path, **({"mode": "live"} | options)):
        with pytest.raises((dspy.LMError, ExceptionGroup)) as caught:
            ask(lm, how)
    error = caught.value
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def retry_info(delay, message="Quota exceeded for metric: x."):
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    details = [{"@type": "type.googleapis.com/google.rpc.Help", "links": []}, info]
    return {"error": {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": details}}


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("status", [429, 503, 529])
@pytest.mark.parametrize(("model", "engine"), ROUTES)
def test_a_header_is_heeded_on_every_route(model, engine, status, how):
    with Refusing(status, {"Retry-After": "4"}) as provider:
        assert refused(provider.lm(model, engine=engine), how).retry_after == 4.0


@pytest.mark.parametrize(("model", "engine"), ROUTES[:4])
@pytest.mark.parametrize("name", ["retry-after-ms", "x-ms-retry-after-ms"])
def test_a_header_in_milliseconds_is_heeded(model, engine, name):
    with Refusing(429, {name: "1500"}) as provider:
        assert refused(provider.lm(model, engine=engine)).retry_after == 1.5


@BY_GEMINI
def test_a_header_that_says_when_is_heeded(model, engine):
    with Refusing(503, {"Retry-After": format_datetime(utc_now() + timedelta(seconds=90), usegmt=True)}) as provider:
        assert 60 < refused(provider.lm(model, engine=engine)).retry_after <= 90


@BY_GEMINI
@pytest.mark.parametrize("value", ["soon", "-3", "inf", ""])
def test_a_header_that_says_nothing_is_passed_over(model, engine, value):
    with Refusing(429, {"Retry-After": value}) as provider:
        assert refused(provider.lm(model, engine=engine)).retry_after is None


@pytest.mark.parametrize("how", HOWS)
@BY_GEMINI
def test_the_delay_in_geminis_details_is_heeded(model, engine, how):
    with Refusing(429, body=retry_info("34.07s")) as provider:
        assert refused(provider.lm(model, engine=engine), how).retry_after == 34.07


@BY_GEMINI
def test_a_header_goes_before_the_details_and_these_before_words(model, engine):
    body = retry_info("34.07s", "Please retry in 2s.")
    with Refusing(429, {"Retry-After": "4"}, body) as provider:
        assert refused(provider.lm(model, engine=engine)).retry_after == 4.0
    with Refusing(429, body=body) as provider:
        assert refused(provider.lm(model, engine=engine)).retry_after == 34.07


@pytest.mark.parametrize(("model", "engine"), [*ROUTES[:4], ROUTES[6]])
def test_words_are_heeded(model, engine):
    with Refusing(429, body={"error": {"message": "Rate limit reached. Please try again in 1m4s."}}) as provider:
        assert refused(provider.lm(model, engine=engine)).retry_after == 64.0


def test_words_of_a_request_that_was_wrong_are_not():
    assert retry_after(lm15.InvalidRequestError("Please retry in 4s with fewer tokens.", status=400)) is None


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("Please retry in 34.074824224s.", 34.074824224),
        ("retry in 4000ms", 4.0),
        ("Please try again in 7m12s. Visit https://example.com", 432.0),
        ("Please try again in 2h59m2.4s.", 10_742.4),
        ("Please try again in 1d2h", 93_600.0),
        ("try again in 6.5s", 6.5),
        ("Please retry after 6 seconds.", 6.0),
        ("Please retry your request after 1 minute, 5 seconds.", 65.0),
        ("Retry after 20 s", 20.0),
        ("Please try again in 5 models", None),
        ("Please try again in 20 requests", None),
        ("Please try again later, in 2026", None),
        ("You used 5s of audio", None),
    ],
)
def test_a_sentence_is_read_with_its_units(said, seconds):
    assert in_words(said) == (None if seconds is None else pytest.approx(seconds))


@given(st.integers(0, 30), st.integers(0, 23), st.integers(0, 59), st.decimals(0, 59, places=3))
def test_a_duration_as_go_writes_it_is_read_whole(days, hours, minutes, seconds):
    said = f"{days}d{hours}h{minutes}m{seconds}s"
    whole = ((days * 24 + hours) * 60 + minutes) * 60 + float(seconds)
    assert in_words(f"Limit 3, Used 3. Please try again in {said}. See the docs.") == pytest.approx(whole)


def test_the_header_of_an_earlier_call_is_not_taken_for_this_ones():
    with Refusing(429, {"Retry-After": "100"}) as first, Refusing(429) as second:
        try:
            raise refused(first.lm("mistral/mistral-small-latest"))
        except dspy.LMError:
            later = refused(second.lm("mistral/mistral-small-latest"))
            gone = refused(dspy.LM("mistral/x", api_base="http://127.0.0.1:9", api_key="k" * 12, num_retries=0))
    assert (later.retry_after, gone.retry_after) == (None, None)


@pytest.mark.parametrize(("model", "engine"), [*ROUTES[:2], ROUTES[6]])
def test_a_recorded_refusal_says_the_same_in_replay(model, engine):
    with Refusing(429, {"Retry-After": "4"}) as provider:
        lm = provider.lm(model, engine=engine)
        recorded = refused(lm, path="f.yaml", mode="record", record_failures=True)
    replayed = refused(lm, path="f.yaml", mode="replay")
    assert (type(replayed), replayed.retry_after) == (type(recorded), 4.0)


@pytest.fixture
def pauses(monkeypatch):
    """How long DSPy would have slept before it asked again; nobody does."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(execution, "time", SimpleNamespace(**(vars(time) | {"sleep": slept.append})))
    monkeypatch.setattr(execution, "asyncio", SimpleNamespace(**(vars(asyncio) | {"sleep": sleep})))
    return slept


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("fault", [rate_limited(retry_after=4), server_error(503, retry_after=4)])
@pytest.mark.parametrize("engine", ["lm15", "litellm"])
def test_dspy_sleeps_as_long_by_either_route(engine, fault, how, pauses):
    with ScriptedProvider([fault, fields(answer="Paris")]) as provider, lmtest.use_cassette(mode="live"):
        assert ask(provider.lm(engine=engine, num_retries=1), how) == "Paris"
    assert pauses == [4.0]


FAULTS = [rate_limited(retry_after=6), server_error(503), server_error(503), server_error(503)]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("engine", ["lm15", "litellm"])
def test_what_was_recorded_is_played_without_waiting(engine, how, pauses):
    with ScriptedProvider([*FAULTS, fields(answer="Paris")]) as provider:
        lm = provider.lm(engine=engine, num_retries=4)
        with lmtest.use_cassette("retried.yaml", mode="record", record_failures=True):
            assert ask(lm, how) == "Paris"
    assert pauses == [6.0, 2, 4, 8]
    pauses.clear()
    with lmtest.use_cassette("retried.yaml", mode="replay") as cassette:
        assert ask(lm, how) == "Paris"
    assert pauses == [0.0] * 4
    assert [bool(call.failed) for call in cassette.calls] == [True] * 4 + [False]


def test_a_failure_that_a_rule_makes_up_is_tried_again_without_waiting(pauses):
    with pytest.raises(dspy.LMRateLimitError), lmtest.use_cassette(mode="mock", rules=[{"error": "rate_limit"}]):
        ask(dspy.LM(GEMINI, num_retries=2, cache=False))
    assert pauses == [0.0, 0.0]


@pytest.mark.parametrize("how", HOWS)
def test_a_provider_that_asks_for_longer_than_a_call_may_wait_is_not_waited_for(how, pauses):
    with ScriptedProvider([rate_limited(retry_after=43_200), fields(answer="never")]) as provider:
        asked = "the provider asks to wait 43200 s, until .* UTC, longer than the 60 s that it may, and it was not"
        with pytest.raises(lmtest.RateLimited, match=asked) as caught, lmtest.use_cassette(mode="live"):
            ask(provider.lm(num_retries=3), how)
        assert len(provider.requests) == 1
    assert caught.value.retry_after == 43_200
    assert pauses == []


def test_who_lets_calls_wait_for_as_long_as_it_takes_waits(pauses, caplog):
    with ScriptedProvider([rate_limited(retry_after=43_200), fields(answer="Paris")]) as provider:
        with lmtest.use_cassette(mode="live", limits=lmtest.Limits(max_wait="none")):
            assert ask(provider.lm(num_retries=1)) == "Paris"
    assert pauses == [43_200]
    assert caplog.messages[0].startswith("A call is asked again in 43200 s, at ")


def test_who_is_refused_by_litellms_route_makes_everybody_wait_who_shares_the_limit():
    limits = lmtest.Limits(requests_per_minute=6_000, max_wait=1)
    with Refusing(429, {"Retry-After": "30"}) as provider, dspy.context(lm=provider.lm("mistral/mistral-small-latest")):
        with pytest.raises(dspy.LMRateLimitError), lmtest.use_cassette(mode="live", limits=limits):
            qa(question="one?")
        with pytest.raises(lmtest.RateLimited) as caught, lmtest.use_cassette(mode="live", limits=limits):
            qa(question="another?")
    assert 25 < caught.value.retry_after <= 30
