"""Executions in the database, each with its part of the audit trail."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from python_worker.domain.audit import chain_of
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.execution import ExecutionStatus
from python_worker.domain.stage import Stage
from python_worker.domain.value import storable
from python_worker.store import audit, stages
from python_worker.store.execution_rows import from_row, to_row
from python_worker.store.statement import Statement
from python_worker.store.tables import executions, to_number
from python_worker.store.trail import ExecutionTrail
from python_worker.store.unstored import Ending, Unstored

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from python_worker.domain.execution import Execution, ExecutionQuery
    from python_worker.domain.stage import StageRecord
    from python_worker.store.database import Database
    from python_worker.store.statement import Connected

_LOG = logging.getLogger(__name__)

_COLUMNS = [column.name for column in executions.columns]
_ENDING = [name for name in _COLUMNS if name not in {"id", "inputs", "owner", "started_at"}]
_LOCK_KEY = Statement(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:the_key, 7115103))"))
_IS_RUNNING = executions.c.status == sa.literal_column("'running'")  # as the partial index says it
_INSERT = Statement(sa.insert(executions))
_UPDATE = Statement(
    sa.update(executions)
    .where(executions.c.id == sa.bindparam("the_id"), _IS_RUNNING)
    .values({name: sa.bindparam(name) for name in _ENDING})
    .returning(executions.c.id)
)
_SELECT = Statement(sa.select(executions).where(executions.c.id == sa.bindparam("the_id")))
_BY_KEY = Statement(
    sa.select(executions).where(
        executions.c.session == sa.bindparam("the_session"),
        executions.c.idempotency_key == sa.bindparam("the_key"),
        executions.c.idempotency_key != sa.literal_column("''"),
    )
)

_OWNER = sa.select(executions.c.owner).where(executions.c.id == sa.bindparam("the_id"))
_OWNERS = sa.select(executions.c.owner).where(_IS_RUNNING).distinct()
_IDS_OF = sa.select(executions.c.id).where(_IS_RUNNING, executions.c.owner == sa.bindparam("the_owner"))
_RUNNING_OF = Statement(sa.select(executions).where(_IS_RUNNING, executions.c.owner == sa.bindparam("the_owner")))


class SqlExecutions:
    """``domain.repositories.Executions`` on a database.

    Args:
        database: Migrated.
        owner: The worker whose runs these are, so that they can be told from those of one that is gone.
        trail: What of them is put on record.
    """

    def __init__(self, database: Database, *, owner: str = "", trail: ExecutionTrail | None = None) -> None:
        self._database = database
        self.owner = owner
        self._trail = trail or ExecutionTrail()
        self._unstored = Unstored()

    def begin(self, execution: Execution) -> Execution | None:
        """Keep a run that has begun, with the stages it has behind it."""
        with self._database.write_directly() as connection:
            if execution.idempotency_key:
                # Two that begin at once: on SQLite they take turns already, here the second waits for the first.
                _lock_key(connection, execution)
                asked = {"the_session": execution.session, "the_key": execution.idempotency_key}
                if found := _BY_KEY.rows(connection, asked):
                    return from_row(found[0], _trail(connection, found[0].id))
            _INSERT.run(connection, to_row(execution, owner=self.owner))
            audit.append(connection, chain_of(execution.session), self._trail.begun(execution))
        return None

    def finish(self, execution: Execution, new_stages: Sequence[StageRecord]) -> None:
        """Keep how the run ended, and the stages since ``begin``."""
        ending = self._ending(execution, new_stages)
        try:
            self._store(ending)
        except WorkerError as error:
            self._unstored.add(ending)
            raise _not_stored(execution, error) from error

    def is_unstored(self, execution_id: str) -> bool:
        """Whether it has ended here, and its ending waits for the database."""
        return execution_id in self._unstored

    def store_endings(self) -> None:
        """Store the endings that the database did not take.

        Raises:
            WorkerError: ``unavailable``: it still does not; they go on waiting.
        """
        while ending := self._unstored.oldest:
            try:
                self._store(ending)
            except WorkerError:
                raise
            except Exception:  # noqa: BLE001 - others must not wait for one that cannot be stored
                _LOG.exception("the ending of execution %s is given up", ending.execution_id)
            self._unstored.remove(ending)

    def keep(self, execution: Execution) -> None:
        """Keep a run that has ended and was not begun here: all at once."""
        entries = self._trail.whole(execution)
        row = to_row(execution, owner=self.owner)
        with self._database.write_directly() as connection:
            _INSERT.run(connection, row)
            audit.append(connection, chain_of(execution.session), entries)

    def get(self, execution_id: str) -> Execution:
        """The run with its trail."""
        execution_id = storable(execution_id)
        with self._database.read() as connection:
            rows = _SELECT.rows(connection, {"the_id": execution_id})
            trail = _trail(connection, execution_id)
        if not rows:
            raise WorkerError(
                f"no execution {execution_id!r}: Execute tells its id, and so does the error of one that failed.",
                reason=Reason.NOT_FOUND,
                field="execution_id",
            )
        return from_row(rows[0], trail)

    def list(self, query: ExecutionQuery, *, after: str, most: int) -> tuple[Sequence[Execution], str]:
        """A page of runs, the newest first, without their stages."""
        wanted = sa.select(executions).where(*_conditions(query)).limit(most + 1)
        wanted = wanted.order_by(executions.c.started_at.desc(), executions.c.id.desc())
        if after:
            # As a row, which both databases find by index.
            place = sa.tuple_(executions.c.started_at, executions.c.id)
            wanted = wanted.where(place < sa.tuple_(*map(sa.literal, _place(after))))
        with self._database.read() as connection:
            rows = connection.execute(wanted).all()
        page = rows[:most]
        going_on = f"{page[-1].started_at}.{page[-1].id}" if len(rows) > most else ""
        return [from_row(row, ()) for row in page], going_on

    def owner_of(self, execution_id: str) -> str:
        """The worker that runs, or ran, an execution."""
        with self._database.read() as connection:
            return connection.scalar(_OWNER, {"the_id": execution_id}) or ""

    def owners_of_running(self) -> Sequence[str]:
        """The workers that have left the mark of being under way."""
        with self._database.read() as connection:
            return connection.scalars(_OWNERS).all()

    def interrupt(self, owner: str) -> None:
        """Mark what a worker that is gone left running."""
        self._interrupt(owner, _KILLED, lambda _: True)

    def interrupt_lost(self, find: Callable[[str], object | None]) -> None:
        """Mark what is on record as running here and does not run.

        Args:
            find: The run of that id that is under way in this worker, or None.
        """
        with self._database.read() as connection:
            on_record = connection.scalars(_IDS_OF, {"the_owner": self.owner}).all()
        # In this order: a run that ends meanwhile is stored, or waits for it, before it is under way no more.
        lost = {each for each in on_record if find(each) is None and not self.is_unstored(each)}
        if lost:
            self._interrupt(self.owner, _LOST, lost.__contains__)

    def _interrupt(self, owner: str, why: str, concerns: Callable[[str], bool]) -> None:
        with self._database.write() as connection:
            for row in _RUNNING_OF.rows(connection, {"the_owner": owner}):
                if concerns(row.id):
                    _end(connection, self._ending(_interrupted(from_row(row, ()), why), ()))

    def _ending(self, execution: Execution, new_stages: Sequence[StageRecord]) -> Ending:
        row = to_row(execution, owner=self.owner)
        return Ending(
            execution_id=execution.id,
            chain=chain_of(execution.session),
            row={name: row[name] for name in _ENDING},
            entries=self._trail.ended(execution, new_stages),
        )

    def _store(self, ending: Ending) -> None:
        with self._database.write_directly() as connection:
            _end(connection, ending)


def _end(connection: Connected, ending: Ending) -> None:
    # Another worker that saw this one as gone may have told an ending already, and a trail has one.
    if _UPDATE.rows(connection, {"the_id": ending.execution_id} | dict(ending.row)):
        audit.append(connection, ending.chain, ending.entries)


_KILLED = "the worker that ran it was killed, or lost its machine"
_LOST = "the worker that ran it could not store how it ended, as the database did not answer"


def _interrupted(execution: Execution, why: str) -> Execution:
    error = WorkerError(
        f"{why}; what its model calls did is not known, and they may cost money. The same call may succeed now.",
        reason=Reason.INTERRUPTED,
        retryable=True,
        execution_id=execution.id,
        stage=Stage.ADAPTER_EXECUTION,
    )
    return replace(execution, status=ExecutionStatus.FAILED, error=error)


def _not_stored(execution: Execution, error: WorkerError) -> WorkerError:
    return WorkerError(
        f"execution {execution.id!r} has ended as {execution.status}, and that could not be stored: {error.message} "
        "The worker keeps it in memory until the database answers: then GetExecution tells it, and so does the same "
        "call if it had an idempotency key; without one, the same call runs again.",
        reason=error.reason,
        retryable=error.retryable,
        execution_id=execution.id,
    )


def _conditions(query: ExecutionQuery) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if query.session is not None:
        found.append(executions.c.session == storable(query.session))
    if query.program_id is not None:
        found.append(executions.c.program_id == storable(query.program_id))
    if query.statuses:
        found.append(executions.c.status.in_([status.value for status in query.statuses]))
    if query.since is not None:
        found.append(executions.c.started_at >= to_number(query.since))
    if query.until is not None:
        found.append(executions.c.started_at < to_number(query.until))
    return found


def _place(after: str) -> tuple[int, str]:
    number, _, execution_id = storable(after).partition(".")
    try:
        return int(number), execution_id
    except ValueError as error:
        raise WorkerError(
            f"{after[:120]!r} is no token of a page: give the next_page_token of the page before as it is.",
            reason=Reason.INVALID_ARGUMENT,
            field="page_token",
        ) from error


def _lock_key(connection: Connected, execution: Execution) -> None:
    if connection.dialect.name == "postgresql":
        _LOCK_KEY.run(connection, {"the_key": f"{execution.session}\n{execution.idempotency_key}"})


def _trail(connection: Connected, execution_id: str) -> tuple[StageRecord, ...]:
    return stages.from_entries(event.entry for event in audit.events_of(connection, execution_id))
