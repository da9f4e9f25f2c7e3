"""A call that was played, as the audit trail has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from python_worker.domain.recording import Recording
    from python_worker.domain.stage import LMCall


@dataclass(frozen=True, kw_only=True, slots=True)
class PlayedCall:
    """A call that a recording answered.

    Attributes:
        chain: The chain of its event.
        sequence: The event.
        execution_id: The execution.
        place: Which of the event's calls it is, from 1.
        call: The call.
    """

    chain: str
    sequence: int
    execution_id: str
    place: int
    call: LMCall

    @property
    def recording(self) -> Recording | None:
        """What answered it; None where the trail is of a version that did not tell."""
        return self.call.recording
