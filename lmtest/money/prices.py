"""What a call's tokens cost, by the price list that was in force when the call was made.

The list is the one bundled with genai-prices, so a price needs no network and changes only with the package. Before it
goes the user's own, see `lmtest.money.own_prices`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lmtest import variables
from lmtest.money.estimate import Estimate
from lmtest.money.own_prices import own_prices
from lmtest.money.quantities import LITELLM, of_usage, quantities
from lmtest.money.terms import STANDARD, billed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from decimal import Decimal

    from genai_prices.types import ModelInfo, Provider

    from lmtest.cassette.interaction import Interaction, Usage
    from lmtest.money.quantities import Counts
    from lmtest.money.terms import Terms

# DSPy's prefixes that genai-prices does not recognise by itself.
_LISTED_AS = {"azure_ai": "azure", "fireworks_ai": "fireworks"}

# Paid by subscription: their tokens have no price of their own.
_SUBSCRIPTIONS = frozenset({"claude-code", "openai-codex", "github_copilot", "github-copilot", "cursor"})

# How the list names the terms that we call a tier: OpenAI's and Gemini's, Anthropic's fast mode, and batches.
_CONTEXTS = ("service_tier", "speed", "processing")


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """What one call cost.

    Attributes:
        usd: USD in all; more than input and output together where a provider also bills each request.
        input_usd: USD of what was sent, cached tokens included.
        output_usd: USD of what came back, thinking included.
        version: The price list, such as ``genai-prices 0.2.3``, or the user's own file and a digest of it.
    """

    usd: Decimal
    input_usd: Decimal
    output_usd: Decimal
    version: str


def price_of(
    call: Interaction, *, at: datetime, model: str | None = None, environ: Mapping[str, str] | None = None
) -> Price | None:
    """Price one call by all that its provider said of it.

    Args:
        call: The call, live or from a recording: what was said of it stands in both.
        at: As for `price`.
        model: Another model, to tell what it would have cost with the same quantities.
        environ: As for `price`.

    Returns:
        The price, or None where it is unknown; see `price`.
    """
    listing = _listing(model or call.model, None if model else call.provider, environ)
    if listing is None:
        return None
    terms = billed(call)
    counts = quantities(call, seller=_seller(call.model, listing), terms=terms)
    return None if counts is None else _calculate(listing, counts, at, tier=terms.tier)


def price(
    model: str,
    usage: Usage,
    *,
    at: datetime,
    provider: str | None = None,
    terms: Terms = STANDARD,
    environ: Mapping[str, str] | None = None,
) -> Price | None:
    """Price tokens of which no more is known than their number.

    Args:
        model: The model as DSPy names it, ``provider/model``, or a bare model name.
        usage: The call's tokens.
        at: When the call was made: prices change by date and, with some providers, by hour. Naive means UTC.
        provider: Who counted the tokens, because each counts differently: lm15's name of the provider, or ``"litellm"``
            where LiteLLM did, whose totals hold cached and thinking tokens. By default the model's prefix.
        terms: The service tier, and what is cached for long. A tier that the list does not have is of unknown price;
            prices of your own are those of every tier.
        environ: Where ``LMTEST_PRICES`` is looked for; by default, the process's own environment.

    Returns:
        The price, or None where it is unknown: the model is not listed, the provider did not say how many tokens, or
        its counts contradict each other. Unknown is never zero.

    >>> from datetime import UTC, datetime
    >>> from lmtest.cassette.interaction import Usage
    >>> usage = Usage(input_tokens=1_000_000, output_tokens=100_000)
    >>> price("gemini/gemini-2.5-flash", usage, at=datetime(2026, 11, 1, tzinfo=UTC)).usd
    Decimal('0.55')
    >>> price("ollama/llama3", usage, at=datetime(2026, 11, 1, tzinfo=UTC)) is None
    True
    """
    listing = _listing(model, provider, environ)
    if listing is None:
        return None
    counter = (provider or _seller(model, listing)).lower()
    counts = of_usage(usage, counter=counter, told=provider is not None, terms=terms)
    return None if counts is None else _calculate(listing, counts, at, tier=terms.tier)


def worst_case(
    model: str,
    sent: Estimate | int,
    max_output_tokens: int,
    at: datetime,
    provider: str | None = None,
    *,
    terms: Terms = STANDARD,
    environ: Mapping[str, str] | None = None,
) -> Decimal | None:
    """Bound what a call can cost before it is sent, in USD, or None where its price is unknown.

    All of the output is taken to come back, in the dearest of what it may be answered in. Input is taken to be billed
    at the dearest of three: each kind at its own rate, all of it as text, and written to the provider's cache, for
    long where that is asked for. Of the tier that is asked for and the standard one the dearer holds, for a provider
    may serve either.

    Args:
        model: As for `price`.
        sent: What is to be sent, counted or estimated; a number is of tokens of text.
        max_output_tokens: The most that may come back, thinking included.
        at: When it will be sent.
        provider: As for `price`.
        terms: What is asked for, see `lmtest.money.terms.asked`.
        environ: As for `price`.

    >>> from datetime import UTC, datetime
    >>> worst_case("anthropic/claude-sonnet-4-5", 1_000, 1_000, datetime(2026, 11, 1, tzinfo=UTC))
    Decimal('0.01875')
    >>> worst_case("gemini/gemini-2.5-flash", Estimate(audio=1_000_000), 0, datetime(2026, 11, 1, tzinfo=UTC))
    Decimal('1.00')
    """
    listing = _listing(model, provider, environ)
    if listing is None:
        return None
    readings = list(_readings(Estimate(text=sent) if isinstance(sent, int) else sent, max_output_tokens, terms))
    wanted = [_calculate(listing, counts, at, tier=terms.tier) for counts in readings]
    if not any(wanted):
        return None
    standard = [_calculate(listing, counts, at) for counts in readings] if terms.tier else []
    return max(each.usd for each in (*wanted, *standard) if each)


def _readings(sent: Estimate, max_output_tokens: int, terms: Terms) -> Iterator[dict[str, int]]:
    """The ways in which a call may be billed."""
    tokens = sent.input_tokens
    kinds = {f"input_{kind}_tokens": getattr(sent, kind) for kind in ("image", "audio", "video") if getattr(sent, kind)}
    written = {"cache_write_tokens": tokens}
    if terms.long:
        written |= {"cache_write_1h_tokens": tokens}
    for answered in ({}, *({f"output_{kind}_tokens": max_output_tokens} for kind in sent.answered_in)):
        for taken in ({}, written, *([kinds] if kinds else ())):
            yield {"input_tokens": tokens, "output_tokens": max_output_tokens, **taken, **answered}


class _Listing(NamedTuple):
    provider: Provider
    model: ModelInfo
    version: str


def make_ready() -> None:
    """Read the public list now; it takes as long as the first price would."""
    from genai_prices.data_snapshot import get_snapshot

    get_snapshot()


def _listing(model: str, provider: str | None, environ: Mapping[str, str] | None) -> _Listing | None:
    if path := (os.environ if environ is None else environ).get(variables.PRICES):
        models, version_ = own_prices(Path(path))
        for name in (model, f"{provider}/{model}"):
            if name in models:
                return _Listing(_own_provider(), models[name], version_)
    return _public(model, provider)


@lru_cache(maxsize=256)
def _public(model: str, provider: str | None) -> _Listing | None:
    from genai_prices.data_snapshot import get_snapshot

    seller, slash, name = model.partition("/")
    if {seller, provider} & _SUBSCRIPTIONS:
        return None
    named = None if provider == LITELLM else provider
    # Under the provider that answered a slash may be part of the model's name; elsewhere the seller stands before it.
    places: list[tuple[str | None, str]] = [(named, model)] if named or not slash else []
    if slash:
        places.append((seller, name))
    for place, wanted in places:
        try:
            found = get_snapshot().find_provider_model(wanted, None, _LISTED_AS.get(place or "", place), None)
        except LookupError:
            continue
        return _Listing(*found, version())
    return None


@cache
def _own_provider() -> Provider:
    from genai_prices.types import Provider

    return Provider(id="own", name="own", api_pattern="")


def _seller(model: str, listing: _Listing) -> str:
    return model.partition("/")[0] if "/" in model else listing.provider.id


def _calculate(listing: _Listing, counts: Counts, at: datetime, *, tier: str = "") -> Price | None:
    from genai_prices.types import Usage as Counted

    model = listing.model
    # An entry without a rate is listed but not priced, except where its name says that it is free.
    if not vars(model.get_prices(at)) and not model.id.endswith(":free"):
        return None
    context = None
    if tier and listing.provider is not _own_provider():
        context = _context(listing, tier, at)
        if context is None:
            return None
    try:
        found = model.calc_price(Counted(**counts), listing.provider, genai_request_timestamp=at, price_context=context)
    except ValueError:  # its word for counts that contradict each other, such as more cached tokens than input
        return None
    return Price(
        usd=found.total_price, input_usd=found.input_price, output_usd=found.output_price, version=listing.version
    )


def _context(listing: _Listing, tier: str, at: datetime) -> dict[str, str] | None:
    """How the list names a tier of a model; None where it has no prices for it: of its own it gives the standard ones.

    It does so too where the seller is another than the model's, and before the day its prices for a tier begin.
    """
    if not any(each is listing.model for each in listing.provider.models):
        return None
    known = [
        each.when
        for each in listing.model.price_variants or ()
        if each.constraint is None or each.constraint.active(at)
    ]
    return next((context for name in _CONTEXTS if (context := {name: tier}) in known), None)


@cache
def version() -> str:
    """The public price list in use.

    >>> version().startswith("genai-prices ")
    True
    """
    from importlib.metadata import version as installed

    return f"genai-prices {installed('genai-prices')}"
