"""When a cassette whose refreshes fail is tried again: after twice as many nights each time.

Until then it costs nothing, and whoever is due beside it has the whole of a night's budget.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from lmtest.cassette.index import Index
from lmtest.cassette.pending import failed_path
from lmtest.errors import CassetteError
from lmtest.refresh.history import BAD

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lmtest.refresh.history import History

MOST: Final = 16
"""Nights that nothing is left alone for longer than."""

_NIGHT: Final = timedelta(days=1)
_EARLY: Final = timedelta(hours=12)  # a job that runs every night does not reach a test at the same minute


@dataclass(frozen=True, kw_only=True, slots=True)
class Failures:
    """The failures in a row of a cassette's refreshes.

    Attributes:
        count: How many.
        last: When the last was.
        reason: What it said, where that is known.
    """

    count: int
    last: datetime
    reason: str = ""

    @property
    def until(self) -> datetime:
        """When it is tried again.

        >>> from datetime import UTC
        >>> [str(Failures(count=n, last=datetime(2026, 12, 1, 3, tzinfo=UTC)).until) for n in (1, 2, 3)]
        ['2026-12-01 15:00:00+00:00', '2026-12-02 15:00:00+00:00', '2026-12-04 15:00:00+00:00']
        """
        nights: int = min(2 ** min(self.count - 1, MOST), MOST)
        return self.last + nights * _NIGHT - _EARLY


def failures_of(
    path: Path, names: Iterable[str], history: History, *, recorded_at: str, to: str | None = None
) -> Failures | None:
    """Look up how often in a row a cassette's refresh failed; None where the last did not, or it was recorded since.

    Args:
        path: The cassette.
        names: What its refresh is told under: its tests, or itself.
        history: How refreshes have fared.
        recorded_at: When its newest call was recorded.
        to: The model of the rehearsals that are meant.
    """
    names = tuple(names)
    found = [found for name in names if (found := _of_history(name, history, to))]
    if not found and not any(history.found_nobody(name, to=to) for name in names):
        found = _of_file(path)
    # Only what is later says something of the recording that is there.
    found = [each for each in found if not recorded_at or each.last >= datetime.fromisoformat(recorded_at)]
    if not found:
        return None
    latest = max(found, key=lambda each: each.last)
    return replace(latest, count=max(each.count for each in found))


def _of_history(name: str, history: History, to: str | None) -> Failures | None:
    count = history.failures_in_a_row(name, to=to)
    if not count:
        return None
    last = [each for each in history.of(name, to=to) if each.outcome in BAD][-1]
    return Failures(count=count, last=datetime.fromisoformat(last.at), reason=last.reason)


def _of_file(path: Path) -> list[Failures]:
    """What failed and is in no history: a program caught the error and its test passed, or the history is elsewhere."""
    try:
        return [Failures(count=1, last=datetime.fromisoformat(Index(failed_path(path)).header.recorded_at))]
    except (CassetteError, ValueError):
        return []
