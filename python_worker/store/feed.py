"""The feeds: how committed changes reach who watches, in this process or in all that share a PostgreSQL."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import psycopg
import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from python_worker.domain.watch import Change
    from python_worker.store.database import Database

_LOG = logging.getLogger(__name__)

_NOTIFY = sa.text("SELECT pg_notify(:channel, :payload)")
_MOST_CHARACTERS = 63
"""PostgreSQL cuts the names of channels there."""

_RETRY = 1.0
"""Seconds before another try to listen."""


@dataclass(kw_only=True)
class Writing:
    """A transaction, and what is to be told when it is committed.

    Attributes:
        changes: Of one session, in order.
        ended: Ids of sessions that were taken away.
    """

    connection: sa.Connection
    changes: list[Change] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)


class WritingFeed(Protocol):
    """A feed whose transactions tell what they change."""

    def writing(self) -> AbstractContextManager[Writing]:
        """A transaction that tells when it is committed."""


class LocalFeed:
    """Tells what this process commits: one writer at a time, so that it is told in the order of the commits."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = threading.Lock()
        self._told: Callable[[Sequence[Change]], None] | None = None
        self._ended: Callable[[str], None] | None = None

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """A transaction that tells when it is committed."""
        with self._turn:
            with self._database.write() as connection:
                writing = Writing(connection=connection)
                yield writing
            if self._told and writing.changes:
                self._told(writing.changes)
            if self._ended:
                for session_id in writing.ended:
                    self._ended(session_id)

    def start(
        self,
        *,
        told: Callable[[Sequence[Change]], None],
        ended: Callable[[str], None],
        lost: Callable[[], None],  # noqa: ARG002 - nothing is ever lost here
    ) -> None:
        """Begin."""
        self._told, self._ended = told, ended

    def close(self) -> None:
        """Tell nothing more."""
        with self._turn:
            self._told = self._ended = None


class PostgresFeed:
    """Tells what any process commits, by NOTIFY, whose order is that of the commits.

    A notification holds no value, only where in the session's log it is: payloads end at 8,000 bytes.

    Args:
        database: On PostgreSQL, migrated.
        read: Reads the changes of a session from one position to another, both included.
    """

    def __init__(self, database: Database, *, read: Callable[[str, int, int], Sequence[Change]]) -> None:
        self._database = database
        self._read = read
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        with database.read() as connection:
            schema = connection.scalar(sa.select(sa.func.current_schema()))
        self._channel = f"python_worker_{schema}"[:_MOST_CHARACTERS]

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """A transaction that tells when it is committed."""
        with self._database.write() as connection:
            writing = Writing(connection=connection)
            yield writing
            if writing.changes:
                first, last = writing.changes[0], writing.changes[-1]
                self._notify(connection, f"{first.position} {last.position} {first.session}")
            for session_id in writing.ended:
                self._notify(connection, f"0 0 {session_id}")

    def start(
        self, *, told: Callable[[Sequence[Change]], None], ended: Callable[[str], None], lost: Callable[[], None]
    ) -> None:
        """Begin; returns when it listens, so that nothing committed from then on is missed."""
        connection = self._listen()
        self._thread = threading.Thread(
            target=self._run, args=(connection, told, ended, lost), name="state-feed", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Tell nothing more."""
        self._closed.set()
        if self._thread:
            self._wake()
            self._thread.join()

    def _wake(self) -> None:
        try:
            # A connection of its own: the pool may be closed by now.
            with self._database.listening_connection() as connection:
                connection.execute("SELECT pg_notify(%s, '')", (self._channel,))
        except psycopg.Error as error:  # then the thread has found out too, and is awake
            _LOG.warning("PostgreSQL went away before the feed was closed: %s", error)

    def _run(
        self,
        connection: psycopg.Connection[tuple[object, ...]],
        told: Callable[[Sequence[Change]], None],
        ended: Callable[[str], None],
        lost: Callable[[], None],
    ) -> None:
        while not self._closed.is_set():
            try:
                with connection:
                    while not self._closed.is_set():
                        self._tell(_gather(connection), told, ended)
            except (psycopg.Error, sa.exc.SQLAlchemyError) as error:
                _LOG.warning("PostgreSQL is not heard any more (%s): watchers begin again", error)
                connection = self._listen_again(connection)
                lost()

    def _tell(
        self,
        news: list[tuple[str, int, int]],
        told: Callable[[Sequence[Change]], None],
        ended: Callable[[str], None],
    ) -> None:
        for session_id, first, last in news:
            if last == 0:
                ended(session_id)
            elif changes := self._read(session_id, first, last):
                told(changes)

    def _listen(self) -> psycopg.Connection[tuple[object, ...]]:
        connection = self._database.listening_connection()
        connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(self._channel)))
        return connection

    def _listen_again(
        self, connection: psycopg.Connection[tuple[object, ...]]
    ) -> psycopg.Connection[tuple[object, ...]]:
        while not self._closed.wait(_RETRY):
            try:
                return self._listen()
            except psycopg.Error as error:
                _LOG.warning("PostgreSQL is still not heard: %s", error)
        return connection

    def _notify(self, connection: sa.Connection, payload: str) -> None:
        connection.execute(_NOTIFY, {"channel": self._channel, "payload": payload})


def _gather(connection: psycopg.Connection[tuple[object, ...]]) -> list[tuple[str, int, int]]:
    """Wait for notifications; those of one session that follow each other become one."""
    news: list[tuple[str, int, int]] = []
    for notify in connection.notifies(stop_after=1):
        if not notify.payload:
            continue
        first, last, session_id = notify.payload.split(" ", 2)
        if news and news[-1][0] == session_id and news[-1][2] and int(last):
            news[-1] = (session_id, news[-1][1], int(last))
        else:
            news.append((session_id, int(first), int(last)))
    return news
