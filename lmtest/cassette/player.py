"""Which recorded answer is next for a key, and what is left unplayed."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from lmtest.cassette import blobs
from lmtest.cassette.batches import Batches

if TYPE_CHECKING:
    from lmtest.cassette.index import Entry, Index
    from lmtest.cassette.interaction import Interaction, Json


class Taken(NamedTuple):
    """A recording whose turn it is, not read yet. A tuple, because every played call makes one.

    Attributes:
        file: Its file.
        entry: Its place there.
        text: Its document, as it stands there.
        request: The request that asked for it, in its normal form.
    """

    file: Index
    entry: Entry
    text: str
    request: Json | None

    @property
    def alone(self) -> bool:
        """Whether the document is all there is: it refers to no blob."""
        return "blob:" not in self.text

    def read(self) -> Interaction:
        """Read it, with its media.

        Raises:
            CassetteFormatError: It does not read.
            CassetteTampered: One of its blobs is missing or was altered.
        """
        interaction = self.file.decode(self.entry, self.text, request=self.request)
        return interaction if self.alone else interaction.saying(partial(blobs.attach, directory=self.file.path.parent))


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
        self._batches: Batches | None = None
        for entry in index.entries:
            self._places.setdefault(entry.key, []).append(entry)

    def recorded(self, key: str) -> int:
        """How many outcomes are recorded for a key."""
        return len(self._places.get(key, ()))

    def take(self, key: str, request: Json | None = None) -> Taken | None:
        """Take the next outcome for a key, or None where there is none (left).

        Args:
            key: The key.
            request: The request that has it, in its normal form, where it is at hand.

        Raises:
            CassetteFormatError: The file cannot be read any more, or holds no text there.
        """
        places = self._places.get(key)
        if places is None:
            return None
        with self._lock:
            turn = self._asked.get(key, 0)
            if turn >= len(places) and not self._repeat_last:
                return None
            self._asked[key] = turn + 1
        entry = places[min(turn, len(places) - 1)]
        return Taken(self.index, entry, self.index.text(entry), request)

    def gather(self, key: str, request: Json) -> Interaction | None:
        """Put an embedding together from the batches that hold its texts, however often; None where one is missing.

        Raises:
            CassetteFormatError: What is recorded does not read.
            CassetteTampered: A blob is missing or was altered.
        """
        with self._lock:
            self._batches = self._batches or Batches(self.index)
            gathered = self._batches.gather(key, request)
            if gathered is None:
                return None
            interaction, used = gathered
            for entry in used:
                self._asked[entry.key] = max(1, self._asked.get(entry.key, 0))
        return interaction

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
