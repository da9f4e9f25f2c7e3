"""The look-up of a row by id, else by name."""

from __future__ import annotations

import difflib
from functools import cache
from typing import Any

import sqlalchemy as sa

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.value import storable


def by_id_or_name(connection: sa.Connection, table: sa.Table, key: str, *, what: str) -> sa.Row[Any]:
    """The row of that id, else of that name.

    Raises:
        WorkerError: ``not_found``; the message tells the nearest name.
    """
    key = storable(key)
    found = connection.execute(_query(table), {"key": key}).all()
    if found:
        return next((row for row in found if row.id == key), found[0])
    names = connection.scalars(sa.select(table.c.name).order_by(table.c.created_at.desc()).limit(1000)).all()
    close = difflib.get_close_matches(key, names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else f": create it with Create{what.title()} first."
    raise WorkerError(f"no {what} {key!r}{hint}", reason=Reason.NOT_FOUND, field=what)


@cache
def _query(table: sa.Table) -> sa.Select[Any]:
    key: sa.BindParameter[str] = sa.bindparam("key")
    return sa.select(table).where(sa.or_(table.c.id == key, table.c.name == key))
