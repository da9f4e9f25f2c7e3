"""Signatures, programs and executions as messages, both ways."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from python_worker.domain.execution import Execution, ExecutionStatus, LMCall, Stage, StageRecord, StageStatus
from python_worker.domain.program import Module, Program, ProgramConfig
from python_worker.domain.signature import Signature, SignatureRecord
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire.durations import duration, moment, seconds, timestamp
from python_worker.wire.errors import from_detail, to_detail
from python_worker.wire.values import fields_from_wire, fields_to_wire, from_wire, to_wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.message import Message

    from python_worker.domain.value import Value


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


def constraints_to_wire(constraints: Mapping[str, Mapping[str, Any]]) -> dict[str, pb.Map]:
    """Constraints beside a signature's text, by field path.

    Raises:
        WorkerError: ``unserializable``: a limit that no message can carry.
    """
    return {path: to_wire(dict(limits), f"constraints.{path}").map for path, limits in constraints.items()}


def constraints_from_wire(messages: Mapping[str, pb.Map]) -> dict[str, dict[str, Value]]:
    """Constraints beside a signature's text, by field path.

    Raises:
        WorkerError: ``invalid_argument``: a limit with no kind set.
    """
    return {
        path: {name: from_wire(limit, f"constraints.{path}.{name}") for name, limit in message.entries.items()}
        for path, message in messages.items()
    }


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
    return pb.ProgramConfig(model=config.model, temperature=config.temperature, max_tokens=config.max_tokens)


def config_from_wire(message: pb.ProgramConfig) -> ProgramConfig:
    """A program's settings."""
    return ProgramConfig(
        model=message.model if message.HasField("model") else None,
        temperature=message.temperature if message.HasField("temperature") else None,
        max_tokens=message.max_tokens if message.HasField("max_tokens") else None,
    )


def execution_to_wire(execution: Execution) -> pb.Execution:
    """An execution with its trail."""
    return pb.Execution(
        id=execution.id,
        program_id=execution.program_id,
        status=pb.ExecutionStatus.Value(f"EXECUTION_STATUS_{execution.status.name}"),
        inputs=fields_to_wire(execution.inputs),
        outputs=fields_to_wire(execution.outputs),
        error=to_detail(execution.error) if execution.error else None,
        raw_answer=execution.raw_answer,
        adapter_used=execution.adapter_used,
        started_at=timestamp(execution.started_at),
        duration=None if execution.duration is None else duration(execution.duration),
        stages=[_stage_to_wire(record) for record in execution.stages],
    )


def execution_from_wire(message: pb.Execution) -> Execution:
    """An execution with its trail."""
    return Execution(
        id=message.id,
        program_id=message.program_id,
        status=ExecutionStatus[pb.ExecutionStatus.Name(message.status).removeprefix("EXECUTION_STATUS_")],
        inputs=fields_from_wire(message.inputs),
        outputs=fields_from_wire(message.outputs),
        error=from_detail(message.error) if message.HasField("error") else None,
        raw_answer=message.raw_answer if message.HasField("raw_answer") else None,
        adapter_used=message.adapter_used,
        started_at=moment(message.started_at),
        duration=seconds(message.duration) if message.HasField("duration") else None,
        stages=tuple(_stage_from_wire(each) for each in message.stages),
    )


def _stage_to_wire(record: StageRecord) -> pb.StageRecord:
    return pb.StageRecord(
        stage=pb.Stage.Value(f"STAGE_{record.stage.name}"),
        status=pb.StageStatus.Value(f"STAGE_STATUS_{record.status.name}"),
        started_at=timestamp(record.started_at),
        duration=duration(record.duration),
        detail=record.detail,
        calls=[_call_to_wire(call) for call in record.calls],
    )


def _stage_from_wire(message: pb.StageRecord) -> StageRecord:
    return StageRecord(
        stage=Stage[pb.Stage.Name(message.stage).removeprefix("STAGE_")],
        status=StageStatus[pb.StageStatus.Name(message.status).removeprefix("STAGE_STATUS_")],
        started_at=moment(message.started_at),
        duration=seconds(message.duration),
        detail=message.detail,
        calls=tuple(_call_from_wire(call) for call in message.calls),
    )


def _call_to_wire(call: LMCall) -> pb.LMCall:
    return pb.LMCall(
        key=call.key,
        hit=call.hit,
        model=call.model,
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        cost_usd=None if call.cost is None else str(call.cost),
        cassette=call.cassette,
        latency=None if call.latency is None else duration(call.latency),
    )


def _call_from_wire(message: pb.LMCall) -> LMCall:
    cost = _given(message, "cost_usd")
    cassette = _given(message, "cassette")
    return LMCall(
        key=message.key,
        hit=message.hit,
        model=message.model,
        input_tokens=message.input_tokens if message.HasField("input_tokens") else None,
        output_tokens=message.output_tokens if message.HasField("output_tokens") else None,
        cost=None if cost is None else Decimal(cost),
        cassette=cassette,
        latency=seconds(message.latency) if message.HasField("latency") else None,
    )


def _given(message: Message, field: str) -> str | None:
    return str(getattr(message, field)) if message.HasField(field) else None
