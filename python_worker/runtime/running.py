"""The executions under way in this worker: found by id, cancelled, waited for."""

from __future__ import annotations

import threading
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_worker.domain.execution import Execution


class Run:
    """One of them.

    Attributes:
        begun: The execution as it began.
        cancelled: Done when nobody wants it any more.
        ended: Done when it is over and stored.
    """

    def __init__(self, begun: Execution, cancelled: Future[None]) -> None:
        self.begun = begun
        self.cancelled = cancelled
        self.ended: Future[None] = Future()

    def cancel(self) -> None:
        """Say that nobody wants it any more; it may be said again."""
        cancel(self.cancelled)


class Running:
    """All of them, by id."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()

    @contextmanager
    def entered(self, begun: Execution, cancelled: Future[None]) -> Iterator[Run]:
        """One that is under way inside."""
        run = Run(begun, cancelled)
        with self._lock:
            self._runs[begun.id] = run
        try:
            yield run
        finally:
            with self._lock:
                del self._runs[begun.id]
            run.ended.set_result(None)

    def find(self, execution_id: str) -> Run | None:
        """The one of that id, if it is under way here."""
        with self._lock:
            return self._runs.get(execution_id)

    def cancel(self, execution_id: str) -> bool:
        """Say that nobody wants it any more; whether it is under way here."""
        run = self.find(execution_id)
        if run:
            run.cancel()
        return run is not None


def cancel(cancelled: Future[None]) -> None:
    """Make it done, whoever did it before."""
    with suppress(InvalidStateError):
        cancelled.set_result(None)
