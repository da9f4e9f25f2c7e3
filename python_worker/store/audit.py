"""The audit trail in the database."""

from __future__ import annotations

import functools
import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from python_worker.domain.access import CALLER
from python_worker.domain.audit import AuditEntry, AuditEvent, AuditHead, link
from python_worker.domain.value import canonical_json
from python_worker.store.statement import Statement
from python_worker.store.tables import audit_events, audit_heads

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from python_worker.store.statement import Connected

# Built once: building a statement costs more than running it on SQLite.
# Two may begin a chain at once.
_INSERT_HEAD = Statement(
    sa.text(
        "INSERT INTO audit_heads (chain, sequence, digest) VALUES (:chain, :sequence, :digest) ON CONFLICT DO NOTHING"
    )
)
_OF_EXECUTION = Statement(
    sa.select(audit_events)
    .where(audit_events.c.execution_id == sa.bindparam("the_execution"))
    .order_by(audit_events.c.chain, audit_events.c.sequence)
)
_LOCK_HEAD = Statement(sa.select(audit_heads).where(audit_heads.c.chain == sa.bindparam("the_chain")).with_for_update())
_UPDATE_HEAD = Statement(
    sa.update(audit_heads)
    .where(audit_heads.c.chain == sa.bindparam("the_chain"))
    .values(sequence=sa.bindparam("sequence"), digest=sa.bindparam("digest"))
)

_MOST_ROWS = {"sqlite": 32, "postgresql": 6}
"""In a statement. PostgreSQL's driver reads one of more than fifty parameters anew each time; an event has eight."""


def append(connection: Connected, chain: str, entries: Sequence[AuditEntry]) -> None:
    """Chain the entries behind the last event, in the connection's transaction.

    The chain's head is locked until that ends: writers of one chain queue here, and the order of its events is the
    order of commits.
    """
    events, most = link(lock_head(connection, chain), entries), _MOST_ROWS[connection.dialect.name]
    for start in range(0, len(events), most):
        _insert(connection, events[start : start + most])
    last = {"sequence": events[-1].sequence, "digest": events[-1].digest}
    _UPDATE_HEAD.run(connection, {"the_chain": chain} | last)


def note(connection: Connected, chain: str, kind: str, said: Mapping[str, object]) -> None:
    """Put on record, in the connection's transaction, what happened beside executions, and who asked for it."""
    payload = canonical_json({**said, "asked_by": CALLER.get().name}).decode()
    entry = AuditEntry(execution_id="", kind=kind, at=datetime.now(UTC).isoformat(), payload=payload)
    append(connection, chain, [entry])


def lock_head(connection: Connected, chain: str) -> AuditHead:
    """The chain's head, locked until the transaction ends; made where there is none."""
    if not (rows := _LOCK_HEAD.rows(connection, {"the_chain": chain})):
        new = AuditHead(chain=chain)
        _INSERT_HEAD.run(connection, {"chain": chain, "sequence": new.sequence, "digest": new.digest})
        rows = _LOCK_HEAD.rows(connection, {"the_chain": chain})
    return AuditHead(chain=rows[0].chain, sequence=rows[0].sequence, digest=rows[0].digest)


def events_of(connection: Connected, execution_id: str) -> list[AuditEvent]:
    """The events of one execution, in order."""
    return [_from_row(row) for row in _OF_EXECUTION.rows(connection, {"the_execution": execution_id})]


def walk(connection: sa.Connection, chain: str, *, last: int | None = None) -> Iterator[AuditEvent]:
    """The events of a chain in order, up to one where ``last`` names it."""
    query = sa.select(audit_events).where(audit_events.c.chain == chain).order_by(audit_events.c.sequence)
    if last is not None:
        query = query.where(audit_events.c.sequence <= last)
    for row in connection.execute(query.execution_options(yield_per=1000)):
        yield _from_row(row)


def _insert(connection: Connected, events: Sequence[AuditEvent]) -> None:
    statement, names = _inserting(len(events))
    values = itertools.chain.from_iterable(map(_to_row, events))
    statement.run(connection, dict(zip(names, values, strict=True)))


@functools.lru_cache(maxsize=max(_MOST_ROWS.values()))
def _inserting(count: int) -> tuple[Statement, list[str]]:
    """Several rows in one go: on PostgreSQL each statement costs its way there and back. With the parameters' names."""
    columns = audit_events.columns.keys()
    rows: list[dict[str, Any]] = [{name: sa.bindparam(f"{name}_{place}") for name in columns} for place in range(count)]
    return Statement(sa.insert(audit_events).values(rows)), [
        f"{name}_{place}" for place in range(count) for name in columns
    ]


def _to_row(event: AuditEvent) -> tuple[Any, ...]:
    """In the order of the table's columns."""
    entry = event.entry
    said = (entry.execution_id, entry.kind, entry.at, entry.payload)
    return (event.chain, event.sequence, *said, event.previous, event.digest)


def _from_row(row: Any) -> AuditEvent:
    return AuditEvent(
        chain=row.chain,
        sequence=row.sequence,
        entry=AuditEntry(execution_id=row.execution_id, kind=row.kind, at=row.at, payload=row.payload),
        previous=row.previous,
        digest=row.digest,
    )
