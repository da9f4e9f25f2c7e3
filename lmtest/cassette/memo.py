"""What was worked out before, in this process, and is asked for again."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

_K = TypeVar("_K")
_V = TypeVar("_V")


class Memo(Generic[_K, _V]):
    """Keeps what a pure function gave, until it is too much: what came first goes first.

    Safe to use from several threads. Whoever asks it must put the whole of what the value depends on into the key.

    Args:
        most: How much it may hold, by the weights that :meth:`put` is given.

    >>> memo = Memo(most=10)
    >>> memo.put("a", 1, weight=6)
    >>> memo.put("b", 2, weight=6)
    >>> memo.get("a"), memo.get("b")
    (None, 2)
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._kept: dict[_K, tuple[_V, int]] = {}
        self._lock = threading.Lock()

    def get(self, key: _K) -> _V | None:
        """Give what was kept for a key, or None."""
        found = self._kept.get(key)
        return None if found is None else found[0]

    def put(self, key: _K, value: _V, *, weight: int) -> None:
        """Keep a value, unless it alone is too much."""
        with self._lock:
            if weight > self._most or key in self._kept:
                return
            self._kept[key] = value, weight
            self._held += weight
            while self._held > self._most:
                self._held -= self._kept.pop(next(iter(self._kept)))[1]
