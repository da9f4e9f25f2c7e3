"""What a refresh recorded for a cassette, and nobody accepted yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmtest.cassette.index import Index
from lmtest.errors import CassetteError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lmtest.cassette.interaction import Interaction


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """What waits, which may be a part of what is to be recorded.

    Attributes:
        calls: What was recorded.
        recorded_at: When the oldest of it was, ISO 8601.
    """

    calls: tuple[Interaction, ...]
    recorded_at: str

    @property
    def models(self) -> frozenset[str]:
        """Who answered."""
        return frozenset(call.model for call in self.calls if not call.tool)


def waiting_for(calls: Sequence[Interaction], fresh: Path) -> Waiting | None:
    """Read what a refresh recorded for a cassette; None where none did, or the cassette was recorded again since.

    Args:
        calls: What the cassette holds.
        fresh: The file beside it.
    """
    if not fresh.exists():
        return None
    try:
        index = Index(fresh)
        anew = tuple(index.read(entry) for entry in index.entries)
    except CassetteError:  # it is recorded once more, and so mended
        return None
    newest = max((call.recorded_at or "" for call in calls), default="")
    if index.header.recorded_at < newest:
        return None
    oldest = min((call.recorded_at for call in anew if call.recorded_at), default=index.header.recorded_at)
    return Waiting(calls=anew, recorded_at=oldest)
