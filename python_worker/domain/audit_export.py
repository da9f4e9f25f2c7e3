"""An audit trail as JSON Lines that prove themselves: their last line is signed over all the others.

The first line is ``export``; then each chain's ``chain`` line, which tells where it begins, and its ``event`` lines;
the last is ``head``. Every line is canonical JSON.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import orjson

from python_worker.domain.audit import AuditEntry, AuditEvent, AuditHead, Break, ChainWalk
from python_worker.domain.truncation import Truncation
from python_worker.domain.value import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from python_worker.domain.signing import Signer, Trust

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class ChainPart:
    """A chain, or its beginning.

    Attributes:
        truncation: What takes the place of events that were removed before, or None.
        events: In order.
    """

    chain: str
    truncation: Truncation | None
    events: Iterable[AuditEvent]

    @property
    def start(self) -> AuditHead:
        """What stands before the first event."""
        return self.truncation.start if self.truncation else AuditHead(chain=self.chain)


def to_lines(parts: Iterable[ChainPart], *, at: str, signer: Signer) -> Iterator[bytes]:
    """The lines of an export, each with its line end.

    Args:
        parts: The chains, by name; each's events are taken before the next is.
        at: ISO 8601, UTC.
        signer: Signs the last line.
    """
    whole, count, heads = hashlib.sha256(), 0, []

    def line(kind: str, said: dict[str, Any]) -> bytes:
        text = canonical_json({"type": kind, **said}) + b"\n"
        whole.update(text)
        return text

    yield line("export", {"format": FORMAT, "at": at})
    for part in parts:
        walk = ChainWalk(part.start)
        yield line("chain", {"chain": part.chain, "truncation": part.truncation and asdict(part.truncation)})
        for event in part.events:
            yield line("event", _event_to_json(event))
            walk.head = AuditHead(chain=part.chain, sequence=event.sequence, digest=event.digest)
            count += 1
        heads.append(asdict(walk.head))
    head = {"at": at, "events": count, "heads": heads, "sha256": whole.hexdigest(), "public": signer.public}
    yield line("head", head | {"signature": signer.sign(_signed_part(head))})


@dataclass(frozen=True, kw_only=True)
class ExportFindings:
    """What an export proves.

    Attributes:
        events: How many it holds.
        heads: Where its chains end.
        breaks: Where it does not hold; empty when it is whole, and signed by a key that counts.
    """

    events: int
    heads: tuple[AuditHead, ...]
    breaks: tuple[Break, ...]


def check_lines(lines: Iterable[bytes], trust: Trust) -> ExportFindings:
    """Prove an export.

    Args:
        lines: With their line ends.
        trust: Whose signature counts.
    """
    check = _Check(trust)
    last = b""
    for line in lines:
        if last:
            check.line(last)
        last = line
    return check.end(last)


class _Check:
    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._whole = hashlib.sha256()
        self._number = self._events = 0
        self._walks: list[ChainWalk] = []
        self._breaks: list[Break] = []

    def line(self, text: bytes) -> None:
        self._number += 1
        self._whole.update(text)
        try:
            said = orjson.loads(text)
            kind = said.pop("type")
            if kind == "event":
                self._event(_event_from_json(said))
            elif kind == "chain":
                self._chain(said)
            elif kind != "export" or said["format"] != FORMAT or self._number != 1:
                self._break(f"line {self._number} is a {kind!r} line, which has no place here")
        except (ValueError, TypeError, KeyError, AttributeError):
            self._break(f"line {self._number} does not read as a line of an export")

    def end(self, last: bytes) -> ExportFindings:
        heads = self._head(last)
        if heads is None:
            what = "the last line is not the signed head of an export: the file is cut off, or its end was changed"
            self._breaks.append(Break(chain="", sequence=0, execution_id="", what=what))
        return ExportFindings(events=self._events, heads=heads or (), breaks=tuple(self._breaks))

    def _chain(self, said: dict[str, Any]) -> None:
        truncation = Truncation(**said["truncation"]) if said["truncation"] else None
        if truncation and (found := truncation.find_break(self._trust)):
            self._breaks.append(found)
        part = ChainPart(chain=said["chain"], truncation=truncation, events=())
        self._walks.append(ChainWalk(part.start))

    def _event(self, event: AuditEvent) -> None:
        self._events += 1
        self._breaks += self._walks[-1].step(event) if self._walks else ()

    def _head(self, text: bytes) -> tuple[AuditHead, ...] | None:
        try:
            said = orjson.loads(text)
            heads = tuple(AuditHead(**head) for head in said["heads"])
            signature, kind = said.pop("signature"), said.pop("type")
            if kind != "head" or canonical_json({"type": kind, "signature": signature, **said}) + b"\n" != text:
                return None
            why = self._trust.objection(_signed_part(said), public=said["public"], signature=signature)
            self._compare(said, heads, why)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
        return heads

    def _compare(self, said: dict[str, Any], heads: tuple[AuditHead, ...], why: str) -> None:
        walks = {walk.head.chain: walk for walk in self._walks}
        for head in heads:
            self._breaks += walks.pop(head.chain, ChainWalk(AuditHead(chain=head.chain))).end(head)
        if why:
            self._break(f"the signed head proves nothing: {why}", chain="")
        elif walks or said["events"] != self._events or said["sha256"] != self._whole.hexdigest():
            self._break(
                f"{self._events} events, and not byte for byte the {said['events']} that the head was signed over",
                chain="",
            )

    def _break(self, what: str, *, chain: str | None = None) -> None:
        head = self._walks[-1].head if self._walks and chain is None else AuditHead(chain="", sequence=-1)
        self._breaks.append(Break(chain=head.chain, sequence=head.sequence + 1, execution_id="", what=what))


def _signed_part(head: dict[str, Any]) -> bytes:
    return canonical_json(["audit export", head])


def _event_to_json(event: AuditEvent) -> dict[str, Any]:
    return {
        "chain": event.chain,
        "sequence": event.sequence,
        **asdict(event.entry),
        "previous": event.previous,
        "digest": event.digest,
    }


def _event_from_json(said: dict[str, Any]) -> AuditEvent:
    place = {name: said.pop(name) for name in ("chain", "sequence", "previous", "digest")}
    if not isinstance(place["sequence"], int):
        raise TypeError
    return AuditEvent(entry=AuditEntry(**said), **place)
