"""Amounts as databases keep them: whole picodollars, 10**-12 USD.

They hold every listed price of a single token, sum exactly, and fit 64 bits up to 9.2 million USD.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import overload

_PICO = Decimal(10**12)


@overload
def to_pico(usd: Decimal) -> int: ...
@overload
def to_pico(usd: None) -> None: ...
def to_pico(usd: Decimal | None) -> int | None:
    """USD as picodollars, rounded half to even; None stays None.

    >>> to_pico(Decimal("0.0000003"))
    300000
    """
    return None if usd is None else int((usd * _PICO).to_integral_value(ROUND_HALF_EVEN))


@overload
def to_usd(pico: int) -> Decimal: ...
@overload
def to_usd(pico: None) -> None: ...
def to_usd(pico: int | None) -> Decimal | None:
    """Picodollars as USD; None stays None.

    >>> to_usd(1_250_000_000_000)
    Decimal('1.25')
    """
    return None if pico is None else (Decimal(pico) / _PICO).normalize() + 0
