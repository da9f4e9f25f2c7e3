"""What a worker looks after in its database for as long as it lives."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from python_worker.domain.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from python_worker.store.executions import SqlExecutions

_LOG = logging.getLogger(__name__)

_LOOK = 1.0
"""Seconds between looks."""


class Upkeep:
    """Stores endings that the database did not take, and ends what is on record as running here and does not run.

    Args:
        executions: Of this worker.
    """

    def __init__(self, executions: SqlExecutions) -> None:
        self._executions = executions
        self._closed = threading.Event()
        self._answers = True
        self._thread: threading.Thread | None = None

    def start(self, find: Callable[[str], object | None]) -> None:
        """Look from now on, once a second.

        Args:
            find: The run of that id that is under way in this worker, or None.
        """
        self._thread = threading.Thread(target=self._run, args=(find,), name="upkeep", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look once more for endings to store, and no more."""
        self._closed.set()
        if self._thread:
            self._thread.join()
        try:
            self._executions.store_endings()
        except WorkerError as error:
            _LOG.error("endings of executions are lost, which a worker will tell as interrupted: %s", error)

    def _run(self, find: Callable[[str], object | None]) -> None:
        while not self._closed.wait(_LOOK):
            try:
                self._executions.store_endings()
                self._executions.interrupt_lost(find)
            except Exception as error:  # noqa: BLE001 - the next look may go well, whatever it was
                self._tell(error)
            else:
                self._tell(None)

    def _tell(self, error: Exception | None) -> None:
        if error and self._answers:
            _LOG.warning("the database is not looked after: %s", error)
        elif not error and not self._answers:
            _LOG.info("the database answers again")
        self._answers = error is None
