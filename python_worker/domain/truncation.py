"""The signed record that takes the place of the beginning of a chain."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from python_worker.domain.audit import AuditHead, Break
from python_worker.domain.value import canonical_json

if TYPE_CHECKING:
    from python_worker.domain.signing import Signer, Trust


@dataclass(frozen=True, kw_only=True)
class Truncation:
    """That a chain's first events were removed.

    Attributes:
        sequence: The last event that was removed.
        digest: Its digest: the event after it carries it.
        count: How many were removed.
        before: The moment before which they had happened, ISO 8601, UTC.
        at: When they were removed, likewise.
        by: Who removed them.
        public: The key that signed, hexadecimal.
        signature: Over all the rest, hexadecimal.
    """

    chain: str
    sequence: int
    digest: str
    count: int
    before: str
    at: str
    by: str
    public: str = ""
    signature: str = ""

    @property
    def start(self) -> AuditHead:
        """Where what is left of the chain begins."""
        return AuditHead(chain=self.chain, sequence=self.sequence, digest=self.digest)

    def signed(self, signer: Signer) -> Truncation:
        """The same, signed."""
        named = replace(self, public=signer.public)
        return replace(named, signature=signer.sign(named.content))

    def find_break(self, trust: Trust) -> Break | None:
        """What is wrong with its signature, if anything is."""
        why = trust.objection(self.content, public=self.public, signature=self.signature)
        if not why:
            return None
        what = f"the record that events up to this one were removed ({self.at}, by {self.by!r}) proves nothing: {why}"
        return Break(chain=self.chain, sequence=self.sequence, execution_id="", what=what)

    @property
    def content(self) -> bytes:
        """What is signed."""
        return canonical_json(["audit truncation", {**asdict(self), "signature": ""}])
