"""The service's methods."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING

from python_worker.domain.errors import Reason, WorkerError
from python_worker.rpc.programs import ProgramMethods
from python_worker.rpc.tools import ToolMethods
from python_worker.v1 import worker_pb2_grpc
from python_worker.wire import records
from python_worker.wire.durations import seconds
from python_worker.wire.programs import actions_from_wire
from python_worker.wire.values import fields_from_wire

if TYPE_CHECKING:
    import grpc

    from python_worker.domain.repositories import Executions
    from python_worker.runtime import Executor, ProgramCatalogue, SignatureCatalogue, ToolBroker
    from python_worker.v1 import worker_pb2 as pb

LONGEST_TIMEOUT = 86_400


class WorkerServicer(ProgramMethods, ToolMethods, worker_pb2_grpc.WorkerServicer):
    """``python_worker.v1.Worker``. What its methods raise, the interceptor ends the call with.

    Args:
        signatures: Creates and tells signatures.
        programs: Creates and tells programs.
        executor: Runs programs.
        executions: What was run.
        default_timeout: Seconds an execution may take that asks for nothing else.
        tool_broker: Knows which client serves which tool.
    """

    def __init__(
        self,
        *,
        signatures: SignatureCatalogue,
        programs: ProgramCatalogue,
        executor: Executor,
        executions: Executions,
        default_timeout: float,
        tool_broker: ToolBroker,
    ) -> None:
        self._signatures = signatures
        self._programs = programs
        self._executor = executor
        self._executions = executions
        self._default_timeout = default_timeout
        self._tool_broker = tool_broker

    def Execute(self, request: pb.ExecuteRequest, context: grpc.ServicerContext) -> pb.Execution:  # noqa: N802 - the contract's name, as all below
        """Run a program until it ends, or nobody waits for it any more."""
        execution = self._executor.execute(
            request.program,
            fields_from_wire(request.inputs),
            timeout=self._timeout(request, context),
            cancelled=_cancellation(context),
            session=request.session,
            actions=actions_from_wire(request.actions),
            version=request.version,
        )
        return records.execution_to_wire(execution)

    def GetExecution(self, request: pb.GetExecutionRequest, context: grpc.ServicerContext) -> pb.Execution:  # noqa: N802, ARG002 - gRPC's signature
        """Tell an execution with its trail."""
        return records.execution_to_wire(self._executions.get(request.execution_id))

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
