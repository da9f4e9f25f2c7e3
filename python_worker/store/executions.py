"""Executions in the database, each with its part of the audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from python_worker.domain.audit import chain_of
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.execution import Execution, ExecutionStatus
from python_worker.domain.value import canonical_json, storable
from python_worker.store import audit, stages
from python_worker.store.failures import dump_error, load_error
from python_worker.store.tables import executions
from python_worker.store.trail import ExecutionTrail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_worker.domain.execution import StageRecord
    from python_worker.store.database import Database

# Built once: building a statement costs more than running it on SQLite.
_INSERT = sa.insert(executions)
_UPDATE = sa.update(executions).where(executions.c.id == sa.bindparam("the_id"))
_SELECT = sa.select(executions).where(executions.c.id == sa.bindparam("the_id"))


class SqlExecutions:
    """``domain.repositories.Executions`` on a database.

    Args:
        database: Migrated.
        trail: What of them is put on record.
    """

    def __init__(self, database: Database, *, trail: ExecutionTrail | None = None) -> None:
        self._database = database
        self._trail = trail or ExecutionTrail()

    def begin(self, execution: Execution) -> None:
        """Keep a run that has begun, with the stages it has behind it."""
        entries = self._trail.begun(execution)
        with self._database.write() as connection:
            connection.execute(_INSERT, _to_row(execution))
            audit.append(connection, chain_of(execution.session), entries)

    def finish(self, execution: Execution, new_stages: Sequence[StageRecord]) -> None:
        """Keep how the run ended, and the stages since ``begin``."""
        entries = self._trail.ended(execution, new_stages)
        with self._database.write() as connection:
            connection.execute(_UPDATE, {"the_id": execution.id} | _to_row(execution))
            audit.append(connection, chain_of(execution.session), entries)

    def get(self, execution_id: str) -> Execution:
        """The run with its trail."""
        execution_id = storable(execution_id)
        with self._database.read() as connection:
            row = connection.execute(_SELECT, {"the_id": execution_id}).one_or_none()
            events = audit.events_of(connection, execution_id)
        if row is None:
            raise WorkerError(
                f"no execution {execution_id!r}: Execute tells its id, and so does the error of one that failed.",
                reason=Reason.NOT_FOUND,
                field="execution_id",
            )
        return _from_row(row, stages.from_entries(event.entry for event in events))


def _to_row(execution: Execution) -> dict[str, Any]:
    return {
        "id": execution.id,
        "program_id": execution.program_id,
        "status": execution.status.value,
        "inputs": canonical_json(execution.inputs).decode(),
        "outputs": canonical_json(execution.outputs).decode(),
        "error": dump_error(execution.error) if execution.error else None,
        "raw_answer": execution.raw_answer,
        "adapter_used": execution.adapter_used,
        "started_at": execution.started_at,
        "duration": execution.duration,
    }


def _from_row(row: sa.Row[Any], trail: tuple[StageRecord, ...]) -> Execution:
    return Execution(
        id=row.id,
        program_id=row.program_id,
        status=ExecutionStatus(row.status),
        inputs=orjson.loads(row.inputs),
        outputs=orjson.loads(row.outputs),
        error=load_error(row.error, execution_id=row.id) if row.error else None,
        raw_answer=row.raw_answer,
        adapter_used=row.adapter_used,
        started_at=row.started_at,
        duration=row.duration,
        stages=trail,
    )
