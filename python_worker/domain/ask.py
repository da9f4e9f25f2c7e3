"""What an execution is asked for with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.value import storable

if TYPE_CHECKING:
    from python_worker.domain.action import Action
    from python_worker.domain.owner import Owner
    from python_worker.domain.value import Fields

LONGEST_TIMEOUT = 86_400.0
MOST_RETRIES = 10
LONGEST_KEY = 200


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A run that somebody wants.

    Attributes:
        program: Id or name.
        timeout: Seconds the run may take, all attempts together.
        session: Whose language model answers and whose programs are meant; "" is the worker's own.
        validate_inputs: Whether the signature's types are held to; otherwise DSPy takes them as they are.
        track_metrics: Whether the execution tells what it used.
        idempotency_key: Unique in the session: a second run with it is not run. "" is none.
        adapters: Where to run, the first that can; the worker's own order where empty.
        retries: How often a retryable failure is tried again.
        actions: Beside those of the program.
        version: Of the program; 0 is the newest.
        asked_by: The token's name; "" where tokens are not asked for.
        owner: The test whose cassette it plays from and records into; None where no test asks.
        refresh: Whether it is to record its own cassette anew, beside what is there.
    """

    program: str
    inputs: Fields
    timeout: float
    session: str = ""
    validate_inputs: bool = True
    track_metrics: bool = False
    idempotency_key: str = ""
    adapters: tuple[str, ...] = ()
    retries: int = 0
    actions: tuple[Action, ...] = ()
    version: int = 0
    asked_by: str = ""
    owner: Owner | None = None
    refresh: bool = False

    def check(self) -> None:
        """See that the numbers and the key are in their bounds.

        Raises:
            WorkerError: ``invalid_argument``, with the field.

        >>> Ask(program="qa", inputs={}, timeout=30.0, retries=3).check()
        """
        if not 0 < self.timeout <= LONGEST_TIMEOUT:
            raise _refused(
                f"a timeout of {self.timeout:g} s: it must be more than 0 and at most {LONGEST_TIMEOUT:g} s.", "timeout"
            )
        if not 0 <= self.retries <= MOST_RETRIES:
            raise _refused(f"{self.retries} retries: it must be from 0 to {MOST_RETRIES}.", "retries")
        if self.version < 0:
            raise _refused(f"version {self.version}: versions count from 1, and 0 is the newest.", "version")
        if len(self.idempotency_key) > LONGEST_KEY or storable(self.idempotency_key) != self.idempotency_key:
            raise _refused(
                f"an idempotency key of {len(self.idempotency_key)} characters: it has at most {LONGEST_KEY}, of valid "
                "Unicode without NUL.",
                "idempotency_key",
            )


def _refused(message: str, field: str) -> WorkerError:
    return WorkerError(message, reason=Reason.INVALID_ARGUMENT, field=field)
