"""The log of changes in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from python_worker.domain.value import canonical_json
from python_worker.domain.watch import Change, ChangeKind
from python_worker.store.statement import Statement
from python_worker.store.tables import to_moment, to_number, variable_changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_worker.domain.repositories import ValueCodec
    from python_worker.store.statement import Connected

KEPT = 100
"""How many versions of a variable are kept at least."""

_before = variable_changes.alias("before")
_LOG = sa.select(variable_changes, _before.c.value.label("old")).select_from(
    variable_changes.outerjoin(
        _before,
        sa.and_(
            _before.c.session_id == variable_changes.c.session_id,
            _before.c.name == variable_changes.c.name,
            _before.c.variable_id == variable_changes.c.variable_id,
            _before.c.version == variable_changes.c.version - sa.literal_column("1"),
        ),
    )
)

# Built once: building a statement costs more than running it on SQLite.
_of_session = variable_changes.c.session_id == sa.bindparam("the_session")
_BETWEEN = Statement(
    _LOG.where(_of_session, variable_changes.c.position.between(sa.bindparam("first"), sa.bindparam("last"))).order_by(
        variable_changes.c.position
    )
)
_OF_NAME = Statement(
    _LOG.where(_of_session, variable_changes.c.name == sa.bindparam("the_name")).order_by(variable_changes.c.version)
)
_INSERT = Statement(sa.insert(variable_changes))
_FORGET = Statement(
    sa.delete(variable_changes).where(
        _of_session,
        variable_changes.c.name == sa.bindparam("the_name"),
        sa.or_(
            variable_changes.c.version <= sa.bindparam("the_version"),
            variable_changes.c.variable_id != sa.bindparam("the_variable"),
        ),
    )
)


def append(connection: Connected, written: Sequence[tuple[Change, bytes | None]]) -> None:
    """Add changes, each with the bytes of its new value; what is older than is kept goes."""
    _INSERT.run(connection, *(_to_row(change, data) for change, data in written))
    _FORGET.run(connection, *filter(None, (_forgotten(change) for change, _ in written)))


def between(connection: Connected, session_id: str, first: int, last: int, codec: ValueCodec) -> list[Change]:
    """The changes of a session from one position to another, both included."""
    rows = _BETWEEN.rows(connection, {"the_session": session_id, "first": first, "last": last})
    return [_from_row(row, codec) for row in rows]


def of_name(connection: Connected, session_id: str, name: str, codec: ValueCodec) -> list[Change]:
    """The changes that are kept of a name, oldest first, whichever variable had it."""
    rows = _OF_NAME.rows(connection, {"the_session": session_id, "the_name": name})
    return [_from_row(row, codec) for row in rows]


def _forgotten(change: Change) -> dict[str, Any] | None:
    """Which rows are not needed any more: of a name, up to a version.

    A deletion leaves itself and the value it took away; a new variable of the name leaves nothing of the one before.
    """
    key = {"the_session": change.session, "the_name": change.name, "the_variable": change.variable_id}
    if change.kind is ChangeKind.DELETED:
        return key | {"the_version": change.version - 2}
    if change.kind is ChangeKind.REGISTERED:
        return key | {"the_version": 0}
    if change.version % KEPT == 0:
        return key | {"the_version": change.version - KEPT}
    return None


def _to_row(change: Change, data: bytes | None) -> dict[str, Any]:
    return {
        "session_id": change.session,
        "position": change.position,
        "variable_id": change.variable_id,
        "name": change.name,
        "kind": change.kind.value,
        "value": data,
        "version": change.version,
        "metadata": canonical_json(dict(change.metadata)).decode() if change.metadata else "{}",
        "reason": change.reason,
        "at": to_number(change.at),
    }


def _from_row(row: Any, codec: ValueCodec) -> Change:
    return Change(
        kind=ChangeKind(row.kind),
        session=row.session_id,
        variable_id=row.variable_id,
        name=row.name,
        old=None if row.old is None else codec.load(row.old),
        new=None if row.value is None else codec.load(row.value),
        version=row.version,
        metadata=orjson.loads(row.metadata),
        reason=row.reason,
        at=to_moment(row.at),
        position=row.position,
        size=len(row.old or b"") + len(row.value or b""),
    )
