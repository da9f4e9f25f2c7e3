"""Programs in the database, each with its versions."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from python_worker.domain.action import Action
from python_worker.domain.audit import chain_of
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.program import Capabilities, Format, Module, Program, ProgramConfig
from python_worker.domain.value import canonical_json, fingerprint, storable
from python_worker.store import audit, lookup
from python_worker.store.signatures import hold, insert
from python_worker.store.tables import program_versions, programs, to_moment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from python_worker.domain.signature import SignatureRecord
    from python_worker.store.database import Database

_INSERT = sa.insert(programs)
_INSERT_VERSION = sa.insert(program_versions)
_ADVANCE = (
    sa.update(programs)
    .where(
        programs.c.id == sa.bindparam("the_id"),
        programs.c.version == sa.bindparam("the_version") - 1,
        programs.c.deleted_at.is_(None),
    )
    .values(version=sa.bindparam("the_version"))
)
_DELETE = (
    sa.update(programs)
    .where(programs.c.id == sa.bindparam("the_id"))
    .values(deleted_at=sa.bindparam("now", type_=programs.c.deleted_at.type))
)
_SELECT = sa.select(
    programs.c.session,
    programs.c.name,
    sa.type_coerce(programs.c.created_at, sa.BigInteger).label("created_at"),
    *lookup.plain(program_versions),
).join(program_versions, program_versions.c.program_id == programs.c.id)
_VERSION = _SELECT.where(
    programs.c.id == sa.bindparam("the_id"), program_versions.c.version == sa.bindparam("the_version")
)
_NEWEST = _SELECT.where(program_versions.c.version == programs.c.version)


class SqlPrograms:
    """``domain.repositories.Programs`` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, program: Program, signature: SignatureRecord | None = None) -> None:
        """Keep the first version of a new one."""
        row = {
            "id": program.id,
            "session": program.session,
            "name": program.name,
            "version": program.version,
            "created_at": program.created_at,
        }
        try:
            with self._database.write() as connection:
                lookup.expect_session(connection, program.session, program.created_at)
                connection.execute(_INSERT, row)
                _insert_version(connection, program, signature)
                _note(connection, program, "program_created")
        except sa.exc.IntegrityError as error:
            raise WorkerError(
                f"there is a program {program.name!r} already: choose another name, or update that one.",
                reason=Reason.ALREADY_EXISTS,
                field="name",
            ) from error

    def add_version(self, program: Program, signature: SignatureRecord | None = None) -> bool:
        """Keep the next version of one, unless another came first."""
        with self._database.write() as connection:
            moved = connection.execute(_ADVANCE, {"the_id": program.id, "the_version": program.version})
            if moved.rowcount:
                _insert_version(connection, program, signature)
                _note(connection, program, "program_updated")
            return bool(moved.rowcount)

    def newest(self, id_or_name: str, *, session: str = "") -> tuple[str, int]:
        """Id and newest version."""
        row = lookup.find(self._database, programs, id_or_name, session=session, what="program")
        return row.id, row.version

    def version(self, program_id: str, version: int) -> Program:
        """That version."""
        with self._database.read() as connection:
            asked = {"the_id": storable(program_id), "the_version": version}
            row = connection.execute(_VERSION, asked).one_or_none()
        if row is None:
            raise WorkerError(
                f"program {program_id!r} has no version {version}: GetProgram tells the newest.",
                reason=Reason.NOT_FOUND,
                field="version",
            )
        return _from_row(row)

    def list(
        self, *, session: str, matches: Callable[[str], bool], after: str, most: int
    ) -> tuple[Sequence[Program], str]:
        """A page by name, newest versions."""
        with self._database.read() as connection:
            ids, token = lookup.page(connection, programs, session=session, matches=matches, after=after, most=most)
            rows = connection.execute(_NEWEST.where(programs.c.id.in_(ids)))
            by_id = {row.program_id: _from_row(row) for row in rows}
        return [by_id[each] for each in ids], token

    def names(self) -> dict[str, str]:
        """What each program is called, or was before it was deleted, by its id, whosever it is."""
        with self._database.read() as connection:
            return {row.id: row.name for row in connection.execute(sa.select(programs.c.id, programs.c.name))}

    def delete(self, id_or_name: str, *, session: str) -> None:
        """Free its name."""
        with self._database.write() as connection:
            row = lookup.find_own(connection, programs, id_or_name, session=session, what="program")
            connection.execute(_DELETE, {"the_id": row.id, "now": datetime.now(UTC)})
            said = {"program_id": row.id, "name": row.name, "version": row.version}
            audit.note(connection, chain_of(session), "program_deleted", said)


def _note(connection: sa.Connection, program: Program, what: str) -> None:
    said = {
        "program_id": program.id,
        "name": program.name,
        "version": program.version,
        "signature_id": program.signature_id,
        "import_path": program.import_path,
        "module": program.module,
        "config_sha256": fingerprint(asdict(program.config)),
        "state_sha256": fingerprint(program.state) if program.state else "",
    }
    audit.note(connection, chain_of(program.session), what, said)


def _insert_version(connection: sa.Connection, program: Program, signature: SignatureRecord | None) -> None:
    if signature:
        insert(connection, signature)
    elif program.signature_id:
        hold(connection, program.signature_id)
    connection.execute(
        _INSERT_VERSION,
        {
            "program_id": program.id,
            "version": program.version,
            "signature_id": program.signature_id or None,
            "module": program.module.value if program.module else "",
            "import_path": program.import_path,
            "config": canonical_json(asdict(program.config)).decode(),
            "state": program.state,
            "actions": canonical_json([asdict(action) for action in program.actions]).decode(),
            "metadata": canonical_json(dict(program.metadata)).decode(),
            "capabilities": canonical_json(asdict(program.capabilities)).decode(),
            "made_at": program.updated_at or program.created_at,
        },
    )


def _from_row(row: Any) -> Program:
    return Program(
        id=row.program_id,
        name=row.name,
        session=row.session,
        version=row.version,
        signature_id=row.signature_id or "",
        module=Module(row.module) if row.module else None,
        import_path=row.import_path,
        config=_config(orjson.loads(row.config)),
        created_at=to_moment(row.created_at),
        updated_at=to_moment(row.made_at) if row.version > 1 else None,
        has_state=bool(row.state),
        state=row.state,
        actions=tuple(Action(**each) for each in orjson.loads(row.actions)),
        metadata=orjson.loads(row.metadata),
        capabilities=Capabilities(**orjson.loads(row.capabilities)),
    )


def _config(data: dict[str, Any]) -> ProgramConfig:
    kept = {
        "demos": tuple(data["demos"]),
        "tools": tuple(data["tools"]),
        "format": Format(data["format"]) if data["format"] else None,
    }
    return ProgramConfig(**(data | kept))
