"""What a recording is billed by, read from the provider's words in it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmtest.cassette.interaction import EventStream, Interaction, Reply, StreamedEvent, Usage
from lmtest.money.prices import price, price_of
from lmtest.money.quantities import quantities
from lmtest.money.terms import STANDARD, Terms

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def bill(*parts, fees="0"):
    return sum((tokens * Decimal(rate) for tokens, rate in parts), Decimal(0)) / 1_000_000 + Decimal(fees)


def answered(model, body, *, provider=None, usage=None, **request):
    """A whole answer with a provider's body; that its client counted something is all that its own usage has to say."""
    usage = usage or {"input_tokens": 1, "output_tokens": 1}
    response = {"usage": usage} | ({"provider_data": body} if body else {})
    asked = {"model": model, "messages": [], **request}
    return Interaction(key="k", request=asked, outcome=Reply(response=response), provider=provider)


def litellm(prompt, completion, *, into=None, out=None, **beside):
    """Usage as LiteLLM writes it, with the fields that have nothing in them."""
    nothing = {"audio_tokens": None, "text_tokens": None, "image_tokens": None, "video_tokens": None}
    return {
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": None if into is None else {**nothing, "cached_tokens": None, **into},
            "completion_tokens_details": None if out is None else {**nothing, "reasoning_tokens": None, **out},
            **beside,
        }
    }


# What only a cloud's credentials would reach, as LiteLLM hands it on.
CARRIED = {
    "bedrock, cached for five minutes and for an hour": (
        "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        litellm(
            1800,
            200,
            into={
                "cached_tokens": 500,
                "cache_creation_tokens": 300,
                "cache_creation_token_details": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
            },
            cache_read_input_tokens=500,
            cache_creation_input_tokens=300,
        ),
        bill((1000, "3.3"), (500, "0.33"), (100, "4.125"), (200, "6.6"), (200, "16.5")),
    ),
    "bedrock, a model of Amazon's": (
        "bedrock/amazon.nova-pro-v1:0",
        litellm(1000, 100, into={"cached_tokens": 400}),
        bill((600, "0.8"), (400, "0.2"), (100, "3.2")),
    ),
    "vertex, thoughts within the completion": (
        "vertex_ai/gemini-2.5-flash",
        litellm(1000, 1000, into={"text_tokens": 1000}, out={"reasoning_tokens": 900, "text_tokens": 100}),
        bill((1000, "0.3"), (1000, "2.5")),
    ),
    "vertex, cached audio and a picture sent": (
        "vertex_ai/gemini-2.5-flash",
        litellm(
            1258,
            10,
            into={
                "cached_tokens": 600,
                "audio_tokens": 500,
                "image_tokens": 258,
                "cached_tokens_details": {"text_tokens": 200, "audio_tokens": 400, "image_tokens": None},
            },
        ),
        bill((558, "0.3"), (200, "0.03"), (100, "1"), (400, "0.1"), (10, "2.5")),
    ),
    "azure, cached": (
        "azure/gpt-4o",
        litellm(1000, 100, into={"cached_tokens": 400}),
        bill((600, "2.5"), (400, "1.25"), (100, "10")),
    ),
    "together": (
        "together_ai/meta-llama/Llama-3-70b-chat-hf",
        litellm(1000, 100),
        bill((1000, "0.9"), (100, "0.9")),
    ),
    "cerebras": ("cerebras/gpt-oss-120b", litellm(1000, 100), bill((1000, "0.35"), (100, "0.75"))),
}


@pytest.mark.parametrize("name", CARRIED)
def test_what_litellm_carried_is_billed_by_its_seller(name):
    model, body, usd = CARRIED[name]

    assert price_of(answered(model, body, provider="litellm"), at=AT).usd == usd


BATCHED = {"input_tokens": 1000, "output_tokens": 100, "service_tier": "batch"}


@pytest.mark.parametrize(
    ("model", "usage", "asked", "usd"),
    [
        ("anthropic/claude-sonnet-4-5", BATCHED, {}, bill((1000, "1.5"), (100, "7.5"))),
        ("anthropic/claude-opus-4-8", BATCHED | {"speed": "standard"}, {}, bill((1000, "2.5"), (100, "12.5"))),
        (
            "anthropic/claude-opus-4-8",
            {"input_tokens": 1000, "output_tokens": 100},
            {"extensions": {"speed": "fast"}},
            bill((1000, "10"), (100, "50")),
        ),
        (
            "anthropic/claude-opus-4-8",
            {"input_tokens": 1000, "output_tokens": 100, "speed": "standard"},
            {"extensions": {"speed": "fast"}},
            bill((1000, "5"), (100, "25")),
        ),
    ],
)
def test_a_batch_and_fast_mode_have_their_own_rates(model, usage, asked, usd):
    call = answered(model, {"usage": usage}, provider="anthropic", config=asked)

    assert price_of(call, at=AT).usd == usd


def test_a_tier_has_no_price_before_the_day_that_the_list_knows_it_from():
    call = answered("openai/gpt-4.1", {"service_tier": "priority", **litellm(1000, 100)}, provider="litellm")

    assert price_of(call, at=datetime(2026, 10, 12, tzinfo=UTC)).usd == bill((1000, "3.5"), (100, "14"))
    assert price_of(call, at=datetime(2026, 10, 11, tzinfo=UTC)) is None


def test_the_same_quantities_can_be_priced_for_another_model():
    usage = {"input_tokens": 1000, "output_tokens": 100, "cache_read_input_tokens": 500}
    call = answered("anthropic/claude-sonnet-4-5", {"usage": usage}, provider="anthropic")

    assert price_of(call, at=AT, model="openai/gpt-4o-mini").usd == bill((1000, "0.15"), (500, "0.075"), (100, "0.6"))


def test_prices_of_ones_own_go_by_the_providers_count(tmp_path):
    (tmp_path / "prices.toml").write_text('["gemini/gemini-2.5-flash"]\ninput = 1\noutput = 2\ncache_read = 0.5\n')
    usage = {
        "promptTokenCount": 100,
        "toolUsePromptTokenCount": 900,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 5,
    }
    call = answered("gemini/gemini-2.5-flash", {"usageMetadata": usage | {"cachedContentTokenCount": 40}})

    found = price_of(call, at=AT, environ={"LMTEST_PRICES": str(tmp_path / "prices.toml")})
    assert found.usd == bill((960, "1"), (40, "0.5"), (10, "2"))


def test_a_recording_without_its_providers_words_is_billed_by_the_tokens_that_it_has():
    usage = {"input_tokens": 1000, "output_tokens": 100, "cache_read_tokens": 500}
    call = answered("anthropic/claude-sonnet-4-5", None, provider="anthropic", usage=usage)

    same = price(call.model, Usage(**usage), at=AT, provider="anthropic")
    assert price_of(call, at=AT) == same
    assert same.usd == bill((1000, "3"), (500, "0.3"), (100, "15"))


def test_a_recording_that_names_nobody_is_taken_as_its_models_seller_counts():
    body = {"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 100, "thoughtsTokenCount": 900}}

    assert price_of(answered("gemini/gemini-2.5-flash", body), at=AT).usd == bill((10, "0.3"), (1000, "2.5"))


def test_what_is_to_be_kept_for_an_hour_is_taken_as_such_where_nobody_counted_it_apart():
    usage = {"input_tokens": 0, "output_tokens": 1, "cache_creation_input_tokens": 1000}
    asked = {"cache": {"retention": "long"}}
    call = answered("anthropic/claude-sonnet-4-5", {"usage": usage}, provider="anthropic", config=asked)

    assert price_of(call, at=AT).usd == bill((1000, "6"), (1, "15"))
    counted = usage | {"cache_creation": {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 0}}
    call = answered("anthropic/claude-sonnet-4-5", {"usage": counted}, provider="anthropic", config=asked)
    assert price_of(call, at=AT).usd == bill((1000, "3.75"), (1, "15"))


@pytest.mark.parametrize("usage", [{}, {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}])
def test_a_count_of_nothing_at_all_is_no_count(usage):
    response = {"usage": usage, "provider_data": litellm(0, 0)}
    call = Interaction(key="k", request={"model": "openai/gpt-4o-mini"}, outcome=Reply(response=response))

    assert call.usage == Usage()
    assert price_of(call, at=AT) is None


def test_counts_that_contradict_each_other_have_no_price():
    body = litellm(10, 1, into={"cached_tokens": 20})

    assert price_of(answered("openai/gpt-4o-mini", body, provider="litellm"), at=AT) is None


STARTED = {
    "type": "start",
    "usage": {"input_tokens": 1000},
    "provider_data": {"usage": {"input_tokens": 1000, "cache_read_input_tokens": 0}},
}


def test_a_stream_that_began_and_did_not_end_has_no_count_of_its_output():
    events = (StreamedEvent(at=0.0, event=STARTED),)
    call = Interaction(
        key="k",
        request={"model": "anthropic/claude-sonnet-4-5"},
        outcome=EventStream(events=events, left=True),
        provider="anthropic",
    )

    assert (call.usage.input_tokens, call.usage.output_tokens) == (1000, None)
    assert price_of(call, at=AT) is None


def test_what_a_client_estimated_is_no_count():
    end = {"type": "end", "usage": {"input_tokens": 8, "output_tokens": 3}, "provider_data": litellm(8, 3)}
    call = Interaction(
        key="k",
        request={"model": "openai/gpt-4o-mini"},
        outcome=EventStream(events=(StreamedEvent(at=0.0, event=end | {"estimated": True}),)),
        provider="litellm",
    )

    assert call.usage == Usage()
    assert quantities(call, seller="openai", terms=STANDARD) is None


tokens = st.integers(0, 10**6)


@given(text=tokens, audio=tokens, cached_text=tokens, cached_audio=tokens, tools=tokens, said=tokens, thought=tokens)
def test_each_token_of_gemini_is_billed_once(*, text, audio, cached_text, cached_audio, tools, said, thought):
    usage = {
        "promptTokenCount": text + cached_text + audio + cached_audio,
        "cachedContentTokenCount": cached_text + cached_audio,
        "toolUsePromptTokenCount": tools,
        "candidatesTokenCount": said,
        "thoughtsTokenCount": thought,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": text + cached_text},
            {"modality": "AUDIO", "tokenCount": audio + cached_audio},
        ],
        "cacheTokensDetails": [
            {"modality": "TEXT", "tokenCount": cached_text},
            {"modality": "AUDIO", "tokenCount": cached_audio},
        ],
    }
    call = answered("gemini/gemini-2.5-flash", {"usageMetadata": usage}, provider="gemini")

    plain, cached, heard = (text + tools, "0.3"), (cached_text, "0.03"), (audio, "1")
    usd = bill(plain, cached, heard, (cached_audio, "0.1"), (said + thought, "2.5"))
    assert price_of(call, at=AT).usd == usd


@given(plain=tokens, read=tokens, five=tokens, hour=tokens, out=tokens)
def test_both_engines_bill_anthropic_alike(plain, read, five, hour, out):
    apart = {"ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": hour}
    usage = {"input_tokens": plain, "output_tokens": out, "cache_read_input_tokens": read}
    usage |= {"cache_creation_input_tokens": five + hour, "cache_creation": apart}
    into = {"cached_tokens": read, "cache_creation_tokens": five + hour, "cache_creation_token_details": apart}
    model = "anthropic/claude-sonnet-4-5"

    native = price_of(answered(model, {"usage": usage}, provider="anthropic"), at=AT)
    carried = price_of(answered(model, litellm(plain + read + five + hour, out, into=into), provider="litellm"), at=AT)
    assert native == carried


def test_terms_of_a_tier_that_is_asked_for_hold_until_an_answer_names_another():
    call = answered("openai/gpt-4.1", litellm(1, 1), provider="litellm", config={"service_tier": "priority"})

    assert price_of(call, at=AT) == price(
        "openai/gpt-4.1", Usage(input_tokens=1, output_tokens=1), at=AT, terms=Terms(tier="priority")
    )
