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

WORKER_CHAIN = "worker"
"""The chain of what happens outside any session."""


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
        sequence: The first event that is wrong.
        execution_id: The execution it speaks of, or "" where the event itself is gone.
        what: What is wrong with it.
    """

    chain: str
    sequence: int
    execution_id: str
    what: str

    def __str__(self) -> str:
        of = f" (execution {self.execution_id})" if self.execution_id else ""
        return f"chain {self.chain!r}, event {self.sequence}{of}: {self.what}"


def link(head: AuditHead, entries: Iterable[AuditEntry]) -> list[AuditEvent]:
    """The entries as the next events of a chain."""
    events: list[AuditEvent] = []
    for entry in entries:
        sequence, previous = head.sequence + 1, head.digest
        digest = digest_of(chain=head.chain, sequence=sequence, entry=entry, previous=previous)
        events.append(AuditEvent(chain=head.chain, sequence=sequence, entry=entry, previous=previous, digest=digest))
        head = AuditHead(chain=head.chain, sequence=sequence, digest=digest)
    return events


def digest_of(*, chain: str, sequence: int, entry: AuditEntry, previous: str) -> str:
    """SHA-256 over the canonical JSON list of everything an event says."""
    said = [previous, chain, sequence, entry.execution_id, entry.kind, entry.at, entry.payload]
    return hashlib.sha256(canonical_json(said)).hexdigest()


def find_breaks(head: AuditHead, events: Iterable[AuditEvent]) -> Iterator[Break]:
    """Where the events of one chain, in order, differ from what was linked.

    An event whose content was changed is named, and so is a gap and a missing tail. The walk goes on from each event's
    own digest, so one changed row is one break.
    """
    expected = AuditHead(chain=head.chain)
    for event in events:
        if what := _wrong_with(event, expected):
            yield Break(chain=head.chain, sequence=event.sequence, execution_id=event.entry.execution_id, what=what)
        expected = AuditHead(chain=head.chain, sequence=event.sequence, digest=event.digest)
    if expected != head:
        what = f"the chain's head remembers event {head.sequence} with digest {head.digest[:12]}…, and it is not there"
        yield Break(chain=head.chain, sequence=expected.sequence + 1, execution_id="", what=what)


def _wrong_with(event: AuditEvent, before: AuditHead) -> str:
    if event.sequence != before.sequence + 1:
        return f"events {before.sequence + 1} to {event.sequence - 1} before it are gone"
    if event.previous != before.digest:
        return "it does not follow the event before it"
    digest = digest_of(chain=event.chain, sequence=event.sequence, entry=event.entry, previous=event.previous)
    return "" if digest == event.digest else "its content differs from its digest: it was changed after it was written"
