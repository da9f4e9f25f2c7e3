"""Signatures and programs as messages, both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_worker.domain.action import Action
from python_worker.domain.program import Capabilities, Module, Program, ProgramConfig, parse_format
from python_worker.domain.signature import Signature, SignatureRecord
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire.durations import moment, timestamp
from python_worker.wire.values import fields_from_wire, fields_to_wire

if TYPE_CHECKING:
    from collections.abc import Iterable


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
        session=record.session,
    )


def signature_from_wire(message: pb.Signature) -> SignatureRecord:
    """A kept signature."""
    return SignatureRecord(
        id=message.id,
        name=message.name,
        text=message.text,
        description=message.description,
        created_at=moment(message.created_at),
        session=message.session,
    )


def program_to_wire(program: Program) -> pb.Program:
    """A program, without its state."""
    able = program.capabilities
    return pb.Program(
        id=program.id,
        name=program.name,
        signature_id=program.signature_id,
        module=program.module.value if program.module else "",
        config=config_to_wire(program.config),
        created_at=timestamp(program.created_at),
        session=program.session,
        version=program.version,
        updated_at=timestamp(program.updated_at) if program.updated_at else None,
        has_state=program.has_state,
        import_path=program.import_path,
        actions=actions_to_wire(program.actions),
        metadata=program.metadata,
        capabilities=pb.Capabilities(streaming=able.streaming, tools=able.tools, asynchronous=able.asynchronous),
    )


def program_from_wire(message: pb.Program) -> Program:
    """A program, without its state."""
    able = message.capabilities
    return Program(
        id=message.id,
        name=message.name,
        signature_id=message.signature_id,
        module=Module(message.module) if message.module else None,
        config=config_from_wire(message.config),
        created_at=moment(message.created_at),
        session=message.session,
        version=message.version,
        updated_at=moment(message.updated_at) if message.HasField("updated_at") else None,
        has_state=message.has_state,
        import_path=message.import_path,
        actions=actions_from_wire(message.actions),
        metadata=dict(message.metadata),
        capabilities=Capabilities(streaming=able.streaming, tools=able.tools, asynchronous=able.asynchronous),
    )


def config_to_wire(config: ProgramConfig) -> pb.ProgramConfig:
    """A program's settings."""
    return pb.ProgramConfig(
        model=config.model,
        temperature=config.temperature,
        max_tokens=config.max_tokens,
        format=config.format.value if config.format else None,
        demos=[pb.Demo(fields=fields_to_wire(demo)) for demo in config.demos],
        module_options=fields_to_wire(config.module_options),
        tools=config.tools,
    )


def config_from_wire(message: pb.ProgramConfig) -> ProgramConfig:
    """A program's settings.

    Raises:
        WorkerError: ``invalid_argument``: a format that there is not, or a message with no kind set.
    """
    return ProgramConfig(
        model=message.model if message.HasField("model") else None,
        temperature=message.temperature if message.HasField("temperature") else None,
        max_tokens=message.max_tokens if message.HasField("max_tokens") else None,
        format=parse_format(message.format) if message.HasField("format") else None,
        demos=tuple(fields_from_wire(demo.fields) for demo in message.demos),
        module_options=fields_from_wire(message.module_options),
        tools=tuple(message.tools),
    )


def actions_to_wire(actions: Iterable[Action]) -> list[pb.Action]:
    """What is run before and after."""
    return [pb.Action(name=action.name, options=fields_to_wire(action.options)) for action in actions]


def actions_from_wire(messages: Iterable[pb.Action]) -> tuple[Action, ...]:
    """What is run before and after."""
    return tuple(Action(name=each.name, options=fields_from_wire(each.options)) for each in messages)
