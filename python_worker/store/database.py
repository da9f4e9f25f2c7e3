"""The database: one engine, and the one place where transactions begin."""

from __future__ import annotations

import select
import sqlite3
from contextlib import closing, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from python_worker.domain.errors import Reason, WorkerError
from python_worker.store import migration
from python_worker.store.pool import ClosingPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

FILE_NAME = "worker.sqlite3"

# Any number that no other user of the database takes; it keeps two starting workers from migrating at once.
_MIGRATION_LOCK = 7_115_100

_CONNECTIONS = 15

_BUSY = 30.0
"""Seconds to wait for SQLite's locks, where the URL has no ``?timeout=`` of its own."""

# SQLite takes the write lock at once, so that a transaction never fails halfway.
_BEGIN_WRITING = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "BEGIN"}
_BEGIN_READING = {"sqlite": "BEGIN", "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ"}


class Driver(NamedTuple):
    """A connection of the driver's, by SQLAlchemy's names."""

    dialect: sa.Dialect
    connection: Any


class Database:
    """SQLite in a file (WAL) or PostgreSQL.

    Args:
        url: As SQLAlchemy writes it, ``sqlite:///…`` or ``postgresql+psycopg://…``.

    Raises:
        WorkerError: ``configuration``: the URL is no such URL.
    """

    def __init__(self, url: str) -> None:
        self._engine = _create_engine(url)
        self._postgresql = self._engine.dialect.name == "postgresql"
        # Made once: each such view of the engine costs as much as a query.
        self._writing = self._engine.execution_options(writes=True)

    @classmethod
    def in_directory(cls, folder: Path) -> Database:
        """The SQLite database of a data directory."""
        return cls(f"sqlite:///{folder / FILE_NAME}")

    @property
    def is_postgresql(self) -> bool:
        """Whether other processes may write to it at the same time, and can be heard."""
        return self._postgresql

    @property
    def file(self) -> Path | None:
        """The file of SQLite's, or None."""
        name = self._engine.url.database
        return None if self._postgresql or not name or name == ":memory:" else Path(name)

    def listening_connection(
        self, prepare: Callable[[psycopg.Connection[Any]], object] = lambda _: None
    ) -> psycopg.Connection[Any]:
        """Open a connection to PostgreSQL beside the pool, in autocommit; the caller closes it.

        Args:
            prepare: What is to be done on it first; the connection is closed if that fails.
        """
        import psycopg

        arguments, options = self._engine.dialect.create_connect_args(self._engine.url)
        connection = psycopg.connect(*arguments, **options, autocommit=True)
        try:
            prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def migrate(self) -> None:
        """Bring the tables up to what this code needs; SQLite's file and its directory are made where they are missing.

        Raises:
            WorkerError: ``configuration``: the database does not answer.
        """
        self.make_place()
        with self._answering(), self.write() as connection:
            if self._postgresql:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            migration.upgrade(connection)

    def make_place(self) -> None:
        """Make the directory of SQLite's file where it is missing; PostgreSQL needs none.

        Raises:
            WorkerError: ``configuration``: it cannot be made.
        """
        if not self.file:
            return
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkerError(
                f"the directory {str(self.file.parent)!r} of the database cannot be made: {error.strerror or error}. "
                "Name another with --data-dir, or a database with --database-url.",
                reason=Reason.CONFIGURATION,
            ) from error

    def expect_tables(self) -> None:
        """See that the tables are those this code needs, and change nothing.

        Raises:
            WorkerError: ``configuration``: they are not, or the database does not answer.
        """
        with self._answering(), self.read() as connection:
            if migration.is_current(connection):
                return
        raise WorkerError(
            f"the database {self._where} does not have this version's tables: "
            "start the worker on it once, which makes them.",
            reason=Reason.CONFIGURATION,
        )

    def probe(self) -> None:
        """See that it can be written.

        Raises:
            WorkerError: ``unavailable``.
        """
        with self.write() as connection:
            connection.execute(sa.select(1))

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that will write; on SQLite it takes the write lock at once, so it never fails halfway."""
        with self._told(), self._writing.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads, and sees one moment of the database from its first query to its last."""
        with self._told(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def read_once(self) -> Iterator[Driver]:
        """The driver's connection for a single query, which needs no transaction to see one moment of the database."""
        with self._told():
            connection = self._engine.raw_connection()
            try:
                yield Driver(self._engine.dialect, connection)
            finally:
                connection.close()  # back to the pool

    @contextmanager
    def write_directly(self) -> Iterator[Driver]:
        """A transaction that will write, of ``Statement`` alone.

        PostgreSQL gets what is asked together with what was asked before it, once an answer is read, and the last of it
        together with the commit: a trip to the server and back costs more than what a statement does there.
        """
        with self.read_once() as driver:  # which rolls back what is not committed when it lets the connection go
            connection = driver.connection
            pipeline = connection.pipeline() if self._postgresql else nullcontext()
            with pipeline, closing(connection.cursor()) as cursor:
                cursor.execute(_BEGIN_WRITING[self._engine.dialect.name])
                yield driver
                cursor.execute("COMMIT")

    def close(self) -> None:
        """Close every connection; one in use, when that is done."""
        self._engine.dispose()

    @property
    def _where(self) -> str:
        return self._engine.url.render_as_string(hide_password=True)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """For a start: a database that does not answer then is one that was named wrongly."""
        try:
            yield
        except WorkerError as error:
            if error.reason is Reason.UNAVAILABLE:
                raise WorkerError(error.message, reason=Reason.CONFIGURATION) from error
            raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except _lost() as error:
            said = str(getattr(error, "orig", error)).strip().partition("\n")[0]
            raise WorkerError(
                f"the database {self._where} does not answer: {said}.", reason=Reason.UNAVAILABLE, retryable=True
            ) from error


@cache
def _lost() -> tuple[type[Exception], ...]:
    """What a database that went away is told by, from SQLAlchemy or from the driver itself."""
    import psycopg

    drivers = (sqlite3.OperationalError, psycopg.OperationalError, psycopg.InterfaceError)
    # A TimeoutError is the pool's: all its connections wait for a database that does not answer.
    return (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError, *drivers)


def _create_engine(url: str) -> sa.Engine:
    forms = "use sqlite:///path or postgresql+psycopg://user@host:5432/name."
    try:
        backend = sa.make_url(url).get_backend_name()
    except sa.exc.ArgumentError as error:
        raise WorkerError(f"the database URL does not read as one: {forms}", reason=Reason.CONFIGURATION) from error
    if backend not in {"sqlite", "postgresql"}:
        raise WorkerError(f"the worker does not store in {backend}: {forms}", reason=Reason.CONFIGURATION)
    # Every connection is kept: making one costs more than what is done with it. The one that was used last comes first:
    # SQLite forgets the pages that a connection has read as soon as another one writes.
    pool: dict[str, Any] = {
        "poolclass": ClosingPool,
        "pool_size": _CONNECTIONS,
        "max_overflow": 0,
        "pool_use_lifo": True,
    }
    if backend == "sqlite":
        waits = {} if "timeout" in sa.make_url(url).query else {"timeout": _BUSY}
        engine = sa.create_engine(url, connect_args=waits, **pool)
        sa.event.listen(engine, "connect", _prepare_sqlite)
    else:
        # By itself, the driver begins and ends a transaction around every query, each a trip of its own.
        engine = sa.create_engine(url, connect_args={"autocommit": True}, **pool)
        sa.event.listen(engine, "checkout", _see_whether_it_lives)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    # The driver must not begin transactions by itself: _begin does.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _see_whether_it_lives(connection: Any, _record: ConnectionPoolEntry, _proxy: object) -> None:
    # A connection that is idle has nothing to read but its end. To ask the server would be one more trip.
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    if waiting.poll(0):
        raise sa.exc.InvalidatePoolError("PostgreSQL has closed the connection")


def _begin(connection: sa.Connection) -> None:
    begin = _BEGIN_WRITING if connection.get_execution_options().get("writes") else _BEGIN_READING
    connection.exec_driver_sql(begin[connection.dialect.name])
