"""How many tokens a request has, estimated before it is sent."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lmtest.cassette.interaction import Json

BYTES_PER_TOKEN: Final = 3
"""For the estimate before a call: English has about four bytes a token, code and other languages fewer."""

TOKENS_PER_MEDIUM: Final = 2_000
"""For the estimate before a call: more than providers count for one image or a page of a document."""

_MEDIA: Final = frozenset({"image", "audio", "video", "document", "binary"})


def received_tokens(events: Iterable[Json]) -> int:
    """Estimate the output tokens of what was received of an answer, rather too many than too few.

    Args:
        events: Of a stream, as lm15 serialises them.

    >>> received_tokens([{"type": "delta", "delta": {"type": "text", "text": "Paris, the capital"}}])
    6
    """
    deltas = (event.get("delta") or {} for event in events)
    texts = (delta.get("text") or delta.get("input") or "" for delta in deltas)
    return math.ceil(sum(_measure(text)[0] for text in texts) / BYTES_PER_TOKEN)


def estimated_tokens(request: Json, model: str) -> int:  # noqa: ARG001 - each family will have rules of its own
    """Estimate a request's input tokens from its length, rather too many than too few.

    >>> estimated_tokens({"system": "Be brief.", "messages": []}, "gemini/gemini-2.5-flash")
    8
    """
    length, media = _measure(request)
    return math.ceil(length / BYTES_PER_TOKEN) + media * TOKENS_PER_MEDIUM


def _measure(value: Any) -> tuple[int, int]:
    """Bytes of text, and how many media."""
    if isinstance(value, str):
        return len(value.encode()), 0
    if isinstance(value, dict):
        if isinstance(kind := value.get("type"), str) and kind in _MEDIA:  # a schema may have a field of that name
            return 0, 1
        # Names of fields cost tokens too where they are part of a schema.
        parts = [_measure(item) for item in value.values()]
        return sum(p[0] for p in parts) + sum(map(len, value)), sum(p[1] for p in parts)
    if isinstance(value, list):
        parts = [_measure(item) for item in value]
        return sum(p[0] for p in parts), sum(p[1] for p in parts)
    return 2, 0
