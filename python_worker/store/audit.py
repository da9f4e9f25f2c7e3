"""The audit trail in the database."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from python_worker.domain.audit import AuditEntry, AuditEvent, AuditHead, Break, find_breaks, link
from python_worker.store.statement import Statement
from python_worker.store.tables import audit_events, audit_heads, executions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_worker.store.database import Database
    from python_worker.store.statement import Connected

STARTED = "execution_started"
FINISHED = "execution_finished"

# Built once: building a statement costs more than running it on SQLite.
_INSERT = Statement(sa.insert(audit_events))
_OF_EXECUTION = Statement(
    sa.select(audit_events)
    .where(audit_events.c.execution_id == sa.bindparam("the_execution"))
    .order_by(audit_events.c.chain, audit_events.c.sequence)
)
_INSERT_HEAD = Statement(
    sa.text(
        "INSERT INTO audit_heads (chain, sequence, digest) VALUES (:chain, :sequence, :digest) ON CONFLICT DO NOTHING"
    )
)
_LOCK_HEAD = Statement(sa.select(audit_heads).where(audit_heads.c.chain == sa.bindparam("the_chain")).with_for_update())
_UPDATE_HEAD = Statement(
    sa.update(audit_heads)
    .where(audit_heads.c.chain == sa.bindparam("the_chain"))
    .values(sequence=sa.bindparam("sequence"), digest=sa.bindparam("digest"))
)


def append(connection: Connected, chain: str, entries: Sequence[AuditEntry]) -> None:
    """Chain the entries behind the last event, in the connection's transaction.

    The chain's head is locked until that ends: writers queue here, and the order of events is the order of commits.
    """
    head = _locked_head(connection, chain)
    events = link(head, entries)
    _INSERT.run_many(connection, [_to_row(event) for event in events])
    last = {"sequence": events[-1].sequence, "digest": events[-1].digest}
    _UPDATE_HEAD.run(connection, {"the_chain": chain} | last)


def events_of(connection: Connected, execution_id: str) -> list[AuditEvent]:
    """The events of one execution, in order."""
    return [_from_row(row) for row in _OF_EXECUTION.rows(connection, {"the_execution": execution_id})]


class AuditLog:
    """All chains of a database, to be proved."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def verify(self) -> tuple[int, list[Break]]:
        """Walk every chain from its first event.

        Returns:
            How many events there are, and where a chain does not hold, or an execution's values are not those it tells.
        """
        breaks: list[Break] = []
        with self._database.read() as connection:
            count = connection.scalar(sa.select(sa.func.count()).select_from(audit_events)) or 0
            heads = {row.chain: _to_head(row) for row in connection.execute(sa.select(audit_heads))}
            chains = {*heads, *connection.scalars(sa.select(audit_events.c.chain).distinct())}
            for chain in sorted(chains):
                head = heads.get(chain, AuditHead(chain=chain))
                breaks += find_breaks(head, _walk(connection, chain))
            breaks += _changed_values(connection)
        return count, breaks


def _changed_values(connection: sa.Connection) -> Iterator[Break]:
    kept = sa.select(audit_events, executions.c.inputs, executions.c.outputs).outerjoin(
        executions, executions.c.id == audit_events.c.execution_id
    )
    for row in connection.execute(kept.where(audit_events.c.kind.in_([STARTED, FINISHED]))):
        field = "inputs" if row.kind == STARTED else "outputs"
        text = getattr(row, field)
        found = "gone" if text is None else hashlib.sha256(text.encode()).hexdigest()
        if _recorded(row.payload, f"{field}_sha256") != found:
            what = f"the execution's {field} are not those that were put on record"
            yield Break(chain=row.chain, sequence=row.sequence, execution_id=row.execution_id, what=what)


def _recorded(payload: str, name: str) -> object:
    try:
        return orjson.loads(payload)[name]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None  # a payload that was changed beyond reading records nothing


def _walk(connection: sa.Connection, chain: str) -> Iterator[AuditEvent]:
    query = sa.select(audit_events).where(audit_events.c.chain == chain).order_by(audit_events.c.sequence)
    for row in connection.execution_options(yield_per=1000).execute(query):
        yield _from_row(row)


def _locked_head(connection: Connected, chain: str) -> AuditHead:
    found = _LOCK_HEAD.rows(connection, {"the_chain": chain})
    if not found:
        new = AuditHead(chain=chain)
        _INSERT_HEAD.run(connection, {"chain": chain, "sequence": new.sequence, "digest": new.digest})
        found = _LOCK_HEAD.rows(connection, {"the_chain": chain})
    return _to_head(found[0])


def _to_head(row: Any) -> AuditHead:
    return AuditHead(chain=row.chain, sequence=row.sequence, digest=row.digest)


def _to_row(event: AuditEvent) -> dict[str, Any]:
    return {
        "chain": event.chain,
        "sequence": event.sequence,
        "execution_id": event.entry.execution_id,
        "kind": event.entry.kind,
        "at": event.entry.at,
        "payload": event.entry.payload,
        "previous": event.previous,
        "digest": event.digest,
    }


def _from_row(row: Any) -> AuditEvent:
    return AuditEvent(
        chain=row.chain,
        sequence=row.sequence,
        entry=AuditEntry(execution_id=row.execution_id, kind=row.kind, at=row.at, payload=row.payload),
        previous=row.previous,
        digest=row.digest,
    )
