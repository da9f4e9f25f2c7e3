"""The ledger in PostgreSQL, in the schema ``lmtest`` of the database that a URL names; for runs on several machines.

One advisory lock stands for SQLite's one write transaction, so whatever is exact there is exact here.
"""

from __future__ import annotations

import functools
import os
import re
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import psycopg

from lmtest import disk
from lmtest.errors import ConfigurationError
from lmtest.money.database import PATIENCE, VERSION, close_when_dropped, newer, older
from lmtest.money.waiting import Line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lmtest.money.database import Connection, Rows

_SCHEMA = Path(__file__).with_name("postgres.sql")
_LOCK: Final = 0x6C6D7473  # "lmts"


class Postgres:
    """One connection, for all threads of a process; a forked child gets its own.

    Args:
        url: ``postgresql://user:password@host:port/database``. The schema is made on the first write.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.place = _without_password(url)
        self.line = Line()
        self.labels: dict[str, int] = {}
        self._lock = threading.RLock()
        self._connection: psycopg.Connection[Any] | None = None
        self._owner = 0
        self._inherited: list[psycopg.Connection[Any]] = []
        self._known = False

    @contextmanager
    def writing(self, *, patience: float = PATIENCE, durable: bool = True) -> Iterator[Connection]:
        """As `lmtest.money.database.Database.writing`."""
        said = [
            f"SET LOCAL lock_timeout TO '{patience:.3f}s'" if patience != PATIENCE else "",
            "" if durable else "SET LOCAL synchronous_commit TO off",
            f"SELECT pg_advisory_xact_lock({_LOCK})",
        ]
        with self._transaction("BEGIN", *filter(None, said)) as connection:
            if not self._made(connection):
                connection.execute(disk.read(_SCHEMA))
                connection.execute("INSERT INTO version (version) VALUES (%s)", (VERSION,))
            yield _Dialect(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """As `lmtest.money.database.Database.reading`."""
        with self._transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") as connection:
            yield _Dialect(connection) if self._made(connection) else None

    @contextmanager
    def _transaction(self, *begin: str) -> Iterator[psycopg.Connection[Any]]:
        """Hold a transaction that begins with these statements, in one round trip."""
        with self._lock, self._explained():
            connection = self._begun("; ".join(begin).encode())
            try:
                yield connection
                connection.execute(b"COMMIT")
            except BaseException:
                _roll_back(connection)
                raise

    def _begun(self, begin: bytes) -> psycopg.Connection[Any]:
        used = self._own() is not None
        connection = self._connect()
        try:
            connection.execute(begin)
        except BaseException as error:
            _roll_back(connection)  # where a lock was not had in time
            if not (isinstance(error, psycopg.OperationalError) and connection.closed and used):
                raise
            # The server was restarted, or cut what was idle, since it was used last: nothing was lost with it.
            connection = self._connect()
            connection.execute(begin)
        return connection

    def close(self) -> None:
        """As `lmtest.money.database.Database.close`."""
        with self._lock:
            if (connection := self._own()) is not None:
                connection.close()
            self._connection = None

    def _own(self) -> psycopg.Connection[Any] | None:
        """The open connection; one that a fork inherited must be neither used nor closed, so it is kept aside."""
        if self._connection is not None and self._owner != os.getpid():
            self._inherited.append(self._connection)
            self._connection = None
        return self._connection

    def _connect(self) -> psycopg.Connection[Any]:
        connection = self._own()
        if connection is None or connection.closed:
            connection = psycopg.connect(self._url, autocommit=True, connect_timeout=int(PATIENCE))
            try:
                connection.execute("SET search_path TO lmtest")
                connection.execute(f"SET lock_timeout TO '{PATIENCE:.0f}s'")
            except BaseException:
                connection.close()
                raise
            close_when_dropped(self, connection)
            self._connection, self._owner, self.labels = connection, os.getpid(), {}
        return connection

    def _made(self, connection: psycopg.Connection[Any]) -> bool:
        """Whether the schema is there, and one we know; asked until it is, then no more."""
        if self._known:
            return True
        found = connection.execute("SELECT to_regclass('lmtest.version') IS NOT NULL").fetchone()
        if not (found and found[0]):
            return False
        row = connection.execute("SELECT max(version) FROM version").fetchone()
        if row and row[0] > VERSION:
            raise newer(self.place, row[0])
        self._known = True
        return True

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable) as error:
            mend = "psql -c 'ALTER SCHEMA lmtest RENAME TO lmtest_old' on that database"
            raise older(self.place, str(error.diag.message_primary), mend=mend) from error
        except (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege) as error:
            first = str(error).strip().partition("\n")[0]
            raise ConfigurationError(
                f"The ledger {self.place!r} cannot be used: {first}. Check that the server runs and that the user may "
                "create a schema there, or point LMTEST_LEDGER to another place."
            ) from error


def _roll_back(connection: psycopg.Connection[Any]) -> None:
    """End a transaction; a connection on which that cannot be, as in the midst of a statement, is given up."""
    try:
        if not connection.closed:
            connection.execute(b"ROLLBACK")
    except psycopg.Error:
        connection.close()


class _Dialect:
    """The SQL of `lmtest.money.database`, in psycopg's spelling."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), /) -> Rows:
        return self._connection.execute(_spelled(sql), parameters)

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(_spelled(sql), parameters)


@functools.cache
def _spelled(sql: str) -> bytes:
    return re.sub(r":(\w+)", r"%(\1)s", sql).replace("?", "%s").encode()


def _without_password(url: str) -> str:
    """A URL that may be shown.

    >>> _without_password("postgresql://me:secret@db:5432/money?sslmode=require")
    'postgresql://me@db:5432/money'
    """
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{user}{parts.hostname or ''}{port}{parts.path}"
