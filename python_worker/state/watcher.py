"""One watcher's queue, which a slow reader cannot make grow."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from python_worker.domain.errors import WorkerError
    from python_worker.domain.watch import Change

MOST_CHANGES = 4096
MOST_BYTES = 16 * 1024 * 1024
"""Beyond these, a variable's older changes are told together with its newest."""

AT_ONCE = 256
AT_ONCE_BYTES = 1024 * 1024


class Watcher:
    """The changes one stream has yet to tell.

    While the reader keeps up it gets every change. When it does not, what waits of a variable is merged into its newest
    change, which counts them: the queue then holds at most one change of each variable more than its limit.

    Args:
        wanted: Tells whether a variable's name is watched.
    """

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self._wanted = wanted
        self._waiting: OrderedDict[int, Change] = OrderedDict()
        self._newest: dict[str, int] = {}
        self._bytes = 0
        self._serial = 0
        self._known: int | None = None
        self._past = 0
        self._early: list[Change] = []
        self._over = False
        self._error: WorkerError | None = None
        self._news = threading.Condition(threading.Lock())
        self.position = 0
        """Up to where everything was taken."""

    def begin(self, position: int, past: Sequence[Change], *, after: int = 0) -> None:
        """Queue what was before the watching, and from then on only what is beyond that position.

        Args:
            position: Up to which the past is told.
            past: In the order of positions.
            after: Up to which the reader knows already.
        """
        with self._news:
            for change in past:
                self._queue(change)
            self._past = self._serial
            self._known = position
            self.position = after if past else position
            early, self._early = self._early, []
            for change in early:
                if change.position > position:
                    self._queue(change)

    def offer(self, changes: Sequence[Change]) -> None:
        """Queue changes that were committed."""
        wanted = [change for change in changes if self._wanted(change.name)]
        if not wanted:
            return
        with self._news:
            if self._over:
                return
            if self._known is None:
                self._early += wanted
                return
            for change in wanted:
                if change.position > self._known:
                    self._queue(change)
            self._news.notify()

    def end(self, error: WorkerError | None) -> None:
        """Let the reader go, with an error to tell or none; the first end stands."""
        with self._news:
            if not self._over:
                self._over, self._error = True, error
                self._news.notify_all()

    def take(self, timeout: float | None = None) -> list[Change]:
        """Wait for changes and take some, oldest first.

        Args:
            timeout: Seconds to wait at most; None for as long as it takes.

        Returns:
            Nothing where the watching is over, or the time is.

        Raises:
            WorkerError: Why the watching was ended, where it was not by its client.
        """
        with self._news:
            self._news.wait_for(lambda: self._waiting or self._over, timeout)
            if self._error:
                raise self._error
            if self._over:
                return []
            return self._take()

    def _take(self) -> list[Change]:
        taken: list[Change] = []
        size = 0
        while self._waiting and len(taken) < AT_ONCE:
            serial, change = next(iter(self._waiting.items()))
            size += change.size
            if taken and size > AT_ONCE_BYTES:
                break
            taken.append(self._remove(serial))
        if taken:
            # All of the past is told once what is next is beyond it.
            past_is_told = not self._waiting or next(iter(self._waiting)) > self._past
            self.position = max(taken[-1].position, (self._known or 0) if past_is_told else 0)
        return taken

    def _queue(self, change: Change) -> None:
        full = len(self._waiting) >= MOST_CHANGES or self._bytes >= MOST_BYTES
        if full and (serial := self._newest.get(change.variable_id)) is not None:
            change = change.after(self._remove(serial))
        self._serial += 1
        self._waiting[self._serial] = change
        self._newest[change.variable_id] = self._serial
        self._bytes += change.size

    def _remove(self, serial: int) -> Change:
        change = self._waiting.pop(serial)
        if self._newest.get(change.variable_id) == serial:
            del self._newest[change.variable_id]
        self._bytes -= change.size
        return change
