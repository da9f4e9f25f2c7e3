"""The quantities that a call is billed by: tokens of each kind, and searches, as its provider counted them.

Every provider counts in a way of its own: in one body the input holds what was cached, in another it stands beside it.
Here all are brought to one count, in which each total holds its parts, by the names of genai-prices
(``genai_prices.types.Usage``). Its own readers of providers' bodies do most of it. Those are handed what the provider
said, as it stands in the recording; LiteLLM, which turns all bodies into one, has a reader here, and so has what is
counted outside the part of the body that genai-prices looks at.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from lmtest.cassette.interaction import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genai_prices.types import UsageExtractor

    from lmtest.cassette.interaction import Interaction, Json
    from lmtest.money.terms import Terms

Counts = dict[str, int]
"""Quantities by genai-prices' names."""

LITELLM = "litellm"
"""Who counted, where LiteLLM carried the call."""

# Whose output_tokens leave thinking out, by any of their names; dspy.clients.call_result has the same rule.
_THINKING_APART = frozenset({"gemini", "google", "vertex", "vertex-express", "vertex_ai", "xai", "x-ai"})

# What litellm.types.utils.Usage says, and what it means. Its totals hold cached and written tokens, and thinking.
_LITELLM = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "prompt_tokens_details.cached_tokens": "cache_read_tokens",
    "prompt_tokens_details.cache_creation_tokens": "cache_write_tokens",
    "prompt_tokens_details.cache_creation_token_details.ephemeral_5m_input_tokens": "cache_write_5m_tokens",
    "prompt_tokens_details.cache_creation_token_details.ephemeral_1h_input_tokens": "cache_write_1h_tokens",
    "prompt_tokens_details.cached_tokens_details.audio_tokens": "cache_audio_read_tokens",
    "prompt_tokens_details.cached_tokens_details.image_tokens": "cache_image_read_tokens",
    "prompt_tokens_details.audio_tokens": "input_audio_tokens",
    "prompt_tokens_details.image_tokens": "input_image_tokens",
    "prompt_tokens_details.video_tokens": "input_video_tokens",
    "completion_tokens_details.reasoning_tokens": "output_reasoning_tokens",
    "completion_tokens_details.audio_tokens": "output_audio_tokens",
    "completion_tokens_details.image_tokens": "output_image_tokens",
    "completion_tokens_details.video_tokens": "output_video_tokens",
    "server_tool_use.web_search_requests": "web_searches",
    "citation_tokens": "output_citation_tokens",
    "num_search_queries": "web_searches",
}

# Where else in a body in OpenAI's words the cached tokens stand: with DeepSeek, and with Moonshot and Together.
_CACHED = ("prompt_cache_hit_tokens", "cached_tokens")

# Items of an answer in OpenAI's Responses that are billed by the piece, and by which unit.
_TOOL_CALLS = {"web_search_call": "web_searches", "file_search_call": "storage_searches"}

_ITERATION = {
    "input_tokens": ("input_tokens",),
    "output_tokens": ("output_tokens",),
    "cache_read_input_tokens": ("input_tokens", "cache_read_tokens"),
    "cache_creation_input_tokens": ("input_tokens", "cache_write_tokens"),
}

_MODALITIES = ("audio", "image", "video")


def quantities(call: Interaction, *, seller: str, terms: Terms) -> Counts | None:
    """Count what a call is billed by.

    Args:
        call: The call with what its provider said.
        seller: Whose model it is, the first part of its name; where nobody else is named it counted the tokens.
        terms: What it was billed by beside its tokens, see `lmtest.money.terms.billed`.

    Returns:
        The quantities, or None where nobody counted them: not the provider, but at most the client, by a guess.
    """
    usage = call.usage
    if usage == Usage():
        return None
    counter = (call.provider or seller).lower()
    counts = _read(_body(call), counter=counter, seller=seller.lower())
    if counts is None:
        return of_usage(usage, counter=counter, told=call.provider is not None, terms=terms)
    return _kept_for_long(_joined(counts), terms)


def of_usage(usage: Usage, *, counter: str, told: bool, terms: Terms) -> Counts | None:
    """Count what tokens are billed by, where nothing else is known of a call.

    Args:
        usage: The tokens, in lm15's words, which are each provider's own.
        counter: Who counted them.
        told: Whether somebody said who did; else it is the model's seller.
        terms: As for `quantities`.

    Returns:
        The quantities, or None where the input or the output was not counted.
    """
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    total_in, total_out = usage.input_tokens, usage.output_tokens
    read, written, thought = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0, usage.reasoning_tokens or 0
    # Where nobody said who counted, a total that adds up without thinking tokens says that the output holds them.
    if counter in _THINKING_APART and (told or usage.total_tokens != total_in + total_out):
        total_out += thought
    if "anthropic" in counter:
        total_in += read + written
    counts = {
        "input_tokens": total_in,
        "output_tokens": total_out,
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "input_audio_tokens": usage.input_audio_tokens or 0,
        "output_audio_tokens": usage.output_audio_tokens or 0,
        "output_reasoning_tokens": thought,
    }
    if terms.written_for_long is not None:
        counts["cache_write_1h_tokens"] = min(terms.written_for_long, written)
    return _kept_for_long(_joined(counts), terms)


def _body(call: Interaction) -> Json:
    """The provider's usage in its own words; of a stream its last word, over what its first one had counted.

    Anthropic counts the input where a stream starts, and repeats that at its end, or does not.
    """
    bodies: list[Json] = [said["provider_data"] for said in call.said if isinstance(said.get("provider_data"), dict)]
    if not bodies:
        return {}
    first, last = _usage(bodies[0]), _usage(bodies[-1])
    if len(bodies) == 1 or not first:
        return bodies[-1]
    return {**bodies[-1], "usage": first | {name: value for name, value in last.items() if value is not None}}


def _usage(body: Json) -> Json:
    usage = body.get("usage")
    return usage if isinstance(usage, dict) else {}


def _read(body: Json, *, counter: str, seller: str) -> Counts | None:
    """Read a body by the first reader that can; None where none can, as in recordings that hold no body."""
    for reader in _readers(body, counter=counter, seller=seller):
        try:
            _, read = reader.extract(body)
        except ValueError:  # its word for what it does not find
            continue
        counts: Counts = {"input_tokens": 0, "output_tokens": 0, **vars(read)}
        return _added(counts, body, counter=counter, seller=seller)
    return None


def _readers(body: Json, *, counter: str, seller: str) -> Iterator[UsageExtractor]:
    """The readers of a body, which shows by itself in whose words it is; only OpenAI's are spoken by many."""
    usage = _usage(body)
    if "usageMetadata" in body:
        yield from _of("google", "default")
    elif "prompt_tokens" in usage and counter == LITELLM:
        yield _litellm()
    elif "prompt_tokens" in usage:
        yield from _of(counter, "chat", "default")
        yield from _of(seller, "chat", "default")
        yield from _of("openai", "chat")
    elif "output" in body:
        yield from _of(seller, "responses")
        yield from _of("openai", "responses")
    elif "output_tokens" in usage:
        yield from _of("anthropic", "default")


def _of(provider: str, *flavours: str) -> Iterator[UsageExtractor]:
    from genai_prices.data_snapshot import get_snapshot

    try:
        found = get_snapshot().find_provider(None, provider, None).extractors or ()
    except LookupError:
        return
    for flavour in flavours:
        yield from (each for each in found if each.api_flavor == flavour)


@cache
def _litellm() -> UsageExtractor:
    from genai_prices.types import UsageExtractor, UsageExtractorMapping

    mappings = [
        UsageExtractorMapping(path=path.split("."), dest=name, required=False) for path, name in _LITELLM.items()
    ]
    return UsageExtractor(root="usage", mappings=mappings, api_flavor=LITELLM)


def _added(counts: Counts, body: Json, *, counter: str, seller: str) -> Counts:
    """Add what the readers leave out."""
    usage = _usage(body)
    if "prompt_tokens" in usage:
        cached = next((usage[name] for name in _CACHED if isinstance(usage.get(name), int)), 0)
        counts.setdefault("cache_read_tokens", cached)
    if counter == LITELLM and seller == "perplexity":
        # It bills them beside the output, and LiteLLM does not add them to it.
        counts["output_tokens"] += counts.get("output_reasoning_tokens", 0) + counts.get("output_citation_tokens", 0)
    for item in _items(body):
        if unit := _billed_as(item):
            counts[unit] = counts.get(unit, 0) + 1
    if counter != LITELLM:
        for name, tokens in _compactions(usage):
            counts[name] = counts.get(name, 0) + tokens
    return counts


def _items(body: Json) -> list[Any]:
    output = body.get("output")
    return output if isinstance(output, list) else []


def _billed_as(item: Any) -> str | None:
    """The unit that an item of a Responses answer is billed by; opening a page it has found is no search."""
    if not isinstance(item, dict):
        return None
    action = item.get("action")
    searched = not isinstance(action, dict) or action.get("type", "search") == "search"
    return _TOOL_CALLS.get(str(item.get("type"))) if searched else None


def _compactions(usage: Json) -> Iterator[tuple[str, int]]:
    """The tokens that summed up a conversation that had grown too long: Anthropic bills them, its totals lack them."""
    for each in usage.get("iterations") or ():
        if isinstance(each, dict) and each.get("type") == "compaction":
            for said, names in _ITERATION.items():
                for name in names:
                    yield name, each.get(said) or 0


def _joined(counts: Counts) -> Counts:
    """Say how much of the cached input was of each modality, where the provider did not.

    Where it named some, the others had none. Else as little as can be was no text, which is the dearest reading.
    """
    told = any(counts.get(f"cache_{modality}_read_tokens") for modality in (*_MODALITIES, "text"))
    read, total = counts.get("cache_read_tokens", 0), counts["input_tokens"]
    for modality in _MODALITIES:
        of_it = counts.get(f"input_{modality}_tokens", 0)
        counts.setdefault(f"cache_{modality}_read_tokens", 0 if told else max(0, read + of_it - total))
    return counts


def _kept_for_long(counts: Counts, terms: Terms) -> Counts:
    """Take all that was written to the cache as kept for an hour, where that was asked for and nobody counted it."""
    if terms.long:
        counts.setdefault("cache_write_1h_tokens", counts.get("cache_write_tokens", 0))
    return counts
