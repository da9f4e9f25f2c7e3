"""The whole audit trail of a database: listed, proved, exported."""

from __future__ import annotations

import difflib
import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from python_worker.domain.audit import AuditHead, Break, find_breaks
from python_worker.domain.audit_export import ChainPart
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.played import PlayedCall
from python_worker.domain.recording import Refreshed
from python_worker.domain.signing import NoTrust
from python_worker.domain.truncation import Truncation
from python_worker.store.audit import walk
from python_worker.store.stages import STAGE, calls_of
from python_worker.store.tables import audit_events, audit_heads, audit_truncations, executions
from python_worker.store.trail import FINISHED, REFRESHED, STARTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from python_worker.domain.signing import Trust
    from python_worker.domain.stage import LMCall
    from python_worker.store.database import Database


_PLAYED = "cassette"


@dataclass(frozen=True, kw_only=True)
class OnRecord:
    """An execution, as the trail tells it.

    Attributes:
        at: When it began, ISO 8601, UTC.
        status: ``running`` where its end is not on record.
    """

    chain: str
    execution_id: str
    at: str
    program_id: str
    asked_by: str
    status: str


class AuditLog:
    """All chains of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def executions(
        self, *, execution_id: str | None = None, chain: str | None = None, since: str = "", until: str = "~"
    ) -> Iterator[OnRecord]:
        """The executions on record, the newest first.

        Args:
            execution_id: This one only.
            chain: Of this one only.
            since: From this moment on, ISO 8601, UTC.
            until: Before this one, likewise.
        """
        ends = audit_events.alias("ends")
        ended = sa.and_(ends.c.execution_id == audit_events.c.execution_id, ends.c.kind == FINISHED)
        query = (
            sa.select(audit_events, ends.c.payload.label("ended"))
            .outerjoin(ends, ended)
            .where(audit_events.c.kind == STARTED, audit_events.c.at >= since, audit_events.c.at < until)
            .order_by(audit_events.c.at.desc(), audit_events.c.chain, audit_events.c.sequence.desc())
        )
        if execution_id is not None:
            query = query.where(audit_events.c.execution_id == execution_id)
        if chain is not None:
            query = query.where(audit_events.c.chain == chain)
        with self._database.read() as connection:
            for row in connection.execute(query.execution_options(yield_per=1000)):
                yield OnRecord(
                    chain=row.chain,
                    execution_id=row.execution_id,
                    at=row.at,
                    program_id=str(_recorded(row.payload, "program_id") or ""),
                    asked_by=str(_recorded(row.payload, "asked_by") or ""),
                    status=str(_recorded(row.ended, "status")) if row.ended else "running",
                )

    def verify(self, trust: Trust | None = None, *, against: Sequence[AuditHead] = ()) -> tuple[int, list[Break]]:
        """Walk every chain from where it begins.

        Args:
            trust: Whose signature lets a chain begin behind events that were removed; nobody's when not given.
            against: Where chains ended at some earlier time, as an export proves it: they must have gone on from there.

        Returns:
            How many events there are, and where a chain does not hold, or an execution's values are not those it tells.
        """
        with self._database.read() as connection:
            count, breaks = verify_chains(connection, trust or NoTrust())
            breaks += [found for head in against for found in _departures(connection, head)]
        return count, breaks

    def played(self) -> Iterator[PlayedCall]:
        """The calls that recordings answered, as they are on record."""
        query = (
            sa.select(audit_events)
            .where(audit_events.c.kind == STAGE)
            .order_by(audit_events.c.chain, audit_events.c.sequence)
        )
        with self._database.read() as connection:
            for row in connection.execute(query.execution_options(yield_per=1000)):
                for place, call in enumerate(_calls(row.payload), 1):
                    if call.hit == _PLAYED:
                        yield PlayedCall(
                            chain=row.chain,
                            sequence=row.sequence,
                            execution_id=row.execution_id,
                            place=place,
                            call=call,
                        )

    def refreshed(self) -> Iterator[tuple[str, Refreshed]]:
        """What executions recorded anew beside cassettes, with the execution's id."""
        query = sa.select(audit_events.c.execution_id, audit_events.c.payload).where(audit_events.c.kind == REFRESHED)
        with self._database.read() as connection:
            for execution_id, payload in connection.execute(query):
                yield execution_id, Refreshed(**orjson.loads(payload))

    @contextmanager
    def parts(self, chains: Sequence[str] = ()) -> Iterator[Iterator[ChainPart]]:
        """The chains, or those that are named, at one moment, to be exported.

        Raises:
            WorkerError: ``not_found``: there is no chain of one of the names.
        """
        with self._database.read() as connection:
            names = chain_names(connection)
            _expect(chains, names)
            yield (part_of(connection, chain) for chain in sorted(chains or names))

    def expect(self, chain: str) -> None:
        """See that anything is on record in a chain.

        Raises:
            WorkerError: ``not_found``: nothing is; the message tells the nearest that there are.
        """
        with self._database.read() as connection:
            _expect([chain], chain_names(connection))


def verify_chains(connection: sa.Connection, trust: Trust) -> tuple[int, list[Break]]:
    """How many events there are, and what is wrong with them, or with the executions beside them."""
    breaks: list[Break] = []
    count = connection.scalar(sa.select(sa.func.count()).select_from(audit_events)) or 0
    heads = {row.chain: AuditHead(**row._mapping) for row in connection.execute(sa.select(audit_heads))}  # noqa: SLF001 - public, whatever its name
    for chain in chain_names(connection):
        records = truncations_of(connection, chain)
        breaks += [found for each in records if (found := each.find_break(trust))]
        start = records[-1].start if records else None
        breaks += find_breaks(heads.get(chain, AuditHead(chain=chain)), walk(connection, chain), start=start)
    breaks += _changed_values(connection)
    breaks += _unrecorded(connection)
    return count, breaks


def chain_names(connection: sa.Connection) -> list[str]:
    """Every chain that anything speaks of, sorted."""
    tables = audit_heads, audit_events, audit_truncations
    return sorted({name for table in tables for name in connection.scalars(sa.select(table.c.chain).distinct())})


def _expect(chains: Sequence[str], names: Sequence[str]) -> None:
    if unknown := sorted({*chains}.difference(names)):
        close = [repr(each) for each in difflib.get_close_matches(unknown[0], names)]
        hint = f"; did you mean {' or '.join(close)}?" if close else "."
        raise WorkerError(
            f"no session {unknown[0]!r} is on record{hint} `python -m python_worker audit list` tells whose each "
            "execution is.",
            reason=Reason.NOT_FOUND,
            field="session",
        )


def part_of(connection: sa.Connection, chain: str, *, last: int | None = None) -> ChainPart:
    """A chain to be exported, up to an event where ``last`` names it."""
    records = truncations_of(connection, chain)
    return ChainPart(
        chain=chain, truncation=records[-1] if records else None, events=walk(connection, chain, last=last)
    )


def truncations_of(connection: sa.Connection, chain: str) -> list[Truncation]:
    """The records of what was removed from a chain, in order."""
    query = (
        sa.select(audit_truncations).where(audit_truncations.c.chain == chain).order_by(audit_truncations.c.sequence)
    )
    return [Truncation(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - public, whatever its name


def _departures(connection: sa.Connection, head: AuditHead) -> Iterator[Break]:
    found = connection.scalar(
        sa.select(audit_events.c.digest).where(
            audit_events.c.chain == head.chain, audit_events.c.sequence == head.sequence
        )
    )
    cut = max((each.sequence for each in truncations_of(connection, head.chain)), default=0)
    if found != head.digest and not (found is None and head.sequence <= cut):
        what = "it is not the one that the export was signed over: the chain was written anew, or cut off, since"
        yield Break(chain=head.chain, sequence=head.sequence, execution_id="", what=what)


def _changed_values(connection: sa.Connection) -> Iterator[Break]:
    columns = executions.c.inputs, executions.c.outputs, executions.c.raw_answer, executions.c.status
    kept = (
        sa.select(audit_events, *columns)
        .outerjoin(executions, executions.c.id == audit_events.c.execution_id)
        .where(audit_events.c.kind.in_([STARTED, FINISHED]))
        .order_by(audit_events.c.chain, audit_events.c.sequence)
    )
    for row in connection.execute(kept.execution_options(yield_per=1000)):
        for what in _changed(row):
            told = f"the execution's {what} not what was put on record"
            yield Break(chain=row.chain, sequence=row.sequence, execution_id=row.execution_id, what=told)


def _changed(row: sa.Row[Any]) -> Iterable[str]:
    if row.kind == STARTED:
        return () if _recorded(row.payload, "inputs_sha256") == _digest(row.inputs) else ("inputs are",)
    found = {
        "outputs are": _recorded(row.payload, "outputs_sha256") == _digest(row.outputs),
        "raw answer is": _recorded(row.payload, "raw_answer_sha256") == _digest(row.raw_answer),
        "status is": _recorded(row.payload, "status") == row.status,
    }
    return [what for what, holds in found.items() if not holds]


def _unrecorded(connection: sa.Connection) -> Iterator[Break]:
    for kind, happened, what in (
        (STARTED, sa.true(), "it is among the executions, and no event tells that it began"),
        (FINISHED, executions.c.status != "running", "it is among the executions as ended, and no event tells so"),
    ):
        recorded = sa.exists().where(audit_events.c.execution_id == executions.c.id, audit_events.c.kind == kind)
        query = sa.select(executions.c.id).where(happened, ~recorded).order_by(executions.c.id)
        for execution_id in connection.scalars(query):
            yield Break(chain="", sequence=0, execution_id=execution_id, what=what)


def _calls(payload: str) -> tuple[LMCall, ...]:
    try:
        return calls_of(payload)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return ()  # it was changed beyond reading, which the chain tells


def _digest(text: str | None) -> str | None:
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()


def _recorded(payload: str, name: str) -> object:
    try:
        return orjson.loads(payload)[name]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"no {name}"  # a payload that was changed beyond reading records nothing
