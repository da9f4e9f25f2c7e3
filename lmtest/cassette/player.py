"""Which recorded answer is next for a key, and what is left unplayed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmtest.cassette.index import Entry, Index
    from lmtest.cassette.interaction import Interaction


class Player:
    """Plays one file: the k-th asking of a request gets its k-th recorded outcome.

    Safe to use from several threads.

    Args:
        index: The file.
        repeat_last: Whether asking beyond the last recording gets the last one again.
    """

    def __init__(self, index: Index, *, repeat_last: bool = False) -> None:
        self.index = index
        self._repeat_last = repeat_last
        self._lock = threading.Lock()
        self._places: dict[str, list[Entry]] = {}
        self._asked: dict[str, int] = {}
        for entry in index.entries:
            self._places.setdefault(entry.key, []).append(entry)

    def recorded(self, key: str) -> int:
        """How many outcomes are recorded for a key."""
        return len(self._places.get(key, ()))

    def play(self, key: str) -> Interaction | None:
        """Give the next outcome for a key, or None where there is none (left).

        Raises:
            CassetteFormatError: The recording does not read.
        """
        places = self._places.get(key)
        if places is None:
            return None
        with self._lock:
            turn = self._asked.get(key, 0)
            if turn >= len(places) and not self._repeat_last:
                return None
            self._asked[key] = turn + 1
        return self.index.read(places[min(turn, len(places) - 1)])

    @property
    def unplayed(self) -> tuple[Entry, ...]:
        """The recordings nobody asked for, in the file's order."""
        with self._lock:
            turns = dict(self._asked)
        left = []
        for entry in self.index.entries:
            if turns.get(entry.key, 0) > 0:
                turns[entry.key] -= 1
            else:
                left.append(entry)
        return tuple(left)
