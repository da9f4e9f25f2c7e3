"""The methods of executions."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING

from python_worker.domain.errors import Reason, WorkerError
from python_worker.wire.durations import seconds
from python_worker.wire.executions import execution_to_wire
from python_worker.wire.values import fields_from_wire

if TYPE_CHECKING:
    import grpc

    from python_worker.domain.repositories import Executions
    from python_worker.runtime.executor import Executor
    from python_worker.v1 import worker_pb2 as pb

LONGEST_TIMEOUT = 86_400


class ExecutionMethods:
    """The part of the servicer that runs programs; the servicer says what with."""

    _executor: Executor
    _executions: Executions
    _default_timeout: float

    def Execute(self, request: pb.ExecuteRequest, context: grpc.ServicerContext) -> pb.Execution:  # noqa: N802
        """Run a program until it ends, or nobody waits for it any more."""
        execution = self._executor.execute(
            request.program,
            fields_from_wire(request.inputs),
            timeout=self._timeout(request, context),
            cancelled=_cancellation(context),
            session=request.session,
        )
        return execution_to_wire(execution)

    def GetExecution(self, request: pb.GetExecutionRequest, context: grpc.ServicerContext) -> pb.Execution:  # noqa: N802, ARG002
        """Tell an execution with its trail."""
        return execution_to_wire(self._executions.get(request.execution_id))

    def _timeout(self, request: pb.ExecuteRequest, context: grpc.ServicerContext) -> float:
        asked = seconds(request.timeout) if request.HasField("timeout") else self._default_timeout
        if not 0 < asked <= LONGEST_TIMEOUT:
            raise WorkerError(
                f"a timeout of {asked:g} s: it must be more than 0 and at most {LONGEST_TIMEOUT} s.",
                reason=Reason.INVALID_ARGUMENT,
                field="timeout",
            )
        left = context.time_remaining()
        return asked if left is None else min(asked, left)


def _cancellation(context: grpc.ServicerContext) -> Future[None]:
    """Done when the call ends, whoever ended it."""
    ended: Future[None] = Future()
    if not context.add_callback(lambda: ended.set_result(None)):
        ended.set_result(None)
    return ended
