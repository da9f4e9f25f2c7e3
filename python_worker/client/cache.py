"""What a client remembers of variables, so that reading one again costs no call."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from python_worker.domain.variable import Variable

MOST = 10_000


class ReadCache:
    """Variables by name, for a time. Threads may share one.

    What is known to be newer is never replaced by what is older: an answer that was under way while this client wrote,
    or while a change was told, comes too late.

    Args:
        ttl: Seconds a value may be served; a change that is told ends it at once.
    """

    def __init__(self, *, ttl: float) -> None:
        self._ttl = ttl
        self._kept: dict[str, tuple[float, Variable]] = {}
        self._newest: dict[str, int] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> Variable | None:
        """The variable, where it is remembered and its time is not up."""
        entry = self._kept.get(name)
        return entry[1] if entry and time.monotonic() < entry[0] else None

    def put(self, variable: Variable) -> None:
        """Remember what was read or written."""
        with self._lock:
            if variable.position < self._newest.get(variable.name, 0):
                return
            if len(self._newest) >= MOST:
                self._kept.clear()
                self._newest.clear()
            self._newest[variable.name] = variable.position
            self._kept[variable.name] = (time.monotonic() + self._ttl, variable)

    def drop(self, name: str, position: int) -> None:
        """Forget what is older than a change at that position."""
        with self._lock:
            if position > self._newest.get(name, 0):
                self._newest[name] = position
                self._kept.pop(name, None)

    def forget(self, name: str) -> None:
        """Forget a variable that may have been changed, nobody knows."""
        with self._lock:
            self._kept.pop(name, None)

    def clear(self) -> None:
        """Forget all values."""
        with self._lock:
            self._kept.clear()
