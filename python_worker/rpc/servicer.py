"""The service's methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_worker.rpc.executions import ExecutionMethods
from python_worker.runtime.catalogue import Catalogue, compiled
from python_worker.v1 import worker_pb2_grpc
from python_worker.wire import records

if TYPE_CHECKING:
    import grpc

    from python_worker.domain.repositories import Programs
    from python_worker.domain.signature import SignatureRecord
    from python_worker.runtime.adapters import Adapters
    from python_worker.runtime.executor import Executor
    from python_worker.runtime.service import ExecutionService
    from python_worker.v1 import worker_pb2 as pb


class WorkerServicer(ExecutionMethods, worker_pb2_grpc.WorkerServicer):
    """``python_worker.v1.Worker``. What its methods raise, the interceptor ends the call with.

    Args:
        catalogue: Signatures and programs.
        executor: Runs programs.
        executions: What was run.
        adapters: Where programs run.
        programs: Where programs are.
        default_timeout: Seconds an execution may take that asks for nothing else.
        threads: How many programs run at once.
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        executor: Executor,
        executions: ExecutionService,
        adapters: Adapters,
        programs: Programs,
        default_timeout: float,
        threads: int,
    ) -> None:
        self._catalogue = catalogue
        self._executor = executor
        self._executions = executions
        self._adapters = adapters
        self._programs = programs
        self._default_timeout = default_timeout
        self._threads = threads

    def CreateSignature(  # noqa: N802 - the contract's name, as all below
        self,
        request: pb.CreateSignatureRequest,
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature, as all below
    ) -> pb.Signature:
        """Compile a signature and keep it."""
        return _signature(self._catalogue.create_signature(request.text, description=request.description))

    def GetSignature(self, request: pb.GetSignatureRequest, context: grpc.ServicerContext) -> pb.Signature:  # noqa: N802, ARG002
        """Tell a signature."""
        return _signature(self._catalogue.get_signature(request.signature))

    def CreateProgram(self, request: pb.CreateProgramRequest, context: grpc.ServicerContext) -> pb.Program:  # noqa: N802, ARG002
        """Join a signature to a module."""
        program = self._catalogue.create_program(
            request.name,
            signature=request.signature,
            module=request.module,
            config=records.config_from_wire(request.config),
        )
        return records.program_to_wire(program)

    def GetProgram(self, request: pb.GetProgramRequest, context: grpc.ServicerContext) -> pb.Program:  # noqa: N802, ARG002
        """Tell a program."""
        return records.program_to_wire(self._catalogue.get_program(request.program))


def _signature(record: SignatureRecord) -> pb.Signature:
    return records.signature_to_wire(record, compiled(record))
