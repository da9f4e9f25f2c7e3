"""What a cassette did, in numbers and words that cross from one process to another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lmtest.cassette.interaction import STAND_IN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lmtest.cassette.cassette import Call, Cassette


@dataclass(frozen=True, kw_only=True, slots=True)
class CassetteReport:
    """What one opening of a cassette did.

    Attributes:
        mode: How calls were answered.
        calls: Answered calls.
        played: Those from the cassette.
        recorded: Recordings that were made.
        missed: The texts of its misses.
        refused: The texts of what limits refused it.
        doubts: Why what was recorded may replay otherwise than it went.
        spent: USD.
        stand_in: USD at list price of the calls that a stand-in answered.
        saved: USD that the played calls would have cost.
        unpriced: Calls of unknown price.
        seconds: Seconds its calls took; of played ones, when they were recorded.
        unplayed: Where those of its recordings begin that nobody asked for.
    """

    mode: str
    calls: int = 0
    played: int = 0
    recorded: int = 0
    missed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    spent: Decimal = Decimal(0)
    stand_in: Decimal = Decimal(0)
    saved: Decimal = Decimal(0)
    unpriced: int = 0
    seconds: float = 0.0
    unplayed: tuple[int, ...] = ()

    @classmethod
    def of(cls, cassette: Cassette) -> CassetteReport:
        """Sum a cassette up."""
        return cls(
            mode=cassette.mode.value,
            recorded=len(cassette.recorded),
            missed=tuple(map(str, cassette.missed)),
            refused=tuple(map(str, cassette.refused)),
            doubts=cassette.doubts,
            unplayed=tuple(entry.start for entry in cassette.unplayed),
            **sums(cassette.calls),
        )

    def since(self, before: CassetteReport, cassette: Cassette) -> CassetteReport:
        """Leave out what an earlier report of the same cassette told."""
        if not before.calls and not before.missed and not before.refused:
            return self
        lists = {name: getattr(self, name)[len(getattr(before, name)) :] for name in ("missed", "refused", "doubts")}
        recorded = self.recorded - before.recorded
        return replace(self, recorded=recorded, **lists, **sums(cassette.calls[before.calls :]))


def sums(calls: Sequence[Call]) -> dict[str, Any]:
    """Add calls up, by the names of :class:`CassetteReport`."""
    played = [call for call in calls if call.hit == "cassette"]
    return {
        "calls": len(calls),
        "played": len(played),
        "spent": _sum(call.spent for call in calls),
        "stand_in": _sum(call.worth for call in calls if call.provider == STAND_IN),
        "saved": _sum(call.worth for call in played),
        "unpriced": sum((call.worth if call.hit == "cassette" else call.spent) is None for call in calls),
        "seconds": round(sum(call.latency or 0 for call in calls), 4),
    }


def _sum(amounts: Iterable[Decimal | None]) -> Decimal:
    return sum((amount for amount in amounts if amount is not None), Decimal(0))
