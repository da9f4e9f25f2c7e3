"""The ledger in SQLite: one file, made on the first write, in write-ahead mode, so that many read while one writes."""

from __future__ import annotations

import functools
import os
import sqlite3
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Final

from lmtest import clock, disk
from lmtest.errors import ConfigurationError
from lmtest.money.database import PATIENCE, VERSION, Duplicate, close_when_dropped, newer, older
from lmtest.money.waiting import Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmtest.money.database import Connection

_APPLICATION: Final = 0x6C6D7473  # "lmts": tells our file from any other SQLite database
_SHORTEST: Final = 0.0001  # seconds between two tries
_LONGEST: Final = 0.002
_TABLES: Final = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
_SCHEMA = Path(__file__).with_name("sqlite.sql")


class Sqlite:
    """One connection to the file, for all threads of a process; a forked child gets its own.

    Args:
        path: The file. Its directory and it are made on the first write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = str(path)
        self.line = Line()
        self.labels: dict[str, int] = {}
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._owner = 0
        self._inherited: list[sqlite3.Connection] = []

    @contextmanager
    def writing(self, *, patience: float = PATIENCE, durable: bool = True) -> Iterator[Connection]:  # noqa: ARG002 - the log decides
        """As `lmtest.money.database.Database.writing`."""
        with self._lock:
            try:
                connection = self._connect()
                _begin(connection, patience)
                try:
                    yield connection
                    connection.execute("COMMIT")
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
            except sqlite3.IntegrityError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_UNIQUE:
                    raise Duplicate from error
                raise
            except (sqlite3.DatabaseError, OSError) as error:
                self._explain(error, patience)
                raise

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """As `lmtest.money.database.Database.reading`."""
        if not disk.exists(self.path):
            yield None
            return
        with self._lock:
            try:
                connection = self._connect()
                connection.execute(f"PRAGMA busy_timeout = {PATIENCE * 1_000:.0f}")
                connection.execute("BEGIN")
                try:
                    yield connection
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    connection.execute("PRAGMA busy_timeout = 0")
            except (sqlite3.DatabaseError, OSError) as error:
                self._explain(error, PATIENCE)
                raise

    def close(self) -> None:
        """As `lmtest.money.database.Database.close`."""
        with self._lock:
            if (connection := self._own()) is not None:
                connection.close()
            self._connection = None

    def _own(self) -> sqlite3.Connection | None:
        """The open connection; one that a fork inherited must be neither used nor closed, so it is kept aside."""
        if self._connection is not None and self._owner != os.getpid():
            self._inherited.append(self._connection)
            self._connection = None
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        if (connection := self._own()) is not None:
            return connection
        if not disk.exists(self.path):
            _create(self.path)
        connection = _open(self.path)
        try:
            _check(connection, self.path)
            connection.execute("PRAGMA busy_timeout = 0")  # who writes waits in a way of its own
        except BaseException:
            connection.close()
            raise
        close_when_dropped(self, connection)
        self._connection, self._owner, self.labels = connection, os.getpid(), {}
        return connection

    def _explain(self, error: Exception, patience: float) -> None:
        # What was asked of SQLite was wrong, not the file: the traceback is what helps.
        if not (isinstance(error, sqlite3.IntegrityError) or _code(error) == sqlite3.SQLITE_ERROR):
            raise ConfigurationError(_explanation(self.path, error, patience)) from error


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _begin(connection: sqlite3.Connection, patience: float) -> None:
    """Take the one write lock; SQLite's own waiting sleeps a thousand times as long as anybody here holds it."""
    end, pause = clock.seconds() + patience, _SHORTEST
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or clock.seconds() >= end:
                raise
        else:
            return
        clock.sleep(pause)
        pause = min(2 * pause, _LONGEST)


def _create(path: Path) -> None:
    from filelock import FileLock  # late: only who makes the file needs it, and it takes as long as the rest of us

    disk.make_directory(path.parent)
    # Turning a file to write-ahead mode does not wait for its turn, so the first process makes it under another name.
    with FileLock(path.with_name(path.name + ".lock")):
        if disk.exists(path):
            return
        making = path.with_name(path.name + ".new")
        making.unlink(missing_ok=True)
        connection = _open(making)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(disk.read(_SCHEMA).decode())
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        finally:
            connection.close()
        making.replace(path)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION:
        raise ConfigurationError(
            f"The ledger {str(path)!r} is a SQLite database, but not lmtest's. "
            "Point LMTEST_LEDGER to a file of its own; it is made when it is not there."
        )
    if version > VERSION:
        raise newer(str(path), version)
    if others := _tables() - set(connection.execute(_TABLES)):
        names = ", ".join(sorted(name for name, _ in others))
        raise older(str(path), names, mend=f"mv {quote(str(path))} {quote(f'{path}.old')}")


@functools.cache
def _tables() -> set[tuple[str, str]]:
    """What there is in a ledger of ours: tables, indexes and views by name, each as it was made."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(disk.read(_SCHEMA).decode())
        return set(connection.execute(_TABLES))


def _explanation(path: Path, error: Exception, patience: float) -> str:
    where = f"The ledger {str(path)!r}"
    if _code(error) == sqlite3.SQLITE_BUSY:
        return f"{where} was held by another process for more than {patience:.0f} s; end that process and run again."
    if _code(error) in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
        return (
            f"{where} does not read as a SQLite database ({error}). Move it away and a new one is made: "
            f"mv {quote(str(path))} {quote(f'{path}.broken')}"
        )
    return (
        f"{where} cannot be used: {error}. Check the directory's permissions and space, name another file in "
        "LMTEST_LEDGER, or keep none: LMTEST_LEDGER=off."
    )


def _code(error: Exception) -> int:
    """SQLite's primary result code; 0 for an error of the operating system."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
