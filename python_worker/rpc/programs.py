"""The methods of signatures and programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_worker.runtime.catalogue import Catalogue, compiled
from python_worker.wire import programs as wire

if TYPE_CHECKING:
    import grpc

    from python_worker.domain.signature import SignatureRecord
    from python_worker.v1 import worker_pb2 as pb


class ProgramMethods:
    """The part of ``python_worker.v1.Worker`` about signatures and programs."""

    _catalogue: Catalogue

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
            config=wire.config_from_wire(request.config),
        )
        return wire.program_to_wire(program)

    def GetProgram(self, request: pb.GetProgramRequest, context: grpc.ServicerContext) -> pb.Program:  # noqa: N802, ARG002
        """Tell a program."""
        return wire.program_to_wire(self._catalogue.get_program(request.program))


def _signature(record: SignatureRecord) -> pb.Signature:
    return wire.signature_to_wire(record, compiled(record))
