"""Retention: the beginning of a chain goes only against a signed record that takes its place."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from python_worker.domain.truncation import Truncation
from python_worker.store import audit
from python_worker.store.audit_log import chain_names, part_of
from python_worker.store.tables import audit_events, audit_truncations, executions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from python_worker.domain.audit_export import ChainPart
    from python_worker.domain.signing import Signer
    from python_worker.store.database import Database

TRUNCATED = "audit_truncated"


def truncate(
    database: Database,
    *,
    before: datetime,
    by: str,
    signer: Signer,
    export: Callable[[Iterator[ChainPart]], None] | None,
) -> list[Truncation]:
    """Remove the events of every chain that happened before a moment, and the executions they speak of.

    An execution that goes on beyond the moment stays whole, with all that follows its beginning. All of it is one
    transaction: while it lasts, no execution begins or ends.

    Args:
        database: Migrated.
        before: The moment.
        by: Who removes them.
        signer: Signs the records that take their place.
        export: Given what will be removed, before it is; what it raises keeps everything as it is.

    Returns:
        The records, one for each chain that lost events.
    """
    with database.write() as connection:
        cuts = {chain: _cut(connection, chain, before) for chain in chain_names(connection)}
        records = [
            _record(connection, chain, cut, before=before, by=by).signed(signer) for chain, cut in cuts.items() if cut
        ]
        if records and export:
            export(part_of(connection, each.chain, last=each.sequence) for each in records)
        for each in records:
            _remove(connection, each)
    return records


def _cut(connection: sa.Connection, chain: str, before: datetime) -> int:
    """The last event to go; 0 where none does."""
    head = audit.lock_head(connection, chain)
    of_chain = audit_events.c.chain == chain
    first_kept = connection.scalar(
        sa.select(sa.func.min(audit_events.c.sequence)).where(
            of_chain, audit_events.c.at >= before.astimezone(UTC).isoformat()
        )
    )
    cut = head.sequence if first_kept is None else first_kept - 1
    later = audit_events.alias("later")
    while True:
        goes_on = sa.exists().where(
            later.c.execution_id == audit_events.c.execution_id, later.c.chain == chain, later.c.sequence > cut
        )
        straddling = connection.scalar(
            sa.select(sa.func.min(audit_events.c.sequence)).where(
                of_chain, audit_events.c.sequence <= cut, audit_events.c.execution_id != "", goes_on
            )
        )
        if straddling is None:
            break
        cut = straddling - 1
    first = connection.scalar(sa.select(sa.func.min(audit_events.c.sequence)).where(of_chain))
    return cut if first is not None and first <= cut else 0


def _record(connection: sa.Connection, chain: str, cut: int, *, before: datetime, by: str) -> Truncation:
    of_cut = audit_events.c.chain == chain, audit_events.c.sequence <= cut
    count = connection.scalar(sa.select(sa.func.count()).select_from(audit_events).where(*of_cut)) or 0
    digest = connection.scalars(
        sa.select(audit_events.c.digest).where(audit_events.c.chain == chain, audit_events.c.sequence == cut)
    ).one()
    return Truncation(
        chain=chain,
        sequence=cut,
        digest=digest,
        count=count,
        before=before.astimezone(UTC).isoformat(),
        at=datetime.now(UTC).isoformat(),
        by=by,
    )


def _remove(connection: sa.Connection, record: Truncation) -> None:
    connection.execute(sa.insert(audit_truncations).values(asdict(record)))
    going = audit_events.c.chain == record.chain, audit_events.c.sequence <= record.sequence
    ids = sa.select(audit_events.c.execution_id).where(*going)
    connection.execute(sa.delete(executions).where(executions.c.id.in_(ids)))
    connection.execute(sa.delete(audit_events).where(*going))
    said = {name: value for name, value in asdict(record).items() if name != "chain"}
    audit.note(connection, record.chain, TRUNCATED, said)
