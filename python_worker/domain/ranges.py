"""Ranges of numbers, as JSON Schema's keywords bound them."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def how_many(keywords: Mapping[str, Any], *, whole: bool) -> int | None:
    """How many numbers are within the bounds, in decimal arithmetic; None where there is no end of them.

    Args:
        keywords: ``minimum``, ``exclusiveMaximum``, ``multipleOf`` and the like; others are nothing to it.
        whole: Whether only integers count.

    >>> how_many({"minimum": 1.2, "maximum": 1.8}, whole=False) is None
    True
    >>> how_many({"minimum": 1.2, "maximum": 1.8}, whole=True)
    0
    >>> how_many({"minimum": 0, "maximum": 1, "multipleOf": 0.5}, whole=False)
    3
    """
    limits = _limits(keywords)
    step = limits.get("multipleOf", Fraction(1)) if whole or "multipleOf" in limits else None
    if step is None:
        return _reals(limits)
    # The whole multiples of a/b in lowest terms are those of a.
    first, last = _ends(limits, Fraction(step.numerator) if whole else step)
    return None if first is None or last is None else max(0, last - first + 1)


def multiples(keywords: Mapping[str, Any], step: Fraction) -> range:
    """How many times a step the numbers within the bounds are, which there must be on both sides.

    >>> [float(each * Fraction("0.1")) for each in multiples({"minimum": 0, "exclusiveMaximum": 0.4}, Fraction("0.1"))]
    [0.0, 0.1, 0.2, 0.3]
    """
    first, last = _ends(_limits(keywords), step)
    assert first is not None, "whoever asks has counted them"
    assert last is not None, "likewise"
    return range(first, last + 1)


def _limits(keywords: Mapping[str, Any]) -> dict[str, Fraction]:
    return {name: Fraction(str(limit)) for name, limit in keywords.items() if name in _LIMITS}


def _ends(limits: Mapping[str, Fraction], step: Fraction) -> tuple[int | None, int | None]:
    firsts = [math.ceil(limits["minimum"] / step)] if "minimum" in limits else []
    firsts += [math.floor(limits["exclusiveMinimum"] / step) + 1] if "exclusiveMinimum" in limits else []
    lasts = [math.floor(limits["maximum"] / step)] if "maximum" in limits else []
    lasts += [math.ceil(limits["exclusiveMaximum"] / step) - 1] if "exclusiveMaximum" in limits else []
    return max(firsts, default=None), min(lasts, default=None)


def _reals(limits: Mapping[str, Fraction]) -> int | None:
    least, above = limits.get("minimum"), limits.get("exclusiveMinimum")
    most, below = limits.get("maximum"), limits.get("exclusiveMaximum")
    pairs = [(least, most, False), (least, below, True), (above, most, True), (above, below, True)]
    both = [(low, high, strict) for low, high, strict in pairs if low is not None and high is not None]
    if any(low > high or (strict and low == high) for low, high, strict in both):
        return 0
    return 1 if least is not None and least == most else None


_LIMITS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
