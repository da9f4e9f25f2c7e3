"""What a run's cassettes did, all of its tests together."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lmtest.pytest_plugin.leftovers import Leftovers
    from lmtest.pytest_plugin.tally import File, Tally

SLOWEST: Final = 3
"""How many of the slowest tests are named."""

SLOW: Final = 1.0
"""Seconds from which on a test is slow."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run.

    Attributes:
        tallies: Its tests.
        leftovers: What none of them uses.
        pruned: What was done about that.
    """

    tallies: tuple[Tally, ...]
    leftovers: Leftovers
    pruned: tuple[str, ...] = ()

    def count(self, name: str) -> int:
        """Sum up one of a tally's counts."""
        return sum(len(value) if isinstance(value := getattr(each, name), tuple) else value for each in self.tallies)

    def usd(self, name: str) -> Decimal:
        """Sum up one of a tally's amounts."""
        return sum((getattr(each, name) for each in self.tallies), Decimal(0))

    @property
    def modes(self) -> str:
        """The modes of its tests."""
        return ", ".join(sorted({each.mode for each in self.tallies}))

    @property
    def is_live(self) -> bool:
        """Whether any test called a provider, or was refused to."""
        live = (each for each in self.tallies if each.mode not in {"mock", "replay"})
        return any(each.calls > each.played or each.refused for each in live)

    @property
    def files(self) -> int:
        """How many cassettes were played or recorded."""
        return len({file.path for each in self.tallies if each.played or each.recorded for file in each.files})

    @property
    def seconds(self) -> float:
        """Seconds that the played calls took when they were recorded."""
        return sum(each.seconds for each in self.tallies if each.played)

    @property
    def slowest(self) -> list[Tally]:
        """The tests whose calls took longest, or had when they were recorded."""
        slow = sorted(self.tallies, key=lambda each: each.seconds, reverse=True)
        return [each for each in slow[:SLOWEST] if each.seconds >= SLOW]

    @property
    def stale(self) -> list[File]:
        """The cassettes that are older than they may be, each once."""
        return list({file.path: file for each in self.tallies for file in each.files if file.stale}.values())

    @property
    def idle(self) -> bool:
        """Whether there is nothing to tell."""
        happened = any(self.count(name) for name in ("asked", "bare", "doubts"))
        return not (happened or self.stale or self.leftovers or self.pruned)
