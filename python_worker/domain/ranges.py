"""Ranges of numbers, as JSON Schema's keywords bound them."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def leaves_number(keywords: Mapping[str, Any], *, whole: bool) -> bool:
    """Whether any number is within the bounds, in decimal arithmetic.

    Args:
        keywords: ``minimum``, ``exclusiveMaximum``, ``multipleOf`` and the like; others are nothing to it.
        whole: Whether only integers count.

    >>> leaves_number({"minimum": 1.2, "maximum": 1.8}, whole=False)
    True
    >>> leaves_number({"minimum": 1.2, "maximum": 1.8}, whole=True)
    False
    """
    limits = {name: Fraction(str(limit)) for name, limit in keywords.items() if name in _LIMITS}
    step = limits.get("multipleOf", Fraction(1)) if whole or "multipleOf" in limits else None
    if step is None:
        return _any_real(limits)
    if whole:
        step = Fraction(step.numerator)  # the whole multiples of a/b in lowest terms are those of a
    firsts = [math.ceil(limits["minimum"] / step)] if "minimum" in limits else []
    firsts += [math.floor(limits["exclusiveMinimum"] / step) + 1] if "exclusiveMinimum" in limits else []
    lasts = [math.floor(limits["maximum"] / step)] if "maximum" in limits else []
    lasts += [math.ceil(limits["exclusiveMaximum"] / step) - 1] if "exclusiveMaximum" in limits else []
    return not firsts or not lasts or max(firsts) <= min(lasts)


def _any_real(limits: Mapping[str, Fraction]) -> bool:
    least, above = limits.get("minimum"), limits.get("exclusiveMinimum")
    most, below = limits.get("maximum"), limits.get("exclusiveMaximum")
    pairs = [(least, most, False), (least, below, True), (above, most, True), (above, below, True)]
    return not any(
        low is not None and high is not None and (low > high or (strict and low == high)) for low, high, strict in pairs
    )


_LIMITS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
