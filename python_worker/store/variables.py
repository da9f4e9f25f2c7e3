"""Variables in the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from python_worker.domain.value import storable
from python_worker.store import changes
from python_worker.store.edits import Edits, no_variable
from python_worker.store.sessions import session_of, touch
from python_worker.store.tables import to_moment
from python_worker.store.variable_rows import find, find_one, from_row, in_order, names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from python_worker.domain.errors import WorkerError
    from python_worker.domain.repositories import ValueCodec
    from python_worker.domain.variable import Edit, Variable
    from python_worker.domain.watch import Change
    from python_worker.store.database import Database
    from python_worker.store.feed import WritingFeed

_TOUCH_AFTER = 0.1
"""The part of its ttl that a session may have spent unused before a read is written down as a use."""


class SqlVariables:
    """``domain.repositories.Variables`` on a database.

    Args:
        database: Where.
        feed: Tells what is committed.
        codec: What is kept of a value.
        most: How many variables a session may hold.
    """

    def __init__(self, database: Database, *, feed: WritingFeed, codec: ValueCodec, most: int) -> None:
        self._database = database
        self._feed = feed
        self._codec = codec
        self._most = most

    def apply(
        self, session_id: str, edits: Sequence[Edit], *, atomic: bool
    ) -> Sequence[tuple[Variable | None, int] | WorkerError]:
        """Make the edits in order, in one transaction."""
        session_id = storable(session_id)
        with self._feed.writing(self._database.write_directly()) as writing:
            made = Edits(writing.connection, session_id, edits, codec=self._codec, most=self._most)
            results = [made.make(edit, atomic=atomic) for edit in edits]
            made.write()
            writing.changes += made.changes
        return results

    def get(self, session_id: str, key: str) -> Variable:
        """The one of that id, else of that name."""
        session_id, key, now = storable(session_id), storable(key), datetime.now(UTC)
        with self._database.read_once() as driver:
            row = find_one(driver, session_id, key)
        expires_at = to_moment(row.expires_at) if row and row.expires_at else None
        if row is None or (expires_at and expires_at <= now):
            with self._database.read() as connection:
                session_of(connection, session_id)
                raise no_variable(connection, session_id, key)
        self._use(session_id, row.ttl, expires_at)
        return from_row(row, self._codec)

    def find(self, session_id: str, keys: Sequence[str]) -> Mapping[str, Variable]:
        """Those there are among the ids and names."""
        with self._database.read() as connection:
            session = session_of(connection, session_id)
            found = find(connection, session.id, keys)()
        self._use(session.id, session.ttl, session.expires_at)
        return {key: from_row(row, self._codec) for key, row in found.items()}

    def names(self, session_id: str) -> Sequence[str]:
        """All names, sorted."""
        with self._database.read() as connection:
            session = session_of(connection, session_id)
            return sorted(names(connection, session.id))

    def history(self, session_id: str, key: str) -> Sequence[Change]:
        """The changes that are kept of one variable, by id or name, oldest first."""
        variable = self.get(session_id, key)
        with self._database.read() as connection:
            kept = changes.of_name(connection, variable.session, variable.name, self._codec)
        return [change for change in kept if change.variable_id == variable.id]

    def snapshot(self, session_id: str) -> tuple[int, Sequence[Variable]]:
        """The session's position with all its variables, at one moment."""
        with self._database.read() as connection:
            session = session_of(connection, session_id)
            rows = in_order(connection, session.id)
        return session.position, [from_row(row, self._codec) for row in rows]

    def changes(self, session_id: str, *, after: int) -> tuple[int, Sequence[Change]]:
        """The session's position with the changes that are kept beyond a position, in order, at one moment."""
        with self._database.read() as connection:
            session = session_of(connection, session_id)
            return session.position, changes.between(connection, session.id, after + 1, session.position, self._codec)

    def _use(self, session_id: str, ttl: float | None, expires_at: datetime | None) -> None:
        if ttl is None or expires_at is None:
            return
        if expires_at - datetime.now(UTC) < timedelta(seconds=ttl * (1 - _TOUCH_AFTER)):
            with self._database.write_directly() as driver:
                touch(driver, session_id, ttl)
