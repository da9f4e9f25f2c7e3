"""Who is there: each worker holds a lock for as long as it lives, which no crash can leave behind.

What a worker that is gone left running is marked as interrupted, by the next that starts alone on a SQLite file, or by
any other on a PostgreSQL.
"""

from __future__ import annotations

import glob
import logging
import sqlite3
import threading
import uuid
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import sqlalchemy as sa

from python_worker.domain.errors import WorkerError
from python_worker.store.inbox import Inbox, tell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from python_worker.store.database import Database
    from python_worker.store.executions import SqlExecutions

    Connection = psycopg.Connection[tuple[object, ...]]

_LOG = logging.getLogger(__name__)

_SWEEP = 10.0
"""Seconds between looks for workers that are gone."""

_RETRY = 1.0
"""Seconds before another try to be heard."""

_LOCK = 7_115_104
"""Seeds the locks of workers; any number that no other user of the database takes."""


def new_owner() -> str:
    """The name of a worker among those of a database."""
    return f"worker_{uuid.uuid4().hex}"


class LocalPresence:
    """Workers on one SQLite file: each keeps a read transaction open on a file beside it, and has a pipe there.

    Args:
        executions: Of this worker.
        path: The database's file, or None for one in memory.
    """

    def __init__(self, executions: SqlExecutions, path: Path | None) -> None:
        self._executions = executions
        self._path = path
        self._lock: sqlite3.Connection | None = None
        self._inbox: Inbox | None = None

    @property
    def owner(self) -> str:
        """What this worker's executions carry."""
        return self._executions.owner

    def start(self, cancel: Callable[[str], bool]) -> None:
        """Be there from now on; where nobody else is, what is left running is nobody's."""
        if self._path is None:
            return
        lock = sqlite3.connect(f"{self._path}.alive", timeout=0.0, isolation_level=None, check_same_thread=False)
        self._lock = lock  # closed with the worker, whatever fails from here on
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            _LOG.info("another worker is on %s: what runs there is left alone", self._path)
        else:
            for owner in self._executions.owners_of_running():
                self._executions.interrupt(owner)
            for left in self._path.parent.glob(f"{glob.escape(self._path.name)}.worker_*.pipe"):
                left.unlink()
            lock.execute("COMMIT")
        # A read transaction: any number of workers may have one, and no exclusive one begins beside it.
        lock.execute("PRAGMA busy_timeout = 30000")
        lock.execute("BEGIN")
        lock.execute("SELECT count(*) FROM sqlite_master").fetchone()
        try:
            self._inbox = Inbox(_pipe(self._path, self.owner), cancel)
        except OSError as error:
            _LOG.warning("other workers on %s cannot cancel what runs here: %s", self._path, error)

    def ask_to_cancel(self, execution_id: str) -> bool:
        """Tell the worker that runs it, by its pipe."""
        owner = self._executions.owner_of(execution_id)
        if owner == self.owner:  # and yet not under way: its upkeep ends it
            return True
        return self._path is not None and tell(_pipe(self._path, owner), execution_id)

    def close(self) -> None:
        """Be there no more."""
        if self._inbox:
            self._inbox.close()
            self._inbox = None
        if self._lock:
            self._lock.close()
            self._lock = None


def _pipe(path: Path, owner: str) -> Path:
    return path.with_name(f"{path.name}.{owner}.pipe")


class PostgresPresence:
    """Workers on one PostgreSQL: each holds an advisory lock on a connection of its own, and listens on it.

    Args:
        executions: Of this worker.
        database: On PostgreSQL, migrated.
    """

    def __init__(self, executions: SqlExecutions, database: Database) -> None:
        self._executions = executions
        self._database = database
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        with database.read() as connection:
            schema = connection.scalar(sa.select(sa.func.current_schema()))
        self._channel = f"python_worker_runs_{schema}"[:63]

    @property
    def owner(self) -> str:
        """What this worker's executions carry."""
        return self._executions.owner

    def start(self, cancel: Callable[[str], bool]) -> None:
        """Be there from now on, and mark what workers that are gone left running."""
        connection = self._appear()
        try:
            self._sweep(connection)
        except BaseException:
            connection.close()
            raise
        self._thread = threading.Thread(target=self._run, args=(connection, cancel), name="presence", daemon=True)
        self._thread.start()

    def ask_to_cancel(self, execution_id: str) -> bool:
        """Tell all workers: the one that runs it hears it."""
        with self._database.write() as connection:
            connection.execute(sa.select(sa.func.pg_notify(self._channel, execution_id)))
        return True

    def close(self) -> None:
        """Be there no more."""
        self._closed.set()
        if self._thread:
            try:
                with closing(self._database.listening_connection()) as connection:
                    connection.execute("SELECT pg_notify(%s, '')", (self._channel,))
            except psycopg.Error as error:  # then the thread has found out too, and is awake
                _LOG.warning("PostgreSQL went away before the worker ended: %s", error)
            self._thread.join()

    def _run(self, connection: Connection | None, cancel: Callable[[str], bool]) -> None:
        while connection is not None:
            try:
                with connection:
                    while not self._closed.is_set():
                        heard = list(connection.notifies(timeout=_SWEEP, stop_after=1))
                        for notify in heard:
                            cancel(notify.payload)
                        if not heard:
                            self._sweep(connection)
            except (psycopg.Error, WorkerError) as error:
                _LOG.warning("PostgreSQL is not heard any more: %s", error)
                connection = self._appear_again()
            else:
                return

    def _appear(self) -> Connection:
        return self._database.listening_connection(self._be_there)

    def _be_there(self, connection: Connection) -> None:
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, %s))", (self.owner, _LOCK))
        connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(self._channel)))

    def _appear_again(self) -> Connection | None:
        while not self._closed.wait(_RETRY):
            try:
                return self._appear()
            except psycopg.Error as error:
                _LOG.warning("PostgreSQL is still not heard: %s", error)
        return None

    def _sweep(self, connection: Connection) -> None:
        for owner in self._executions.owners_of_running():
            if owner != self.owner and self._is_gone(connection, owner):
                self._executions.interrupt(owner)

    def _is_gone(self, connection: Connection, owner: str) -> bool:
        # Whoever gets its lock, if only for this one statement, knows that nobody holds it.
        query = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, %s))"
        row = connection.execute(query, (owner, _LOCK)).fetchone()
        return row is not None and bool(row[0])


def presence_on(database: Database, executions: SqlExecutions) -> LocalPresence | PostgresPresence:
    """The presence that fits a database."""
    if database.is_postgresql:
        return PostgresPresence(executions, database)
    return LocalPresence(executions, database.file)
