"""What a call is billed by beside its tokens: the service tier, and how long the provider keeps what it cached.

A request asks for them; the answer says what was given. Both stand in a recording, so it can be priced again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmtest.cassette.interaction import Interaction, Json

# Another word for no tier at all, with one provider or another; OpenAI's "auto" is what its project's settings say.
_STANDARD = frozenset({"", "auto", "default", "standard", "standard_only", "on_demand", "unspecified"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """The terms of one call.

    Attributes:
        tier: Such as ``priority`` or ``flex``; "" is the standard one.
        written_for_long: Tokens of those written to the cache that are kept for an hour; None where nobody counted
            them apart.
        long: Whether the request asked to have all of what is cached kept for an hour.
    """

    tier: str = ""
    written_for_long: int | None = None
    long: bool = False


STANDARD = Terms()
"""Where nobody says otherwise."""


def asked(request: Json) -> Terms:
    """The terms that a request asks for, the dearest that it may be billed by.

    Args:
        request: As lm15 serialises it.

    >>> asked({"config": {"service_tier": "priority", "cache": {"retention": "long"}}})
    Terms(tier='priority', written_for_long=None, long=True)
    """
    config = request.get("config") or {}
    extended = config.get("extensions") or {}
    # What has no canonical form stands at the top, as LiteLLM is given it.
    named = request.get("service_tier") or config.get("service_tier")
    tier = named or extended.get("service_tier") or extended.get("serviceTier") or extended.get("speed")
    return Terms(tier=_tier(tier), long=(config.get("cache") or {}).get("retention") == "long")


def billed(interaction: Interaction) -> Terms:
    """The terms that a call was answered by: those that the provider named, else those that were asked for."""
    wanted = asked(interaction.request)
    tier, written = None, None
    for said in interaction.said:
        raw = said.get("provider_data")
        if isinstance(raw, dict):
            tier = next((each for each in _tiers(raw) if isinstance(each, str)), tier)
            written = next(_found(raw, "ephemeral_1h_input_tokens"), written)
    return Terms(
        tier=wanted.tier if tier is None else _tier(tier),
        written_for_long=written if isinstance(written, int) else None,
        long=wanted.long,
    )


def _tiers(raw: Json) -> Iterator[object]:
    """Where providers name the tier: OpenAI and those like it at the top, Gemini in the usage.

    So does Anthropic its fast mode and batches. Its priority has a price that is each customer's own, which nobody
    lists; that is billed as standard.
    """
    said = raw.get("usage")
    if isinstance(said, dict):
        yield "batch" if said.get("service_tier") == "batch" else None
        yield said.get("speed")
    yield raw.get("service_tier")
    response = raw.get("response")
    if isinstance(response, dict):
        yield response.get("service_tier")
    usage = raw.get("usageMetadata")
    if isinstance(usage, dict):
        yield usage.get("serviceTier")


def _found(value: Any, name: str) -> Iterator[Any]:
    """Every value under a name, however deep."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == name and item is not None:
                yield item
            else:
                yield from _found(item, name)


def _tier(said: object) -> str:
    tier = str(said or "").lower().removeprefix("service_tier_")
    return "" if tier in _STANDARD else tier
