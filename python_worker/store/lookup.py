"""What a session sees of a table: its own rows and the worker's, by id, else by name."""

from __future__ import annotations

import difflib
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.session import no_session
from python_worker.domain.value import storable
from python_worker.store.statement import Statement
from python_worker.store.tables import Moment, sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from python_worker.store.database import Database
    from python_worker.store.statement import Connected

_MOST_NAMES = 1000
"""How many names are looked at for the nearest one."""

# Not a parameter: a Statement has those alone that it is given.
_NOTHING: sa.ColumnElement[str] = sa.literal_column("''")

_ALIVE = sa.select(sessions.c.id).where(
    sessions.c.id == sa.bindparam("the_id"),
    sa.or_(sessions.c.expires_at.is_(None), sessions.c.expires_at > sa.bindparam("now")),
)


def find(database: Database, table: sa.Table, key: str, *, session: str, what: str) -> Any:
    """The row of that id, else of that name; the session's own before the worker's. Times are numbers.

    Raises:
        WorkerError: ``not_found``; the message tells the nearest name.
    """
    with database.read_once() as driver:
        row = find_in(driver, table, key, session=session)
    if row is None:
        with database.read() as connection:
            raise missing(connection, table, key, session=session, what=what)
    return row


def find_in(connection: Connected, table: sa.Table, key: str, *, session: str) -> Any | None:
    """The same in a transaction; None where there is none."""
    key = storable(key)
    found = _one(table).rows(connection, {"key": key, "session": storable(session)})
    return max(found, key=lambda row: (row.id == key, row.session != ""), default=None)


def find_own(connection: sa.Connection, table: sa.Table, key: str, *, session: str, what: str) -> Any:
    """The session's own one alone, or the worker's where ``session`` is "".

    Raises:
        WorkerError: ``not_found``.
    """
    row = find_in(connection, table, key, session=session)
    if row is None:
        raise missing(connection, table, key, session=session, what=what)
    if row.session != session:
        raise WorkerError(
            f"{what} {key!r} is the worker's, not of session {session!r}: it is changed without a session, by a token "
            "that opens the whole worker.",
            reason=Reason.NOT_FOUND,
            field=what,
        )
    return row


def missing(connection: sa.Connection, table: sa.Table, key: str, *, session: str, what: str) -> WorkerError:
    """The error for what is not there."""
    newest_first = _names(table).order_by(table.c.created_at.desc()).limit(_MOST_NAMES)
    names = [row.name for row in connection.execute(newest_first, {"session": storable(session)})]
    close = difflib.get_close_matches(key, names, n=1)
    where = f" in session {session!r} or shared" if session else ""
    hint = f"; did you mean {close[0]!r}?" if close else f": create it with Create{what.title()} first."
    return WorkerError(f"no {what} {storable(key)!r}{where}{hint}", reason=Reason.NOT_FOUND, field=what)


def page(
    connection: sa.Connection,
    table: sa.Table,
    *,
    session: str,
    matches: Callable[[str], bool],
    after: str,
    most: int,
) -> tuple[Sequence[str], str]:
    """Ids of a page of what a session sees, by name and session, with the token to go on from, "" after the last."""
    seen = connection.execute(_names(table), {"session": storable(session)})
    # Python's order, not the database's: those of PostgreSQL differ by how it was set up.
    named = sorted((f"{row.name} {row.session}", row.id) for row in seen if row.name and matches(row.name))
    rest = [entry for entry in named if entry[0] > after]
    return [key for _, key in rest[:most]], rest[most - 1][0] if len(rest) > most else ""


def expect_session(connection: sa.Connection, session: str, now: datetime) -> None:
    """See that the session is there, and stays until the transaction's end; "" is the worker itself.

    Raises:
        WorkerError: ``not_found``.
    """
    if session and connection.scalar(_ALIVE.with_for_update(read=True), {"the_id": session, "now": now}) is None:
        raise no_session(session)


def retire(connection: sa.Connection, table: sa.Table, session_ids: Sequence[str], now: datetime) -> None:
    """Delete what sessions had that have ended."""
    if session_ids:
        gone = sa.update(table).where(table.c.session.in_(session_ids), table.c.deleted_at.is_(None))
        connection.execute(gone.values(deleted_at=now))


def plain(table: sa.Table) -> list[sa.ColumnElement[Any]]:
    """The columns, with times as numbers: so that a row of the driver's is like one of SQLAlchemy's."""
    return [
        sa.type_coerce(column, sa.BigInteger).label(column.name) if isinstance(column.type, Moment) else column
        for column in table.c
    ]


@cache
def _one(table: sa.Table) -> Statement:
    key: sa.BindParameter[str] = sa.bindparam("key")
    named = sa.or_(table.c.id == key, sa.and_(table.c.name == key, table.c.name != _NOTHING))
    return Statement(sa.select(*plain(table)).where(named, *_seen(table)))


@cache
def _names(table: sa.Table) -> sa.Select[Any]:
    return sa.select(table.c.id, table.c.name, table.c.session).where(*_seen(table))


def _seen(table: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
    mine: sa.BindParameter[str] = sa.bindparam("session")
    return sa.or_(table.c.session == _NOTHING, table.c.session == mine), table.c.deleted_at.is_(None)
