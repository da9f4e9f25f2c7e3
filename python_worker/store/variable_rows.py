"""The rows of variables: how they are found, read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from python_worker.domain.value import canonical_json, storable
from python_worker.domain.variable import Variable
from python_worker.store.statement import Statement
from python_worker.store.tables import Moment, sessions, to_moment, to_number, variables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_worker.domain.repositories import ValueCodec
    from python_worker.store.statement import Connected

_AT_ONCE = 500
"""How many keys one query looks for."""

_EMPTY = "{}"

# Times stay numbers, so that a row of SQLAlchemy's is like one of the driver's.
_PLAIN = [
    sa.type_coerce(column, sa.BigInteger).label(column.name) if isinstance(column.type, Moment) else column
    for column in variables.c
]

# Built once: building a statement costs more than running it on SQLite.
_of_session = variables.c.session_id == sa.bindparam("the_session")
_keys: sa.BindParameter[list[str]] = sa.bindparam("keys", expanding=True)
_MANY = sa.select(*_PLAIN).where(_of_session, sa.or_(variables.c.name.in_(_keys), variables.c.id.in_(_keys)))
_MANY_BY_NAME = sa.select(*_PLAIN).where(_of_session, variables.c.name.in_(_keys))
_ONE = (
    sa.select(variables, sessions.c.ttl, sessions.c.expires_at)
    .join(sessions, sessions.c.id == variables.c.session_id)
    .where(_of_session)
)
_ONE_BY_NAME = Statement(_ONE.where(variables.c.name == sa.bindparam("key")))
_ONE_BY_EITHER = Statement(
    _ONE.where(sa.or_(variables.c.name == sa.bindparam("key"), variables.c.id == sa.bindparam("key")))
)
ALL = sa.select(*_PLAIN).where(_of_session).order_by(variables.c.position)
NAMES = sa.select(variables.c.name).where(_of_session)


def find_one(connection: Connected, session_id: str, key: str) -> Any | None:
    """The row of the id, else of the name, with its session's times."""
    query = _ONE_BY_EITHER if key.startswith("var_") else _ONE_BY_NAME
    rows = query.rows(connection, {"the_session": session_id, "key": key})
    return next((row for row in rows if row.id == key), rows[0] if rows else None)


def find(connection: sa.Connection, session_id: str, keys: Sequence[str]) -> dict[str, Any]:
    """The rows of the keys there are; an id goes before a name."""
    if len(keys) == 1:
        one = find_one(connection, session_id, storable(keys[0]))
        return {storable(keys[0]): one} if one else {}
    rows: list[sa.Row[Any]] = []
    asked = list(dict.fromkeys(map(storable, keys)))
    for start in range(0, len(asked), _AT_ONCE):
        some = asked[start : start + _AT_ONCE]
        query = _MANY if any(key.startswith("var_") for key in some) else _MANY_BY_NAME
        rows += connection.execute(query, {"the_session": session_id, "keys": some})
    either = {row.name: row for row in rows} | {row.id: row for row in rows}
    return {key: either[key] for key in asked if key in either}


def from_row(row: Any, codec: ValueCodec) -> Variable:
    """The variable of a row, which is the driver's own or SQLAlchemy's."""
    return Variable(
        id=row.id,
        session=row.session_id,
        name=row.name,
        type=row.type,
        value=codec.load(row.value),
        version=row.version,
        metadata=_metadata(row.metadata),
        created_at=to_moment(row.created_at),
        updated_at=to_moment(row.updated_at),
        position=row.position,
    )


def to_row(variable: Variable, data: bytes) -> dict[str, Any]:
    """The row of a variable, with the bytes of its value."""
    return {
        "id": variable.id,
        "session_id": variable.session,
        "name": variable.name,
        "type": variable.type,
        "value": data,
        "version": variable.version,
        "metadata": canonical_json(dict(variable.metadata)).decode() if variable.metadata else _EMPTY,
        "created_at": to_number(variable.created_at),
        "updated_at": to_number(variable.updated_at),
        "position": variable.position,
    }


def _metadata(text: str) -> dict[str, str]:
    loaded: dict[str, str] = {} if text == _EMPTY else orjson.loads(text)
    return loaded
