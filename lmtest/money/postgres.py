"""The ledger in PostgreSQL, in the schema ``lmtest`` of the database that a URL names; for runs on several machines.

One advisory lock stands for SQLite's one write transaction, so whatever is exact there is exact here. While it is held
everybody else waits, so statements are sent together: one goes out when somebody asks for its rows, or at the end.
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
from lmtest.money.database import PATIENCE, VERSION, Duplicate, close_when_dropped, newer, older
from lmtest.money.waiting import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

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
            f"set_config('lock_timeout', '{patience:.3f}s', true)" if patience != PATIENCE else "",
            "" if durable else "set_config('synchronous_commit', 'off', true)",
            f"pg_advisory_xact_lock({_LOCK})",
        ]
        with self._transaction("BEGIN", f"SELECT {', '.join(filter(None, said))}") as transaction:
            if not self._made(transaction):
                transaction.run(disk.read(_SCHEMA))
                transaction.execute("INSERT INTO version (version) VALUES (?)", (VERSION,))
            yield transaction

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """As `lmtest.money.database.Database.reading`."""
        with self._transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") as transaction:
            yield transaction if self._made(transaction) else None

    @contextmanager
    def _transaction(self, *begin: str) -> Iterator[_Transaction]:
        """Hold a transaction that begins with these statements."""
        with self._lock, self._explained():
            used = self._own() is not None
            transaction = _Transaction(self._connect(), begin, anew=self._connect if used else None)
            try:
                yield transaction
                transaction.commit()
            except BaseException:
                transaction.roll_back()
                raise

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

    def _made(self, connection: _Transaction) -> bool:
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
        except psycopg.errors.UniqueViolation as error:
            raise Duplicate from error
        except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable) as error:
            mend = "psql -c 'ALTER SCHEMA lmtest RENAME TO lmtest_old' on that database"
            raise older(self.place, str(error.diag.message_primary), mend=mend) from error
        except (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege) as error:
            first = str(error).strip().partition("\n")[0]
            raise ConfigurationError(
                f"The ledger {self.place!r} cannot be used: {first}. Check that the server runs and that the user may "
                "create a schema there, or point LMTEST_LEDGER to another place."
            ) from error


class _Transaction:
    """The SQL of `lmtest.money.database`, in psycopg's spelling, sent when an answer is needed.

    Args:
        connection: A connection in no transaction.
        begin: The statements that it begins with.
        anew: Gives another connection, where the server may have closed this one since it was used last.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        begin: Iterable[str],
        *,
        anew: Callable[[], psycopg.Connection[Any]] | None,
    ) -> None:
        self._connection = connection
        self._cursor = psycopg.ClientCursor[Any](connection)  # which alone takes several statements with parameters
        self._anew = anew
        self._unsent = [*begin]
        self._unanswered = [_Answer(self) for _ in self._unsent]

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), /) -> Rows:
        """As `lmtest.money.database.Connection.execute`; an error may come from a later statement, or the end."""
        answer = _Answer(self)
        self._unsent.append(self._cursor.mogrify(_spelled(sql), parameters) if parameters else sql)
        self._unanswered.append(answer)
        return answer

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> None:
        """As `lmtest.money.database.Connection.executemany`."""
        self.send()
        with self._connection.cursor() as cursor:
            cursor.executemany(_spelled(sql), parameters)

    def run(self, script: bytes) -> None:
        """Run several statements whose answers nobody needs."""
        self.send()
        self._connection.execute(script)

    def commit(self) -> None:
        """End it; nothing of it is lost any more."""
        self.execute("COMMIT")
        self.send()

    def send(self) -> None:
        """Send what was not sent yet, in one round trip, and hand out the answers."""
        if not self._unsent:
            return
        statements = "; ".join(self._unsent).encode()
        try:
            self._cursor.execute(statements)
        except psycopg.OperationalError:
            self.roll_back()  # after which it is closed, where it was in the midst of another statement
            if self._anew is None or not self._connection.closed:
                raise
            # The server was restarted, or cut what was idle, since it was used last: nothing was lost with it.
            self._connection = self._anew()
            self._cursor = psycopg.ClientCursor(self._connection)
            self._cursor.execute(statements)
        self._anew = None
        for answer in self._unanswered:
            answer.take(self._cursor)
            self._cursor.nextset()
        self._unsent, self._unanswered = [], []

    def roll_back(self) -> None:
        """End it without a trace; a connection on which that cannot be, as in the midst of a statement, is given up."""
        try:
            if not self._connection.closed:
                self._connection.execute(b"ROLLBACK")
        except psycopg.Error:
            self._connection.close()


class _Answer:
    """The rows of a statement, which is sent when they are asked for."""

    def __init__(self, transaction: _Transaction) -> None:
        self._transaction = transaction
        self._rows: list[Any] | None = None
        self._count = 0

    def take(self, cursor: psycopg.Cursor[Any]) -> None:
        """Take them from a cursor that is at them."""
        self._rows = cursor.fetchall()[::-1] if cursor.description else []
        self._count = cursor.rowcount

    @property
    def rowcount(self) -> int:
        """As `lmtest.money.database.Rows.rowcount`."""
        self._left()
        return self._count

    def fetchone(self) -> Any:
        """As `lmtest.money.database.Rows.fetchone`."""
        return left.pop() if (left := self._left()) else None

    def fetchall(self) -> list[Any]:
        """As `lmtest.money.database.Rows.fetchall`."""
        return list(self)

    def __iter__(self) -> Iterator[Any]:
        left = self._left()
        while left:
            yield left.pop()

    def _left(self) -> list[Any]:
        if self._rows is None:
            self._transaction.send()
        assert self._rows is not None, "whatever was sent is answered"
        return self._rows


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
