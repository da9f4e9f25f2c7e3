"""What a worker looks after in its database for as long as it lives."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from python_worker.domain.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from python_worker.store.database import Database
    from python_worker.store.executions import SqlExecutions

_LOG = logging.getLogger(__name__)

_LOOK = 1.0
"""Seconds between looks."""


class Upkeep:
    """Looks whether the database answers, stores endings that it did not take, and ends what only seems to run here.

    Args:
        database: Migrated.
        executions: Of this worker.
    """

    def __init__(self, database: Database, executions: SqlExecutions) -> None:
        self._database = database
        self._executions = executions
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, find: Callable[[str], object | None], *, tell: Callable[[bool], None]) -> None:
        """Look from now on, once a second.

        Args:
            find: The run of that id that is under way in this worker, or None.
            tell: Called with whether the database answers, when that has changed; it is taken to do so at first.
        """
        self._thread = threading.Thread(target=self._run, args=(find, tell), name="upkeep", daemon=True)
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

    def _run(self, find: Callable[[str], object | None], tell: Callable[[bool], None]) -> None:
        answered = True
        while not self._closed.wait(_LOOK):
            trouble = self._look(find)
            if answered is not (trouble is None):
                _LOG.warning("%s", trouble or "the database answers again")
                answered = trouble is None
                tell(answered)

    def _look(self, find: Callable[[str], object | None]) -> Exception | None:
        try:
            self._database.probe()
            self._executions.store_endings()
            self._executions.interrupt_lost(find)
        except Exception as error:  # noqa: BLE001 - the next look may go well, whatever it was
            return error
        return None
