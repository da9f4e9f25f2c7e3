"""Executions as messages, both ways."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from python_worker.domain.action import ActionMoment, ActionResult
from python_worker.domain.execution import Execution, ExecutionStatus, LMCall, Stage, StageRecord, StageStatus
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire.durations import duration, moment, seconds, timestamp
from python_worker.wire.errors import from_detail, to_detail
from python_worker.wire.tools import use_from_wire, use_to_wire
from python_worker.wire.values import fields_from_wire, fields_to_wire

if TYPE_CHECKING:
    from google.protobuf.message import Message


def execution_to_wire(execution: Execution) -> pb.Execution:
    """An execution with its trail."""
    return pb.Execution(
        id=execution.id,
        program_id=execution.program_id,
        program_version=execution.program_version,
        status=pb.ExecutionStatus.Value(f"EXECUTION_STATUS_{execution.status.name}"),
        inputs=fields_to_wire(execution.inputs),
        outputs=fields_to_wire(execution.outputs),
        error=to_detail(execution.error) if execution.error else None,
        raw_answer=execution.raw_answer,
        adapter_used=execution.adapter_used,
        started_at=timestamp(execution.started_at),
        duration=None if execution.duration is None else duration(execution.duration),
        stages=[_stage_to_wire(record) for record in execution.stages],
        action_results=[_result_to_wire(result) for result in execution.action_results],
    )


def execution_from_wire(message: pb.Execution) -> Execution:
    """An execution with its trail."""
    return Execution(
        id=message.id,
        program_id=message.program_id,
        program_version=message.program_version,
        status=ExecutionStatus[pb.ExecutionStatus.Name(message.status).removeprefix("EXECUTION_STATUS_")],
        inputs=fields_from_wire(message.inputs),
        outputs=fields_from_wire(message.outputs),
        error=from_detail(message.error) if message.HasField("error") else None,
        raw_answer=message.raw_answer if message.HasField("raw_answer") else None,
        adapter_used=message.adapter_used,
        started_at=moment(message.started_at),
        duration=seconds(message.duration) if message.HasField("duration") else None,
        stages=tuple(_stage_from_wire(each) for each in message.stages),
        action_results=tuple(_result_from_wire(each) for each in message.action_results),
    )


def _stage_to_wire(record: StageRecord) -> pb.StageRecord:
    return pb.StageRecord(
        stage=pb.Stage.Value(f"STAGE_{record.stage.name}"),
        status=pb.StageStatus.Value(f"STAGE_STATUS_{record.status.name}"),
        started_at=timestamp(record.started_at),
        duration=duration(record.duration),
        detail=record.detail,
        calls=[_call_to_wire(call) for call in record.calls],
        tools=[use_to_wire(use) for use in record.tools],
    )


def _stage_from_wire(message: pb.StageRecord) -> StageRecord:
    return StageRecord(
        stage=Stage[pb.Stage.Name(message.stage).removeprefix("STAGE_")],
        status=StageStatus[pb.StageStatus.Name(message.status).removeprefix("STAGE_STATUS_")],
        started_at=moment(message.started_at),
        duration=seconds(message.duration),
        detail=message.detail,
        calls=tuple(_call_from_wire(call) for call in message.calls),
        tools=tuple(use_from_wire(use) for use in message.tools),
    )


def _result_to_wire(result: ActionResult) -> pb.ActionResult:
    return pb.ActionResult(
        action=result.action,
        moment=result.moment.value,
        refused=result.refused,
        reason=result.reason,
        values=fields_to_wire(result.values),
        duration=duration(result.duration),
    )


def _result_from_wire(message: pb.ActionResult) -> ActionResult:
    return ActionResult(
        action=message.action,
        moment=ActionMoment(message.moment),
        refused=message.refused,
        reason=message.reason,
        values=fields_from_wire(message.values),
        duration=seconds(message.duration),
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
