"""The feeds: how committed changes reach who watches, in this process or in all that share a PostgreSQL."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

import psycopg
import sqlalchemy as sa

from python_worker.domain.errors import WorkerError
from python_worker.store.statement import Connected, Statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from python_worker.domain.repositories import Listener
    from python_worker.domain.watch import Change
    from python_worker.store.database import Database

_LOG = logging.getLogger(__name__)

# A schema's own; PostgreSQL takes names of 63 characters.
_CHANNEL = "left('python_worker_' || current_schema(), 63)"
_NOTIFY = Statement(
    sa.select(sa.func.pg_notify(sa.literal_column(_CHANNEL), sa.bindparam("payload")).label("notified"))
)

_RETRY = 1.0
"""Seconds before another try to listen."""

_Connection = TypeVar("_Connection", bound=Connected)
_Listening: TypeAlias = "psycopg.Connection[Any]"


@dataclass(kw_only=True)
class Writing(Generic[_Connection]):
    """A transaction, and what is to be told when it is committed.

    Attributes:
        changes: Of one session, in order.
        ended: Ids of sessions that were taken away.
    """

    connection: _Connection
    changes: list[Change] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)


class WritingFeed(Protocol):
    """A feed that tells what transactions change."""

    def writing(self, transaction: AbstractContextManager[_Connection]) -> AbstractContextManager[Writing[_Connection]]:
        """The transaction, which then tells when it is committed."""


class LocalFeed:
    """Tells what this process commits: one writer at a time, so that it is told in the order of the commits."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._listener: Listener | None = None

    @contextmanager
    def writing(self, transaction: AbstractContextManager[_Connection]) -> Iterator[Writing[_Connection]]:
        """The transaction, which then tells when it is committed."""
        with self._turn:
            with transaction as connection:
                writing = Writing(connection=connection)
                yield writing
            if self._listener and writing.changes:
                self._listener.tell(writing.changes)
            if self._listener:
                for session_id in writing.ended:
                    self._listener.end(session_id)

    def start(self, listener: Listener) -> None:
        """Begin."""
        self._listener = listener

    def close(self) -> None:
        """Tell nothing more."""
        with self._turn:
            self._listener = None


class News(NamedTuple):
    """What a notification says: which changes of a session there are, or, with none, that it was taken away."""

    session_id: str
    first: int = 0
    last: int = 0

    def __str__(self) -> str:
        return f"{self.first} {self.last} {self.session_id}"

    @classmethod
    def read(cls, payload: str) -> News:
        """Of a payload."""
        first, last, session_id = payload.split(" ", 2)
        return cls(session_id, int(first), int(last))


class PostgresFeed:
    """Tells what any process commits, by NOTIFY, whose order is that of the commits.

    A notification holds no value, only where in the session's log it is: payloads end at 8,000 bytes. What this process
    has written itself it remembers until it is notified; what others wrote it reads, if anybody wants it.

    Args:
        database: On PostgreSQL, migrated.
        read: Reads the changes of a session from one position to another, both included.
    """

    def __init__(self, database: Database, *, read: Callable[[str, int, int], Sequence[Change]]) -> None:
        self._database = database
        self._read = read
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._listener: Listener | None = None
        self._own: dict[News, Sequence[Change]] = {}
        self._channel = ""

    @contextmanager
    def writing(self, transaction: AbstractContextManager[_Connection]) -> Iterator[Writing[_Connection]]:
        """The transaction, which then tells when it is committed."""
        own: News | None = None
        try:
            with transaction as connection:
                writing = Writing(connection=connection)
                yield writing
                if writing.changes:
                    own = self._remember(writing.changes)
                    _NOTIFY.run(connection, {"payload": str(own)})
                for session_id in writing.ended:
                    _NOTIFY.run(connection, {"payload": str(News(session_id))})
        except BaseException:
            self._own.pop(own, None) if own else None
            raise

    def start(self, listener: Listener) -> None:
        """Begin; returns when it listens, so that nothing committed from then on is missed."""
        connection = self._listen()
        self._listener = listener
        self._thread = threading.Thread(target=self._run, args=(connection, listener), name="state-feed", daemon=True)
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

    def _run(self, connection: _Listening | None, listener: Listener) -> None:
        while connection is not None:
            try:
                with connection:
                    while not self._closed.is_set():
                        self._tell(_gather(connection), listener)
            except (psycopg.Error, sa.exc.SQLAlchemyError, WorkerError) as error:
                _LOG.warning("PostgreSQL is not heard any more (%s): watchers begin again", error)
                connection = self._listen_again()
                self._own.clear()
                listener.lose()
            else:
                return

    def _tell(self, several: list[News], listener: Listener) -> None:
        for news in several:
            own = self._own.pop(news, None)
            if not news.last:
                listener.end(news.session_id)
            elif listener.is_watched(news.session_id) and (changes := own or self._read(*news)):
                listener.tell(changes)

    def _remember(self, changes: Sequence[Change]) -> News:
        news = News(changes[0].session, changes[0].position, changes[-1].position)
        if self._listener and self._listener.is_watched(news.session_id):
            self._own[news] = changes
        return news

    def _listen(self) -> _Listening:
        return self._database.listening_connection(self._begin)

    def _begin(self, connection: _Listening) -> None:
        ((self._channel,),) = connection.execute(psycopg.sql.SQL(f"SELECT {_CHANNEL}"))
        connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(self._channel)))

    def _listen_again(self) -> _Listening | None:
        while not self._closed.wait(_RETRY):
            try:
                return self._listen()
            except psycopg.Error as error:
                _LOG.warning("PostgreSQL is still not heard: %s", error)
        return None


def _gather(connection: _Listening) -> list[News]:
    """Wait for notifications."""
    return [News.read(notify.payload) for notify in connection.notifies(stop_after=1) if notify.payload]
