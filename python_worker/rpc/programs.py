"""The methods of signatures and programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_worker.domain.program import ProgramDraft
from python_worker.rpc.pages import page_size
from python_worker.runtime.shelf import compiled
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire import programs as wire

if TYPE_CHECKING:
    import grpc

    from python_worker.domain.signature import SignatureRecord
    from python_worker.runtime import ProgramCatalogue, SignatureCatalogue


class ProgramMethods:
    """The part of ``python_worker.v1.Worker`` about signatures and programs."""

    _signatures: SignatureCatalogue
    _programs: ProgramCatalogue

    def CreateSignature(  # noqa: N802 - the contract's name, as all below
        self,
        request: pb.CreateSignatureRequest,
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature, as all below
    ) -> pb.Signature:
        """Compile a signature and keep it."""
        record = self._signatures.create(request.text, description=request.description, session=request.session)
        return _signature(record)

    def GetSignature(self, request: pb.GetSignatureRequest, context: grpc.ServicerContext) -> pb.Signature:  # noqa: N802, ARG002
        """Tell a signature."""
        return _signature(self._signatures.get(request.signature, session=request.session))

    def ListSignatures(  # noqa: N802
        self,
        request: pb.ListSignaturesRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> pb.ListSignaturesResponse:
        """Tell a page of signatures."""
        found, token = self._signatures.list(
            session=request.session,
            pattern=request.pattern,
            after=request.page_token,
            most=page_size(request.page_size),
        )
        return pb.ListSignaturesResponse(signatures=map(_signature, found), next_page_token=token)

    def DeleteSignature(  # noqa: N802
        self,
        request: pb.DeleteSignatureRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> pb.DeleteSignatureResponse:
        """Take a signature away."""
        self._signatures.delete(request.signature, session=request.session)
        return pb.DeleteSignatureResponse()

    def CreateProgram(self, request: pb.CreateProgramRequest, context: grpc.ServicerContext) -> pb.Program:  # noqa: N802, ARG002
        """Join a signature to a module, or import a program."""
        draft = _draft(request, import_path=request.import_path)
        return wire.program_to_wire(self._programs.create(request.name, draft, session=request.session))

    def GetProgram(self, request: pb.GetProgramRequest, context: grpc.ServicerContext) -> pb.Program:  # noqa: N802, ARG002
        """Tell a program."""
        program = self._programs.get(request.program, session=request.session, version=request.version)
        return wire.program_to_wire(program)

    def ListPrograms(self, request: pb.ListProgramsRequest, context: grpc.ServicerContext) -> pb.ListProgramsResponse:  # noqa: N802, ARG002
        """Tell a page of programs."""
        found, token = self._programs.list(
            session=request.session,
            pattern=request.pattern,
            after=request.page_token,
            most=page_size(request.page_size),
        )
        return pb.ListProgramsResponse(programs=map(wire.program_to_wire, found), next_page_token=token)

    def UpdateProgram(self, request: pb.UpdateProgramRequest, context: grpc.ServicerContext) -> pb.Program:  # noqa: N802, ARG002
        """Make the next version of a program."""
        program = self._programs.update(
            request.program, _draft(request), session=request.session, expected_version=request.expected_version
        )
        return wire.program_to_wire(program)

    def DeleteProgram(  # noqa: N802
        self,
        request: pb.DeleteProgramRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> pb.DeleteProgramResponse:
        """Free a program's name."""
        self._programs.delete(request.program, session=request.session)
        return pb.DeleteProgramResponse()


def _signature(record: SignatureRecord) -> pb.Signature:
    return wire.signature_to_wire(record, compiled(record))


def _draft(request: pb.CreateProgramRequest | pb.UpdateProgramRequest, *, import_path: str = "") -> ProgramDraft:
    return ProgramDraft(
        signature=request.signature,
        module=request.module,
        config=wire.config_from_wire(request.config) if request.HasField("config") else None,
        state=request.state,
        import_path=import_path,
        actions=wire.actions_from_wire(request.actions),
        metadata=dict(request.metadata),
    )
