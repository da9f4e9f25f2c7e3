"""Programs in the database."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from python_worker.domain.audit import chain_of
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.program import Module, Program, ProgramConfig
from python_worker.domain.value import canonical_json
from python_worker.store import audit
from python_worker.store.lookup import by_id_or_name
from python_worker.store.tables import programs

if TYPE_CHECKING:
    from python_worker.store.database import Database


class SqlPrograms:
    """``domain.repositories.Programs`` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, program: Program) -> None:
        """Keep a new one."""
        row = {
            "id": program.id,
            "name": program.name,
            "signature_id": program.signature_id,
            "module": program.module.value,
            "config": canonical_json(asdict(program.config)).decode(),
            "created_at": program.created_at,
        }
        try:
            with self._database.write() as connection:
                connection.execute(sa.insert(programs).values(row))
                said = {"program_id": program.id, "name": program.name, "version": program.version}
                audit.note(connection, chain_of(program.session), "program_created", said)
        except sa.exc.IntegrityError as error:
            raise WorkerError(
                f"there is a program {program.name!r} already: choose another name, or get that one.",
                reason=Reason.ALREADY_EXISTS,
                field="name",
            ) from error

    def get(self, id_or_name: str) -> Program:
        """The one of that id, else of that name."""
        with self._database.read() as connection:
            row = by_id_or_name(connection, programs, id_or_name, what="program")
        return Program(
            id=row.id,
            name=row.name,
            signature_id=row.signature_id,
            module=Module(row.module),
            config=_config(orjson.loads(row.config)),
            created_at=row.created_at,
        )


def _config(data: dict[str, Any]) -> ProgramConfig:
    return ProgramConfig(**(data | {"demos": tuple(data["demos"]), "tools": tuple(data["tools"])}))
