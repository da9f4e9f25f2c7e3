"""The audit trail: events that each carry the digest of the one before."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_worker.domain.value import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

GENESIS = "0" * 64
"""What the first event of a chain carries as the digest before it."""

WORKER_CHAIN = "(worker)"
"""The chain of what happens outside any session; no session can have that id."""


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """What is to be put on record.

    Attributes:
        kind: Such as ``execution_started`` or ``stage``.
        at: ISO 8601, UTC.
        payload: Canonical JSON.
    """

    execution_id: str
    kind: str
    at: str
    payload: str


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    """An entry with its place in a chain.

    Attributes:
        sequence: From 1, without gaps.
        previous: The digest of the event before, or ``GENESIS``.
        digest: SHA-256 over all the rest.
    """

    chain: str
    sequence: int
    entry: AuditEntry
    previous: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class AuditHead:
    """The last event of a chain, as the chain's own row remembers it."""

    chain: str
    sequence: int = 0
    digest: str = GENESIS


@dataclass(frozen=True, kw_only=True)
class Break:
    """A place where a chain does not hold.

    Attributes:
        chain: "" where it is about no single chain.
        sequence: The first event that is wrong; 0 where it is about no single event.
        execution_id: The execution it speaks of, or "" where the event itself is gone.
        what: What is wrong with it.
    """

    chain: str
    sequence: int
    execution_id: str
    what: str

    def __str__(self) -> str:
        where = f"chain {self.chain!r}, event {self.sequence}" if self.sequence else f"chain {self.chain!r}"
        of = f" (execution {self.execution_id})" if self.execution_id else ""
        return f"{where if self.chain else 'the whole'}{of}: {self.what}"


def chain_of(session: str) -> str:
    """The chain of a session: its id. What belongs to none is in the worker's own.

    >>> chain_of("ada"), chain_of("")
    ('ada', '(worker)')
    """
    return session or WORKER_CHAIN


def link(head: AuditHead, entries: Iterable[AuditEntry]) -> list[AuditEvent]:
    """The entries as the next events of a chain."""
    events: list[AuditEvent] = []
    chain, previous = head.chain, head.digest
    for sequence, entry in enumerate(entries, head.sequence + 1):
        digest = digest_of(chain=chain, sequence=sequence, entry=entry, previous=previous)
        events.append(AuditEvent(chain=chain, sequence=sequence, entry=entry, previous=previous, digest=digest))
        previous = digest
    return events


def digest_of(*, chain: str, sequence: int, entry: AuditEntry, previous: str) -> str:
    """SHA-256 over the canonical JSON list of everything an event says."""
    said = [previous, chain, sequence, entry.execution_id, entry.kind, entry.at, entry.payload]
    return hashlib.sha256(canonical_json(said)).hexdigest()


class ChainWalk:
    """A walk along one chain, event by event.

    It goes on from each event's own digest, so one changed row is one break.

    Args:
        start: What stands before the first event.
    """

    def __init__(self, start: AuditHead) -> None:
        self.head = start

    def step(self, event: AuditEvent) -> Iterator[Break]:
        """What is wrong with the next event, if anything is."""
        if what := _wrong_with(event, self.head):
            of = event.entry.execution_id
            yield Break(chain=self.head.chain, sequence=event.sequence, execution_id=of, what=what)
        self.head = AuditHead(chain=self.head.chain, sequence=event.sequence, digest=event.digest)

    def end(self, head: AuditHead) -> Iterator[Break]:
        """What is wrong with the chain's end, where ``head`` is what it should be."""
        if self.head == head:
            return
        sequence = self.head.sequence + 1
        what = f"the chain's head remembers event {head.sequence} with digest {head.digest[:12]}…, and it is not there"
        if self.head.sequence > head.sequence:
            sequence = head.sequence + 1
            what = f"the chain's head remembers event {head.sequence} as the last: what follows it was put there"
        yield Break(chain=head.chain, sequence=sequence, execution_id="", what=what)


def find_breaks(head: AuditHead, events: Iterable[AuditEvent], *, start: AuditHead | None = None) -> Iterator[Break]:
    """Where the events of one chain, in order, differ from what was linked.

    Args:
        head: What the chain should end with.
        events: All there are.
        start: What stood before the first of them; the chain's beginning when not given.

    Yields:
        Every event whose content was changed, every gap, and a missing tail.
    """
    walk = ChainWalk(start or AuditHead(chain=head.chain))
    for event in events:
        yield from walk.step(event)
    yield from walk.end(head)


def _wrong_with(event: AuditEvent, before: AuditHead) -> str:
    if event.chain != before.chain:
        return f"it belongs to chain {event.chain!r}"
    if event.sequence <= before.sequence:
        return f"it stands behind event {before.sequence}: it was moved, or is there twice"
    if event.sequence != before.sequence + 1:
        return f"events {before.sequence + 1} to {event.sequence - 1} before it are gone"
    if event.previous != before.digest:
        return "it does not follow the event before it"
    digest = digest_of(chain=event.chain, sequence=event.sequence, entry=event.entry, previous=event.previous)
    return "" if digest == event.digest else "its content differs from its digest: it was changed after it was written"
