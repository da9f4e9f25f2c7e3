"""Signatures and programs as messages, both ways."""

from __future__ import annotations

from python_worker.domain.program import Module, Program, ProgramConfig
from python_worker.domain.signature import Signature, SignatureRecord
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire.durations import moment, timestamp


def signature_to_wire(record: SignatureRecord, signature: Signature) -> pb.Signature:
    """A kept signature, with the fields it compiles to."""
    return pb.Signature(
        id=record.id,
        name=record.name,
        text=record.text,
        description=record.description,
        inputs=[pb.Field(name=field.name, type=str(field.type)) for field in signature.inputs],
        outputs=[pb.Field(name=field.name, type=str(field.type)) for field in signature.outputs],
        created_at=timestamp(record.created_at),
    )


def signature_from_wire(message: pb.Signature) -> SignatureRecord:
    """A kept signature."""
    return SignatureRecord(
        id=message.id,
        name=message.name,
        text=message.text,
        description=message.description,
        created_at=moment(message.created_at),
    )


def program_to_wire(program: Program) -> pb.Program:
    """A program."""
    return pb.Program(
        id=program.id,
        name=program.name,
        signature_id=program.signature_id,
        module=program.module.value,
        config=config_to_wire(program.config),
        created_at=timestamp(program.created_at),
    )


def program_from_wire(message: pb.Program) -> Program:
    """A program."""
    return Program(
        id=message.id,
        name=message.name,
        signature_id=message.signature_id,
        module=Module(message.module),
        config=config_from_wire(message.config),
        created_at=moment(message.created_at),
    )


def config_to_wire(config: ProgramConfig) -> pb.ProgramConfig:
    """A program's settings."""
    return pb.ProgramConfig(
        model=config.model, temperature=config.temperature, max_tokens=config.max_tokens, tools=config.tools
    )


def config_from_wire(message: pb.ProgramConfig) -> ProgramConfig:
    """A program's settings."""
    return ProgramConfig(
        model=message.model if message.HasField("model") else None,
        temperature=message.temperature if message.HasField("temperature") else None,
        max_tokens=message.max_tokens if message.HasField("max_tokens") else None,
        tools=tuple(message.tools),
    )
