"""One row of the ledger: a call with what it cost or would have cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, Literal, Self

import orjson

from lmtest.cassette.interaction import STAND_IN, Usage

Hit = Literal["live", "cassette", "mock"]
"""The source of an answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerRow:
    """One call.

    Attributes:
        time: When it was sent, with its time zone.
        model: As DSPy names it.
        mode: The mode's name.
        hit: Where the answer came from.
        cost: USD it cost: 0 where nothing was charged, None where the price is unknown.
        would_cost: USD that a call would have cost live that was replayed, or that a stand-in answered; None where that
            is unknown, and of all others.
        dspy_cost: USD by DSPy's own estimate, where it has one.
        outcome: ``ok``, ``estimated`` where it was answered and nobody counted its tokens, ``unsettled`` where nobody
            came to say, or the error's code.
        usage: Its tokens.
        run: The run's id.
        test: The test's id.
        cassette: The cassette's path, relative to the project.
        execution: The worker's execution.
        provider: Who answered.
        price_version: The price list, such as ``genai-prices 0.2.3``.
        key: The request's fingerprint.
        latency: Seconds.
    """

    time: datetime
    model: str
    mode: str
    hit: Hit
    cost: Decimal | None
    would_cost: Decimal | None = None
    dspy_cost: Decimal | None = None
    outcome: str = "ok"
    usage: Usage = field(default_factory=Usage)
    run: str | None = None
    test: str | None = None
    cassette: str | None = None
    execution: str | None = None
    provider: str | None = None
    price_version: str | None = None
    key: str | None = None
    latency: float | None = None

    @property
    def held(self) -> Decimal | None:
        """USD that budgets count: of a stand-in's answer the list price, so that a rehearsal goes as it would live."""
        return self.would_cost if self.provider == STAND_IN else self.cost

    def to_json(self, *, time: datetime | None = None) -> str:
        """Give it as JSON, of another time if one is given; what is None is left out.

        >>> from datetime import UTC
        >>> time = datetime(2026, 11, 20, tzinfo=UTC)
        >>> row = LedgerRow(time=time, model="openai/gpt-5", mode="live", hit="live", cost=Decimal("0.1"))
        >>> LedgerRow.from_json(row.to_json()) == row
        True
        """
        said = {name: value for name, value in zip(_NAMES, _values_of(self), strict=True) if value is not None}
        counted = zip(Usage.__slots__, _counts_of(self.usage), strict=True)
        said["usage"] = {name: count for name, count in counted if count is not None}
        if time is not None:
            said["time"] = time
        return orjson.dumps(said, default=str).decode()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` gave.

        Raises:
            ValueError: It is no such text.
        """
        try:
            said: dict[str, Any] = orjson.loads(text)
            amounts: dict[str, Any] = {
                name: Decimal(said[name]) for name in ("cost", "would_cost", "dspy_cost") if name in said
            }
            said |= {"time": datetime.fromisoformat(said["time"]), "usage": Usage.from_mapping(said["usage"])}
            return cls(**{"cost": None, **said, **amounts})
        except (ArithmeticError, KeyError, TypeError) as error:
            raise ValueError(f"no row of a ledger: {error!r}") from error


_NAMES = LedgerRow.__slots__
_values_of, _counts_of = attrgetter(*_NAMES), attrgetter(*Usage.__slots__)
