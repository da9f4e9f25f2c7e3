"""Runs that were asked for before, by their idempotency key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.execution import ExecutionStatus
from python_worker.domain.value import canonical_json

if TYPE_CHECKING:
    from concurrent.futures import Future

    from python_worker.domain.ask import Ask
    from python_worker.domain.execution import Execution
    from python_worker.domain.program import Program
    from python_worker.runtime.service import ExecutionService


class Repeats:
    """Answers with the execution that was run.

    Args:
        service: Waits for the end of one that is under way.
    """

    def __init__(self, service: ExecutionService) -> None:
        self._service = service

    def answer(
        self, ask: Ask, program: Program, before: Execution, *, deadline: float, cancelled: Future[None]
    ) -> Execution:
        """The execution that has the key, once it has ended.

        Raises:
            WorkerError: ``already_exists``: it was asked something else; ``timeout`` or ``cancelled``: it has not
                ended yet; or why it did not succeed.
        """
        _check_same(ask, program, before)
        found = self._service.ended(before, deadline=deadline, cancelled=cancelled)
        if found.status is ExecutionStatus.RUNNING:
            raise _not_yet(before.id, cancelled=cancelled.done())
        if found.error:
            raise found.error
        return found


def _check_same(ask: Ask, program: Program, before: Execution) -> None:
    differs = (
        "another program"
        if before.program_id != program.id
        else "another version"
        if ask.version not in {0, before.program_version}
        else "other inputs"
        if canonical_json(before.inputs) != canonical_json(ask.inputs)
        else ""
    )
    if differs:
        raise WorkerError(
            f"execution {before.id!r} has the idempotency key {ask.idempotency_key!r} already, with {differs}: "
            "a key stands for one run; choose a new one.",
            reason=Reason.ALREADY_EXISTS,
            field="idempotency_key",
        )


def _not_yet(execution_id: str, *, cancelled: bool) -> WorkerError:
    reason = Reason.CANCELLED if cancelled else Reason.TIMEOUT
    return WorkerError(
        f"execution {execution_id!r}, which has the idempotency key, is still running: ask again with the same key.",
        reason=reason,
        retryable=not cancelled,
        execution_id=execution_id,
    )
