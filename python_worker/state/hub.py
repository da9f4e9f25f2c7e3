"""The hub: hands every committed change to the watchers it concerns."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.session import no_session
from python_worker.domain.variable import matcher
from python_worker.domain.watch import initial
from python_worker.state.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_worker.domain.repositories import Feed, Variables
    from python_worker.domain.watch import Change


class Hub:
    """Watchers by session. A watcher that is slow holds up nobody: see ``Watcher``.

    Args:
        feed: Tells the changes.
        variables: Where what was before a watching began is read.
        most: How many watchers there may be.
    """

    def __init__(self, feed: Feed, *, variables: Variables, most: int) -> None:
        self._feed = feed
        self._variables = variables
        self._most = most
        self._watchers: dict[str, tuple[Watcher, ...]] = {}
        self._count = 0
        self._closed = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to listen."""
        self._feed.start(self)

    def close(self) -> None:
        """End every watching, and take no more."""
        with self._lock:
            self._closed = True
        self._end_all(_stopping())
        self._feed.close()

    def count(self, session_id: str) -> int:
        """How many watch a session."""
        return len(self._watchers.get(session_id, ()))

    def watch(self, session_id: str, patterns: Sequence[str], *, include_initial: bool, after: int | None) -> Watcher:
        """Begin to watch; the caller must ``leave``.

        Args:
            session_id: Whose variables.
            patterns: Names, or patterns with ``*`` and ``?``; all when empty.
            include_initial: Whether the current values come first.
            after: The position from which on changes come first that were made before; None for none.

        Raises:
            WorkerError: ``not_found``; ``limit``: too many watchers; ``unavailable``: the worker is stopping.
        """
        wanted = matcher(patterns)
        watcher = Watcher(wanted)
        self._join(session_id, watcher)
        try:
            # After joining: what is committed meanwhile is in the queue, and is left out there where it is known.
            position, past = self._past(session_id, include_initial=include_initial, after=after)
            watcher.begin(position, [change for change in past if wanted(change.name)], after=after or 0)
        except BaseException:
            self.leave(session_id, watcher)
            raise
        return watcher

    def leave(self, session_id: str, watcher: Watcher) -> None:
        """End a watching; doing so twice is no mistake."""
        watcher.end(None)
        with self._lock:
            before = self._watchers.get(session_id, ())
            left = tuple(each for each in before if each is not watcher)
            self._count -= len(before) - len(left)
            if left:
                self._watchers[session_id] = left
            else:
                self._watchers.pop(session_id, None)

    def is_watched(self, session_id: str) -> bool:
        """Whether anybody watches a session."""
        return session_id in self._watchers

    def tell(self, changes: Sequence[Change]) -> None:
        """Hand committed changes of one session to its watchers."""
        for watcher in self._watchers.get(changes[0].session, ()):
            watcher.offer(changes)

    def end(self, session_id: str) -> None:
        """End the watchings of a session that was taken away."""
        for watcher in self._watchers.get(session_id, ()):
            watcher.end(no_session(session_id))

    def lose(self) -> None:
        """End every watching, because changes may have been missed."""
        self._end_all(
            WorkerError(
                "changes may have been missed while the database was away: watch again from the last position.",
                reason=Reason.UNAVAILABLE,
                retryable=True,
            )
        )

    def _join(self, session_id: str, watcher: Watcher) -> None:
        with self._lock:
            if self._closed:
                raise _stopping()
            if self._count >= self._most:
                raise WorkerError(
                    f"{self._count} watchers are on this worker, and it takes {self._most} (--max-watchers): end one, "
                    "or watch several patterns with one.",
                    reason=Reason.LIMIT,
                )
            self._watchers[session_id] = (*self._watchers.get(session_id, ()), watcher)
            self._count += 1

    def _past(self, session_id: str, *, include_initial: bool, after: int | None) -> tuple[int, Sequence[Change]]:
        if after is not None:
            return self._variables.changes(session_id, after=after)
        position, variables = self._variables.snapshot(session_id)
        return position, [initial(variable) for variable in variables] if include_initial else []

    def _end_all(self, error: WorkerError) -> None:
        with self._lock:
            everyone = [watcher for watchers in self._watchers.values() for watcher in watchers]
        for watcher in everyone:
            watcher.end(error)


def _stopping() -> WorkerError:
    return WorkerError(
        "the worker is shutting down: watch again from the last position.", reason=Reason.UNAVAILABLE, retryable=True
    )
