"""The service's methods, joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_worker.rpc.executions import ExecutionMethods
from python_worker.rpc.programs import ProgramMethods
from python_worker.rpc.tools import ToolMethods
from python_worker.v1 import worker_pb2_grpc

if TYPE_CHECKING:
    from python_worker.rpc.admission import Admission
    from python_worker.runtime import (
        Adapters,
        ExecutionService,
        Executor,
        LMs,
        ProgramCatalogue,
        Shelf,
        SignatureCatalogue,
        ToolBroker,
    )


class WorkerServicer(ProgramMethods, ExecutionMethods, ToolMethods, worker_pb2_grpc.WorkerServicer):
    """``python_worker.v1.Worker``. What its methods raise, the interceptor ends the call with.

    Args:
        signatures: Creates and tells signatures.
        programs: Creates and tells programs.
        shelf: Finds programs.
        executor: Runs programs.
        executions: What was run.
        adapters: Where programs run.
        default_timeout: Seconds an execution may take that asks for nothing else.
        threads: How many programs run at once.
        admission: Who may wait for a program to run.
        tool_broker: Knows which client serves which tool.
        lms: Has the cassettes of tests.
    """

    def __init__(
        self,
        *,
        signatures: SignatureCatalogue,
        programs: ProgramCatalogue,
        shelf: Shelf,
        executor: Executor,
        executions: ExecutionService,
        adapters: Adapters,
        default_timeout: float,
        threads: int,
        admission: Admission,
        tool_broker: ToolBroker,
        lms: LMs,
    ) -> None:
        self._signatures = signatures
        self._programs = programs
        self._shelf = shelf
        self._executor = executor
        self._executions = executions
        self._adapters = adapters
        self._default_timeout = default_timeout
        self._threads = threads
        self._admission = admission
        self._tool_broker = tool_broker
        self._lms = lms
