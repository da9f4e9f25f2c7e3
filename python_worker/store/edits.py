"""The edits of one transaction: made in memory on the rows it has locked, written at its end."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.session import no_session
from python_worker.domain.value import storable
from python_worker.domain.variable import Variable, new_variable_id
from python_worker.domain.watch import Change, ChangeKind
from python_worker.store import changes
from python_worker.store.sessions import ALIVE, touch
from python_worker.store.statement import Statement
from python_worker.store.tables import sessions, to_number, variables
from python_worker.store.variable_rows import find, from_row, names, to_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_worker.domain.repositories import ValueCodec
    from python_worker.domain.variable import Content, Edit
    from python_worker.store.statement import Connected

# Built once: building a statement costs more than running it on SQLite.
_the_session = sessions.c.id == sa.bindparam("the_id")
# Locks the session: writers of one session queue here, and positions are in the order of commits.
_ADVANCE = Statement(
    sa.update(sessions)
    .where(_the_session, ALIVE)
    .values(position=sessions.c.position + sa.bindparam("steps"))
    .returning(sessions.c.position, sessions.c.ttl, sessions.c.variables)
)
_COUNT = Statement(sa.update(sessions).where(_the_session).values(variables=sa.bindparam("count")))
_INSERT = Statement(sa.insert(variables))
_CHANGING = ("value", "version", "metadata", "updated_at", "position")
_UPDATE = Statement(
    sa.update(variables)
    .where(variables.c.id == sa.bindparam("the_id"))
    .values({name: sa.bindparam(name) for name in _CHANGING})
)
_DELETE = Statement(sa.delete(variables).where(variables.c.id == sa.bindparam("the_id")))


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """A variable with the bytes of its value."""

    variable: Variable
    data: bytes


class Edits:
    """What becomes of the variables of one session, until it is written.

    Args:
        connection: In a transaction that writes.
        session_id: Whose variables.
        edits: All that will be made.
        codec: What is kept of a value.
        most: How many variables a session may hold.

    Raises:
        WorkerError: ``not_found``: there is no such session.
    """

    def __init__(
        self, connection: Connected, session_id: str, edits: Sequence[Edit], *, codec: ValueCodec, most: int
    ) -> None:
        self._connection, self._session_id, self._codec, self._most = connection, session_id, codec, most
        self._now = datetime.now(UTC)
        # Both are asked before either is read, which is one trip to PostgreSQL.
        advanced = _ADVANCE.ask(connection, {"the_id": session_id, "now": to_number(self._now), "steps": len(edits)})
        found_of = find(connection, session_id, [edit.key for edit in edits])
        rows, found = advanced.rows(), found_of()
        if not rows:
            raise no_session(session_id)
        row = rows[0]
        touch(connection, session_id, row.ttl)
        self._position, self._count = row.position - len(edits), row.variables
        self._before = {row.id: _Kept(variable=from_row(row, codec), data=row.value) for row in found.values()}
        self._after: dict[str, _Kept | None] = dict(self._before)
        self._ids = {key: row.id for key, row in found.items()}
        self._written: list[tuple[Change, bytes | None]] = []

    @property
    def changes(self) -> list[Change]:
        """What was changed, in order."""
        return [change for change, _ in self._written]

    def make(self, edit: Edit, *, atomic: bool) -> tuple[Variable | None, int] | WorkerError:
        """Make one edit.

        Args:
            edit: The next.
            atomic: Whether a refusal is raised, not returned.

        Returns:
            The variable as it is now, None when deleted, with the change's position; or what refused the edit.
        """
        try:
            return self._make(edit)
        except WorkerError as error:
            if atomic:
                raise
            return error

    def write(self) -> None:
        """Write all that was made."""
        count = self._count
        made = [kept for id_, kept in self._after.items() if kept and id_ not in self._before]
        gone = [{"the_id": id_} for id_ in self._before if self._after[id_] is None]
        # Compared by identity: what no edit has touched is the very same.
        changed = [kept for id_, kept in self._after.items() if kept and kept is not self._before.get(id_, kept)]
        _DELETE.run(self._connection, *gone)  # first: a deleted name may be taken again
        _INSERT.run(self._connection, *(to_row(each.variable, each.data) for each in made))
        rows = (to_row(each.variable, each.data) | {"the_id": each.variable.id} for each in changed)
        _UPDATE.run(self._connection, *rows)
        changes.append(self._connection, self._written)
        if made or gone:
            _COUNT.run(self._connection, {"the_id": self._session_id, "count": count})

    def _make(self, edit: Edit) -> tuple[Variable | None, int]:
        key = storable(edit.key)
        kept = self._after.get(self._ids.get(key, ""))
        before = kept.variable if kept else None
        if before is None and not edit.creates:
            raise no_variable(self._connection, self._session_id, key)
        _check_version(before, edit, key)
        wanted = edit.change(before)
        position = self._position + 1
        after = None
        if wanted is not None:
            after = self._put(kept, wanted, edit, position)
        elif kept is not None:
            self._take_away(kept, edit, position)
        self._position = position
        return after, position

    def _take_away(self, kept: _Kept, edit: Edit, position: int) -> None:
        before = kept.variable
        self._record(
            ChangeKind.DELETED,
            edit,
            before=kept,
            variable=before,
            version=before.version + 1,
            position=position,
            data=None,
        )
        self._after[before.id] = None
        self._count -= 1

    def _put(self, kept: _Kept | None, wanted: Content, edit: Edit, position: int) -> Variable:
        before = kept.variable if kept else None
        name = before.name if before else edit.key
        data = self._codec.dump(wanted.value, name=name)
        if before is None:
            self._check_room()
            self._count += 1
        after = Variable(
            id=before.id if before else new_variable_id(name),
            session=self._session_id,
            name=name,
            type=wanted.type,
            value=wanted.value,
            version=before.version + 1 if before else 1,
            metadata=wanted.metadata,
            created_at=before.created_at if before else self._now,
            updated_at=self._now,
            position=position,
        )
        kind = ChangeKind.SET if before else ChangeKind.REGISTERED
        self._record(kind, edit, before=kept, variable=after, version=after.version, position=position, data=data)
        self._after[after.id] = _Kept(variable=after, data=data)
        self._ids[after.name] = self._ids[after.id] = after.id
        return after

    def _record(
        self,
        kind: ChangeKind,
        edit: Edit,
        *,
        before: _Kept | None,
        variable: Variable,
        version: int,
        position: int,
        data: bytes | None,
    ) -> None:
        change = Change(
            kind=kind,
            session=self._session_id,
            variable_id=variable.id,
            name=variable.name,
            old=before.variable.value if before else None,
            new=None if data is None else variable.value,
            version=version,
            metadata=variable.metadata,
            reason=storable(edit.reason) if edit.reason else "",
            at=self._now,
            position=position,
            size=len(data or b"") + (len(before.data) if before else 0),
        )
        self._written.append((change, data))

    def _check_room(self) -> None:
        if self._count >= self._most:
            raise WorkerError(
                f"session {self._session_id!r} holds {self._count} variables, and the worker lets it have {self._most} "
                "(--max-variables): delete some.",
                reason=Reason.LIMIT,
                field="variable",
            )


def no_variable(connection: Connected, session_id: str, key: str) -> WorkerError:
    """The error for a variable that is not there; it tells the nearest name."""
    close = difflib.get_close_matches(key, names(connection, session_id), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ": register it first."
    return WorkerError(
        f"variable {key[:140]!r} not found in session {session_id!r}{hint}", reason=Reason.NOT_FOUND, field="variable"
    )


def _check_version(before: Variable | None, edit: Edit, key: str) -> None:
    version = before.version if before else 0
    if edit.expected_version is not None and edit.expected_version != version:
        raise WorkerError(
            f"variable {key!r} is at version {version}, not at {edit.expected_version}: someone changed it since. Get "
            "it anew and decide again.",
            reason=Reason.STALE_VERSION,
            field="expected_version",
        )
