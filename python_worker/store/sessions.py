"""Sessions in the database."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.session import Session, SessionLimits, SessionLM, no_session
from python_worker.domain.value import canonical_json, storable
from python_worker.store import lookup
from python_worker.store.tables import programs, sessions, signatures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_worker.store.database import Database
    from python_worker.store.feed import Writing, WritingFeed

# Keeps two that add from counting at once; any number that no other user of the database takes.
_ADD_LOCK = sa.text("SELECT pg_advisory_xact_lock(7115101)")

# Built once: building a statement costs more than running it on SQLite.
ALIVE = sa.or_(sessions.c.expires_at.is_(None), sessions.c.expires_at > sa.bindparam("now"))
_SELECT = sa.select(sessions).where(sessions.c.id == sa.bindparam("the_id"), ALIVE)
_COUNT = sa.select(sa.func.count()).select_from(sessions)
_INSERT = sa.insert(sessions)
_DELETE = sa.delete(sessions).where(sessions.c.id == sa.bindparam("the_id"), ALIVE)
_SWEEP = sa.delete(sessions).where(sessions.c.expires_at <= sa.bindparam("now")).returning(sessions.c.id)
TOUCH = (
    sa.update(sessions).where(sessions.c.id == sa.bindparam("the_id"), ALIVE).values(expires_at=sa.bindparam("then"))
)
_PAGE = (
    sa.select(sessions)
    .where(sessions.c.id > sa.bindparam("after"), ALIVE)
    .order_by(sessions.c.id)
    .limit(sa.bindparam("most"))
)


class SqlSessions:
    """``domain.repositories.Sessions`` on a database."""

    def __init__(self, database: Database, *, feed: WritingFeed) -> None:
        self._database = database
        self._feed = feed

    def add(self, session: Session, *, most: int) -> None:
        """Keep a new one."""
        try:
            with self._feed.writing() as writing:
                self._make_room(writing, most)
                writing.connection.execute(_INSERT, _to_row(session))
        except sa.exc.IntegrityError as error:
            raise WorkerError(
                f"there is a session {session.id!r} already: get it, or create it with or_get.",
                reason=Reason.ALREADY_EXISTS,
                field="id",
            ) from error

    def get(self, session_id: str) -> Session:
        """The one of that id."""
        with self._database.read() as connection:
            return session_of(connection, session_id)

    def touch(self, session_id: str) -> Session:
        """Let it live for another ttl."""
        with self._feed.writing() as writing:
            session = session_of(writing.connection, session_id)
            then = later(session.ttl)
            writing.connection.execute(TOUCH, {"the_id": session.id, "now": datetime.now(UTC), "then": then})
            return session_of(writing.connection, session_id)

    def end(self, session_id: str) -> None:
        """Take it away with its variables."""
        session_id = storable(session_id)
        with self._feed.writing() as writing:
            gone = writing.connection.execute(_DELETE, {"the_id": session_id, "now": datetime.now(UTC)})
            if not gone.rowcount:
                raise no_session(session_id)
            _end(writing, [session_id])

    def list(self, *, after: str, most: int) -> Sequence[Session]:
        """Those with an id beyond ``after``, by id."""
        asked = {"after": storable(after), "most": most, "now": datetime.now(UTC)}
        with self._database.read() as connection:
            return [_from_row(row) for row in connection.execute(_PAGE, asked)]

    @staticmethod
    def _make_room(writing: Writing, most: int) -> None:
        if writing.connection.dialect.name == "postgresql":
            writing.connection.execute(_ADD_LOCK)
        _end(writing, writing.connection.scalars(_SWEEP, {"now": datetime.now(UTC)}).all())
        count = writing.connection.scalar(_COUNT) or 0
        if count >= most:
            raise WorkerError(
                f"there are {count} sessions, and the worker takes {most} (--max-sessions): end one, or give sessions "
                "a ttl so that they end by themselves.",
                reason=Reason.LIMIT,
                field="session",
            )


def _end(writing: Writing, session_ids: Sequence[str]) -> None:
    for table in (programs, signatures):
        lookup.retire(writing.connection, table, session_ids, datetime.now(UTC))
    writing.ended += session_ids


def session_of(connection: sa.Connection, session_id: str) -> Session:
    """The session of that id.

    Raises:
        WorkerError: ``not_found``.
    """
    session_id = storable(session_id)
    row = connection.execute(_SELECT, {"the_id": session_id, "now": datetime.now(UTC)}).one_or_none()
    if row is None:
        raise no_session(session_id)
    return _from_row(row)


def later(ttl: float | None) -> datetime | None:
    """When a session ends that is used now."""
    return None if ttl is None else datetime.now(UTC) + timedelta(seconds=ttl)


def _to_row(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "created_at": session.created_at,
        "ttl": session.ttl,
        "expires_at": later(session.ttl),
        "metadata": canonical_json(dict(session.metadata)).decode(),
        "lm": canonical_json(asdict(session.lm)).decode(),
        "position": session.position,
        "variables": session.variables,
    }


def _from_row(row: sa.Row[Any]) -> Session:
    lm = orjson.loads(row.lm)
    return Session(
        id=row.id,
        created_at=row.created_at,
        ttl=row.ttl,
        expires_at=row.expires_at,
        metadata=orjson.loads(row.metadata),
        lm=SessionLM(**(lm | {"limits": SessionLimits(**lm["limits"])})),
        position=row.position,
        variables=row.variables,
    )
