"""Who may wait for a program to run: each that waits holds a thread, and there must be some for everything else."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from python_worker.domain.errors import Reason, WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Admission:
    """Lets executions in, up to a number that run and a number that wait.

    Args:
        threads: How many run at once.
        most_waiting: How many more may be under way.
    """

    def __init__(self, *, threads: int, most_waiting: int) -> None:
        self._threads = threads
        self._most_waiting = most_waiting
        self._under_way = 0
        self._lock = threading.Lock()

    @contextmanager
    def entered(self, executions: int = 1) -> Iterator[None]:
        """That many are under way inside.

        Args:
            executions: No more than run at once.

        Raises:
            WorkerError: ``limit``, retryable: too many are under way for them to wait.
        """
        with self._lock:
            if self._under_way + executions > self._threads + self._most_waiting:
                raise self._full(executions)
            self._under_way += executions
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= executions

    def _full(self, executions: int) -> WorkerError:
        waiting = max(0, self._under_way - self._threads)
        batch = f", and this batch runs {executions} at once" if executions > 1 else ""
        return WorkerError(
            f"the worker is full: {self._under_way - waiting} executions under way, {waiting} waiting of at most "
            f"{self._most_waiting}{batch}. Try again later; --max-waiting of the worker lets more wait, --threads lets "
            "more run.",
            reason=Reason.LIMIT,
            retryable=True,
        )
