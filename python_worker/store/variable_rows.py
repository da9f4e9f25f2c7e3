"""The rows of variables: how they are found, read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from python_worker.domain.value import canonical_json, storable
from python_worker.domain.variable import Variable
from python_worker.store.statement import Statement
from python_worker.store.tables import sessions, to_moment, to_number, variables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.sql.compiler import SQLCompiler

    from python_worker.domain.repositories import ValueCodec
    from python_worker.store.statement import Connected

_EMPTY = "{}"


class _Elements(FunctionElement[str]):
    """The texts of a JSON array, as rows of one column: many keys as one parameter."""

    inherit_cache = True


@compiles(_Elements, "sqlite")
def _(element: _Elements, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_Elements, "postgresql")
def _(element: _Elements, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_array_elements_text(CAST({compiler.process(element.clauses, **options)} AS json))"


# Built once: building a statement costs more than running it on SQLite.
_of_session = variables.c.session_id == sa.bindparam("the_session")
_key: sa.BindParameter[str] = sa.bindparam("key")
_keys = sa.select(_Elements(sa.bindparam("keys")).table_valued("value").c.value)
_ONE = (
    sa.select(variables, sessions.c.ttl, sessions.c.expires_at)
    .join(sessions, sessions.c.id == variables.c.session_id)
    .where(_of_session)
)
_ONE_BY_NAME = Statement(_ONE.where(variables.c.name == _key))
_ONE_BY_EITHER = Statement(_ONE.where(sa.or_(variables.c.name == _key, variables.c.id == _key)))
_ALL = sa.select(variables).where(_of_session)
_MANY_BY_NAME = Statement(_ALL.where(variables.c.name.in_(_keys)))
_MANY_BY_EITHER = Statement(_ALL.where(sa.or_(variables.c.name.in_(_keys), variables.c.id.in_(_keys))))
_IN_ORDER = Statement(_ALL.order_by(variables.c.position))
_NAMES = Statement(sa.select(variables.c.name).where(_of_session))


def find_one(connection: Connected, session_id: str, key: str) -> Any | None:
    """The row of the id, else of the name, with its session's times."""
    query = _ONE_BY_EITHER if _may_be_id(key) else _ONE_BY_NAME
    rows = query.rows(connection, {"the_session": session_id, "key": key})
    return next((row for row in rows if row.id == key), rows[0] if rows else None)


def find(connection: Connected, session_id: str, keys: Sequence[str]) -> Callable[[], dict[str, Any]]:
    """The rows of the keys there are; an id goes before a name. What comes back is called to read the answer."""
    asked = list(dict.fromkeys(map(storable, keys)))
    either = any(map(_may_be_id, asked))
    if len(asked) == 1:
        query = _ONE_BY_EITHER if either else _ONE_BY_NAME
        answer = query.ask(connection, {"the_session": session_id, "key": asked[0]})
    else:
        query = _MANY_BY_EITHER if either else _MANY_BY_NAME
        answer = query.ask(connection, {"the_session": session_id, "keys": orjson.dumps(asked).decode()})

    def read() -> dict[str, Any]:
        rows = answer.rows()
        found = {row.name: row for row in rows} | {row.id: row for row in rows}
        return {key: found[key] for key in asked if key in found}

    return read


def in_order(connection: Connected, session_id: str) -> list[Any]:
    """All rows of a session, by their last change."""
    return _IN_ORDER.rows(connection, {"the_session": session_id})


def names(connection: Connected, session_id: str) -> list[str]:
    """The names of a session's variables."""
    return [row.name for row in _NAMES.rows(connection, {"the_session": session_id})]


def _may_be_id(key: str) -> bool:
    return key.startswith("var_")


def from_row(row: Any, codec: ValueCodec) -> Variable:
    """The variable of a row."""
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
