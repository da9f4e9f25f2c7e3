"""What a call costs."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from lmtest.cassette.interaction import Usage
from lmtest.errors import ConfigurationError
from lmtest.money.own_prices import doubts
from lmtest.money.prices import price, worst_case
from lmtest.money.terms import Terms

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def usd(model, *, at=NOW, provider=None, **tokens):
    found = price(model, Usage(**tokens), at=at, provider=provider)
    return found and found.usd


def test_a_price_is_exact_and_names_its_list():
    found = price("gemini/gemini-2.5-flash", Usage(input_tokens=1000, output_tokens=10), at=NOW)

    assert (found.input_usd, found.output_usd, found.usd) == (
        Decimal("0.0003"),
        Decimal("0.000025"),
        Decimal("0.000325"),
    )
    assert found.version.startswith("genai-prices ")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gemini/gemini-2.5-flash", "0.3"),
        ("vertex_ai/gemini-2.5-flash", "0.3"),
        ("openai/gpt-4o-mini", "0.15"),
        ("gpt-4o-mini", "0.15"),
        ("azure/gpt-4o-mini", "0.15"),
        ("azure_ai/gpt-4o-mini", "0.15"),
        ("anthropic/claude-sonnet-4-5", "6"),  # beyond 200,000 tokens
        ("openrouter/anthropic/claude-sonnet-4", "3"),
        ("groq/llama-3.3-70b-versatile", "0.59"),
    ],
)
def test_dspy_model_ids_find_their_price(model, expected):
    assert usd(model, input_tokens=1_000_000, output_tokens=0) == Decimal(expected)


def test_a_bare_name_is_looked_up_under_the_provider_that_answered():
    assert usd("grok-4", provider="xai", input_tokens=1_000_000, output_tokens=0) == 3


@pytest.mark.parametrize("model", ["ollama/llama3", "openai/my-finetune", "nonesuch", "", "/", "gemini/gemma-3"])
def test_an_unknown_price_is_none_and_never_zero(model):
    assert usd(model, input_tokens=1, output_tokens=1) is None
    assert worst_case(model, 1, 1, NOW) is None


def test_a_bare_name_is_not_looked_up_under_another_provider_than_answered():
    assert usd("gpt-4o-mini", provider="ollama", input_tokens=1, output_tokens=1) is None


def test_a_slash_may_belong_to_the_name_that_the_provider_knows():
    name = "meta-llama/Llama-3-70b-chat-hf"

    assert usd(name, provider="together", input_tokens=1_000_000, output_tokens=0) == Decimal("0.9")


def test_a_subscription_has_no_price_per_token():
    assert usd("openai/gpt-5-mini", provider="openai-codex", input_tokens=1, output_tokens=1) is None


def test_a_model_that_its_provider_calls_free_costs_nothing():
    assert usd("openrouter/openai/gpt-oss-20b:free", input_tokens=1000, output_tokens=1000) == 0


@pytest.mark.parametrize("tokens", [{}, {"input_tokens": 5}, {"output_tokens": 5}])
def test_tokens_that_were_not_counted_have_no_price(tokens):
    assert usd("gemini/gemini-2.5-flash", **tokens) is None


def test_counts_that_contradict_each_other_have_no_price():
    assert usd("openai/gpt-4o-mini", input_tokens=10, output_tokens=0, cache_read_tokens=20) is None


def test_gemini_bills_thinking_beside_the_output():
    cost = usd("gemini/gemini-2.5-flash", input_tokens=0, output_tokens=100, reasoning_tokens=900, total_tokens=1000)

    assert cost == Decimal("0.0025")


def test_gemini_bills_thinking_beside_the_output_even_where_the_total_leaves_it_out():
    tokens = {"input_tokens": 0, "output_tokens": 100, "reasoning_tokens": 900, "total_tokens": 100}

    assert usd("gemini/gemini-2.5-flash", provider="gemini", **tokens) == Decimal("0.0025")


def test_openai_bills_thinking_within_the_output():
    cost = usd("openai/gpt-5-mini", input_tokens=0, output_tokens=1000, reasoning_tokens=900, total_tokens=1000)

    assert cost == Decimal("0.002")


def test_litellm_counts_gemini_thinking_within_the_output():
    tokens = {"input_tokens": 0, "output_tokens": 1000, "reasoning_tokens": 900}

    assert usd("gemini/gemini-2.5-flash", provider="litellm", **tokens) == Decimal("0.0025")
    assert usd("gemini/gemini-2.5-flash", total_tokens=1000, **tokens) == Decimal("0.0025")


def test_anthropic_bills_cached_input_beside_the_input():
    tokens = {"output_tokens": 0, "cache_read_tokens": 1000, "cache_write_tokens": 1000}
    expected = Decimal("0.003") + Decimal("0.0003") + Decimal("0.00375")

    assert usd("anthropic/claude-sonnet-4-5", input_tokens=1000, **tokens) == expected
    assert usd("anthropic/claude-sonnet-4-5", input_tokens=3000, provider="litellm", **tokens) == expected


def test_openai_bills_cached_input_within_the_input():
    cost = usd("openai/gpt-4o-mini", input_tokens=2000, output_tokens=0, cache_read_tokens=1000)

    assert cost == Decimal("0.00015") + Decimal("0.000075")


def test_audio_has_its_own_rate():
    assert usd("gemini/gemini-2.5-flash", input_tokens=1000, output_tokens=0, input_audio_tokens=1000) == Decimal(
        "0.001"
    )


def test_cached_input_is_read_as_text_as_far_as_the_text_goes():
    cost = usd(
        "gemini/gemini-2.5-flash", input_tokens=1000, output_tokens=0, input_audio_tokens=600, cache_read_tokens=500
    )

    text_cached, audio_cached, audio = 400 * Decimal("0.03"), 100 * Decimal("0.1"), 500 * Decimal(1)
    assert cost == (text_cached + audio_cached + audio) / 1_000_000


def test_a_long_context_costs_its_tier():
    assert usd("gemini/gemini-2.5-pro", input_tokens=200_000, output_tokens=0) == Decimal("0.25")
    assert usd("gemini/gemini-2.5-pro", input_tokens=200_001, output_tokens=0) == Decimal("0.5000025")


def test_the_price_is_the_one_of_the_day_of_the_call():
    before, after = datetime(2025, 6, 9, tzinfo=UTC), datetime(2025, 6, 10, tzinfo=UTC)

    assert usd("openai/o3", at=before, input_tokens=1_000_000, output_tokens=0) == 10
    assert usd("openai/o3", at=after, input_tokens=1_000_000, output_tokens=0) == 2


def test_the_worst_case_writes_all_input_to_the_cache():
    assert worst_case("anthropic/claude-sonnet-4-5", 1000, 0, NOW) == Decimal("0.00375")
    assert worst_case("gpt-4o-mini", 1000, 1000, NOW) == Decimal("0.00075")


def test_the_worst_case_is_never_below_the_price():
    for read in (0, 500, 1000):
        actual = usd("openai/gpt-5-mini", input_tokens=1000, output_tokens=200, cache_read_tokens=read)
        assert actual <= worst_case("openai/gpt-5-mini", 1000, 200, NOW)


@pytest.fixture
def own(tmp_path, monkeypatch):
    path = tmp_path / "prices.toml"
    monkeypatch.setenv("LMTEST_PRICES", str(path))

    def write(text):
        path.write_text(text)
        return path

    return write


def test_a_price_of_ones_own_goes_before_the_public_list(own):
    own('["openai/gpt-4o-mini"]\ninput = 0.5\noutput = 1.0\n["ollama/llama3"]\ninput = 0\noutput = 0\n')

    assert usd("openai/gpt-4o-mini", input_tokens=1_000_000, output_tokens=1_000_000) == Decimal("1.5")
    assert usd("llama3", provider="ollama", input_tokens=5, output_tokens=5) == 0
    assert usd("openai/o3", input_tokens=1_000_000, output_tokens=0) == 2


def test_what_an_own_price_leaves_out_costs_what_input_or_output_does(own):
    own('["mine/m"]\ninput = 1\noutput = 2\ncache_read = 0.1\n')

    cost = usd("mine/m", input_tokens=100, output_tokens=10, cache_read_tokens=40, input_audio_tokens=20)

    assert cost == (60 * Decimal(1) + 40 * Decimal("0.1") + 10 * Decimal(2)) / 1_000_000


def test_an_own_price_names_the_file_and_its_content(own):
    own('["m"]\ninput = 1\noutput = 2\n')
    first = price("m", Usage(input_tokens=1, output_tokens=1), at=NOW).version
    own('["m"]\ninput = 1\noutput = 33\n')
    second = price("m", Usage(input_tokens=1, output_tokens=1), at=NOW).version

    assert first.startswith("prices.toml ")
    assert first != second


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('["m"]\ninput = 1\n', r"\['m'\] needs both 'input' and 'output'"),
        ("m = 1\n", r"\['m'\] needs both 'input' and 'output'"),
        ('["m"]\ninput = 1\noutput = 2\ncached_read = 1\n', r"has 'cached_read', .* Did you mean 'cache_read'\?"),
        ('["m"]\ninput = "1"\noutput = 2\n', r"input is '1'; give USD per million tokens"),
        ('["m"]\ninput = -1\noutput = 2\n', r"input is '-1'; give USD per million tokens"),
        ('["m"]\ninput = nan\noutput = 2\n', r"input is 'NaN'; give USD per million tokens"),
        ("[m\n", r"prices\.toml \(LMTEST_PRICES\) does not parse"),
    ],
)
def test_what_is_no_price_is_named(own, text, message):
    own(text)

    with pytest.raises(ConfigurationError, match=message):
        usd("m", input_tokens=1, output_tokens=1)


def test_a_file_of_prices_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("LMTEST_PRICES", str(tmp_path / "none.toml"))

    with pytest.raises(ConfigurationError, match=r"none\.toml', which cannot be read: No such file"):
        usd("m", input_tokens=1, output_tokens=1)


def test_a_price_needs_no_network(monkeypatch):
    def refuse(*args):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)

    assert usd("gemini/gemini-2.5-flash", input_tokens=1_000_000, output_tokens=0) == Decimal("0.3")


PER_TIER = Usage(input_tokens=1_000_000, output_tokens=100_000)


@pytest.mark.parametrize(("tier", "usd"), [("", "2.8"), ("priority", "4.9"), ("fast", "4.9")])
def test_a_service_tier_has_its_own_rates(tier, usd):
    assert price("openai/gpt-4.1", PER_TIER, at=NOW, terms=Terms(tier=tier)).usd == Decimal(usd)


def test_a_tier_that_no_list_has_is_of_unknown_price():
    assert price("openai/gpt-4.1", PER_TIER, at=NOW, terms=Terms(tier="scale")) is None
    assert price("gemini/gemini-2.5-flash", PER_TIER, at=NOW, terms=Terms(tier="priority")) is None
    assert worst_case("openai/gpt-4.1", 1, 1, NOW, terms=Terms(tier="scale")) is None


def test_the_worst_case_of_a_cheaper_tier_is_the_standard_price_for_it_may_be_served_by_that():
    flex = worst_case("openai/gpt-5-mini", 1000, 1000, NOW, terms=Terms(tier="flex"))
    assert flex == worst_case("openai/gpt-5-mini", 1000, 1000, NOW)
    assert worst_case("openai/gpt-5-mini", 1000, 1000, NOW, terms=Terms(tier="priority")) > flex


@pytest.mark.parametrize(
    ("terms", "usd"),
    [
        (Terms(), "0.375"),
        (Terms(long=True), "0.6"),
        (Terms(written_for_long=100_000), "0.6"),
        (Terms(written_for_long=50_000, long=True), "0.4875"),
    ],
)
def test_what_is_cached_for_an_hour_costs_more(terms, usd):
    usage = Usage(input_tokens=0, output_tokens=0, cache_write_tokens=100_000)
    assert price("anthropic/claude-sonnet-4-5", usage, at=NOW, terms=terms).usd == Decimal(usd)


def test_the_worst_case_of_what_is_asked_to_be_cached_for_an_hour_is_that_rate():
    assert worst_case("anthropic/claude-sonnet-4-5", 1000, 0, NOW, terms=Terms(long=True)) == Decimal("0.006")


def test_prices_of_ones_own_are_those_of_every_tier(tmp_path):
    (tmp_path / "prices.toml").write_text("[m]\ninput = 1\noutput = 1\ncache_write = 2\ncache_write_1h = 3\n")
    own = {"environ": {"LMTEST_PRICES": str(tmp_path / "prices.toml")}}
    usage = Usage(input_tokens=1_000_000, output_tokens=0, cache_write_tokens=1_000_000)

    assert price("m", usage, at=NOW, terms=Terms(tier="priority"), **own).usd == 2
    assert price("m", usage, at=NOW, terms=Terms(long=True), **own).usd == 3


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "openai/gpt-*",
            "'openai/gpt-*', which is no pattern: a name is taken letter by letter. Did you mean 'openai/gpt-",
        ),
        (
            "gpt-5",
            "no model's whole name unless a dspy.LM was given it without a provider. Did you mean 'openai/gpt-5'?",
        ),
        ("gemini-2.5-flsh", "Did you mean 'gemini/gemini-2.5-flash'?"),
        ("my-own", "without a provider. Name it as DSPy does: 'provider/model'."),
        ("OpenAI/GPT-5", "large and small ones are told apart. Did you mean 'openai/gpt-5'?"),
        ("openai/GPT-5", "large and small ones are told apart. Did you mean 'openai/gpt-5'?"),
        ("Ollama/llama3", "in other letters than its model has"),
        (" openai/gpt-5", "with a space at its end"),
    ],
)
def test_a_price_that_can_match_nothing_is_told_with_the_nearest_name(name, told, tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text(f'["{name}"]\ninput = 1\noutput = 2\n')
    [doubt] = doubts(path)
    assert doubt.startswith(f"prices.toml (LMTEST_PRICES) has a price of {name!r}, ")
    assert told in doubt


@pytest.mark.parametrize(
    "name",
    [
        "openai/gpt-5",
        "ollama/llama3",
        "openai/ft:gpt-5-mini:acme",
        "baseten/deepseek-ai/DeepSeek-V4-Pro",
        "mine/My-Own",
    ],
)
def test_a_price_of_a_model_of_ones_own_is_no_doubt(name, tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text(f'["{name}"]\ninput = 1\noutput = 2\n')
    assert list(doubts(path)) == []
