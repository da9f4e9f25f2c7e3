"""What the ledger, the budgets and the rates need of a database, SQLite or PostgreSQL.

Their SQL is what both understand, with ``?`` and ``:name`` for parameters.
"""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any, Final, Protocol

from lmtest.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from lmtest.money.waiting import Line

VERSION = 1
"""The schema's, kept in the database itself."""

PATIENCE: Final = 30.0
"""Seconds to wait for another process's transaction, and for a server."""


class Duplicate(Exception):
    """A row was to be added that is there already; the whole transaction was undone."""


class Rows(Protocol):
    """The rows that a statement found, or the number of rows it changed."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""

    def fetchone(self) -> Any:
        """The next row, a tuple, or None."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """An open transaction."""

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ..., /) -> Rows:
        """Run one statement."""

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> object:
        """Run one statement for each of many rows."""


class Database(Protocol):
    """One database, for all threads of a process; a forked child gets a connection of its own.

    Attributes:
        place: Where it is, for people; without a password.
        line: Who waits in this process for what the database keeps.
        labels: The ids of texts that it is known to hold; empty again with each connection.
    """

    place: str
    line: Line
    labels: dict[str, int]

    def writing(self, *, patience: float = PATIENCE, durable: bool = True) -> AbstractContextManager[Connection]:
        """Hold the one write transaction; commits at the end, rolls back on an exception.

        A connection that was lost since it was used last is replaced.

        Args:
            patience: Seconds to wait for those of other processes.
            durable: Whether it is on disk at the end, so that it survives the server's own crash.

        Raises:
            ConfigurationError: The database cannot be used; the message says why and how to mend it.
            Duplicate: A row was to be added that is there already.
        """

    def reading(self) -> AbstractContextManager[Connection | None]:
        """Hold a consistent view, or None where nothing was written yet; makes nothing.

        Raises:
            ConfigurationError: As for `writing`.
        """

    def close(self) -> None:
        """Close the connection; the next use opens a new one."""


class Closable(Protocol):
    """An open connection."""

    def close(self) -> None:
        """Close it; once more does no harm."""


def close_when_dropped(database: Database, connection: Closable) -> None:
    """Close a connection when nobody holds its database any more; not in a forked child, whose it is not."""
    # Not at exit, when rows that were held back are still to be written.
    weakref.finalize(database, _close_in, os.getpid(), connection).atexit = False


def _close_in(process: int, connection: Closable) -> None:
    if os.getpid() == process:
        connection.close()


def newer(place: str, version: int) -> ConfigurationError:
    """The error for a ledger that a newer lmtest has made."""
    return ConfigurationError(
        f"The ledger {place!r} was written by a newer lmtest: its schema is {version}, this lmtest knows {VERSION}. "
        "Run 'pip install --upgrade lmtest', or point LMTEST_LEDGER to another place."
    )


def older(place: str, what: str, *, mend: str) -> ConfigurationError:
    """The error for a ledger that a version of lmtest from before the first release has made; none is migrated.

    Args:
        place: Where it is.
        what: What it lacks.
        mend: The command that keeps it under another name.
    """
    return ConfigurationError(
        f"The ledger {place!r} was made by a development version of lmtest: {what} is not as this one keeps it. Put it "
        f"away, and a new one is made, in which the month's spending starts at 0: {mend}"
    )
