"""What may be done with executions beside running one: they are found, listed, waited for and cancelled."""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, wait
from typing import TYPE_CHECKING, Any

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.execution import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from python_worker.domain.execution import Execution, ExecutionQuery
    from python_worker.domain.repositories import Executions, Presence
    from python_worker.runtime.running import Running

_LOOK_AGAIN = 0.1
"""Seconds between looks at a run that is under way in another worker."""


class ExecutionService:
    """The executions there are.

    Args:
        executions: Where they are kept.
        running: Those under way here.
        presence: The other workers on the database.
    """

    def __init__(self, executions: Executions, *, running: Running, presence: Presence) -> None:
        self._executions = executions
        self._running = running
        self._presence = presence

    def get(self, execution_id: str) -> Execution:
        """The execution with its trail, under way or ended.

        Raises:
            WorkerError: ``not_found``.
        """
        run = self._running.find(execution_id)  # first: what ends meanwhile is stored by then
        try:
            return self._executions.get(execution_id)
        except WorkerError as error:
            if run and error.reason is Reason.NOT_FOUND:
                return run.begun  # it can spend nothing, and is stored when it has ended
            raise

    def list(self, query: ExecutionQuery, *, after: str, most: int) -> tuple[Sequence[Execution], str]:
        """A page, the newest first, without their stages, with what to go on from.

        Raises:
            WorkerError: ``invalid_argument``.
        """
        return self._executions.list(query, after=after, most=most)

    def cancel(self, execution_id: str, *, timeout: float, cancelled: Future[None]) -> Execution:
        """Stop it, whoever started it and wherever it runs.

        Args:
            execution_id: Which.
            timeout: Seconds to wait for its end.
            cancelled: Done when nobody waits for the answer any more.

        Returns:
            The execution as it ended; one that had ended already is left as it is.

        Raises:
            WorkerError: ``not_found``; ``unavailable``: the worker that runs it does not hear, or it has ended and
                that is not stored yet; ``timeout``: it was told and has not ended yet.
        """
        execution = self.get(execution_id)
        if execution.status is not ExecutionStatus.RUNNING:
            return execution
        if not self._running.cancel(execution_id):
            self._check_stored(execution_id)
            if not self._presence.ask_to_cancel(execution_id):
                return self._ended_meanwhile(execution_id)
        execution = self.ended(execution, deadline=time.monotonic() + timeout, cancelled=cancelled)
        if execution.status is ExecutionStatus.RUNNING:
            raise WorkerError(
                f"execution {execution_id!r} was told to stop, and has not ended yet: GetExecution tells when it has.",
                reason=Reason.TIMEOUT,
                retryable=True,
                execution_id=execution_id,
            )
        return execution

    def ended(self, execution: Execution, *, deadline: float, cancelled: Future[None]) -> Execution:
        """The execution once it has ended; as it is, where the deadline or the cancellation come first.

        Raises:
            WorkerError: ``unavailable``: it has ended, and that is not stored by then.
        """
        while execution.status is ExecutionStatus.RUNNING and (left := deadline - time.monotonic()) > 0:
            run = self._running.find(execution.id)
            awaited: set[Future[Any]] = {cancelled, run.ended} if run else {cancelled}
            wait(awaited, timeout=left if run else min(left, _LOOK_AGAIN), return_when=FIRST_COMPLETED)
            execution = self.get(execution.id)
            if cancelled.done():
                break
        if execution.status is ExecutionStatus.RUNNING:
            self._check_stored(execution.id)
        return execution

    def _ended_meanwhile(self, execution_id: str) -> Execution:
        execution = self.get(execution_id)
        if execution.status is not ExecutionStatus.RUNNING:
            return execution
        raise WorkerError(
            f"execution {execution_id!r} runs in another worker on this SQLite file, which does not hear: it was "
            "killed, or is no process of this machine. Cancel it there; what a killed worker left is marked as "
            "interrupted when a worker starts alone on the file.",
            reason=Reason.UNAVAILABLE,
            execution_id=execution_id,
        )

    def _check_stored(self, execution_id: str) -> None:
        if self._executions.is_unstored(execution_id):
            raise WorkerError(
                f"execution {execution_id!r} has ended, and that could not be stored yet: the worker keeps it in "
                "memory until the database answers. Ask again: GetExecution tells how it ended then.",
                reason=Reason.UNAVAILABLE,
                retryable=True,
                execution_id=execution_id,
            )
