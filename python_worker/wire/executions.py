"""Executions as messages, both ways."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from python_worker.domain.action import ActionMoment, ActionResult
from python_worker.domain.adapter import AdapterInfo
from python_worker.domain.ask import Ask
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.execution import Execution, ExecutionStatus, Fallback, Metrics
from python_worker.domain.execution_event import ExecutionEvent, Started, StatusText, Token
from python_worker.domain.stage import LMCall, Stage, StageRecord, StageStatus, ToolUse
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire.durations import duration, moment, put_duration, put_timestamp, seconds, timestamp
from python_worker.wire.errors import from_detail, to_detail
from python_worker.wire.programs import actions_from_wire
from python_worker.wire.values import fields_from_wire, fields_to_wire, from_wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.message import Message

    from python_worker.domain.owner import Owner

# By name, once: the descriptors' own look-up costs more than the rest of a stage.
_STATUS = {each: pb.ExecutionStatus.Value(f"EXECUTION_STATUS_{each.name}") for each in ExecutionStatus}
_STAGE = {each: pb.Stage.Value(f"STAGE_{each.name}") for each in Stage}
_STAGE_STATUS = {each: pb.StageStatus.Value(f"STAGE_STATUS_{each.name}") for each in StageStatus}
_STATUS_OF = {number: each for each, number in _STATUS.items()}
_STAGE_OF = {number: each for each, number in _STAGE.items()}
_STAGE_STATUS_OF = {number: each for each, number in _STAGE_STATUS.items()}


def execution_to_wire(execution: Execution) -> pb.Execution:
    """An execution with its trail."""
    return pb.Execution(
        id=execution.id,
        program_id=execution.program_id,
        status=_STATUS[execution.status],
        inputs=fields_to_wire(execution.inputs),
        outputs=fields_to_wire(execution.outputs),
        error=to_detail(execution.error) if execution.error else None,
        raw_answer=execution.raw_answer,
        adapter_used=execution.adapter_used,
        started_at=timestamp(execution.started_at),
        duration=_duration(execution.duration),
        stages=map(_stage_to_wire, execution.stages),
        program_version=execution.program_version,
        session=execution.session,
        attempts=execution.attempts,
        fallbacks=[pb.Fallback(adapter=each.adapter, why=each.why) for each in execution.fallbacks],
        metrics=_metrics_to_wire(execution.metrics) if execution.metrics else None,
        action_results=[_action_to_wire(each) for each in execution.action_results],
        idempotency_key=execution.idempotency_key,
        asked_by=execution.asked_by,
    )


def execution_from_wire(message: pb.Execution) -> Execution:
    """An execution with its trail."""
    return Execution(
        id=message.id,
        program_id=message.program_id,
        status=_STATUS_OF[message.status],
        inputs=fields_from_wire(message.inputs),
        outputs=fields_from_wire(message.outputs),
        error=from_detail(message.error) if message.HasField("error") else None,
        raw_answer=_given(message, "raw_answer"),
        adapter_used=message.adapter_used,
        started_at=moment(message.started_at),
        duration=_seconds(message, "duration"),
        stages=tuple(_stage_from_wire(each) for each in message.stages),
        program_version=message.program_version,
        session=message.session,
        attempts=message.attempts,
        fallbacks=tuple(Fallback(adapter=each.adapter, why=each.why) for each in message.fallbacks),
        metrics=_metrics_from_wire(message.metrics) if message.HasField("metrics") else None,
        action_results=tuple(_action_from_wire(each) for each in message.action_results),
        idempotency_key=message.idempotency_key,
        asked_by=message.asked_by,
    )


def statuses_from_wire(numbers: Iterable[pb.ExecutionStatus.ValueType]) -> tuple[ExecutionStatus, ...]:
    """Statuses.

    Raises:
        WorkerError: ``invalid_argument``: a number that is none.
    """
    try:
        return tuple(_STATUS_OF[number] for number in numbers)
    except KeyError as error:
        raise WorkerError(
            f"{error.args[0]} is no status of an execution: use {min(_STATUS_OF)} to {max(_STATUS_OF)}.",
            reason=Reason.INVALID_ARGUMENT,
            field="statuses",
        ) from error


def statuses_to_wire(statuses: Iterable[ExecutionStatus]) -> list[pb.ExecutionStatus.ValueType]:
    """Their numbers."""
    return [_STATUS[status] for status in statuses]


def ask_from_wire(
    message: pb.ExecuteRequest,
    *,
    default_timeout: float,
    asked_by: str,
    where: str = "",
    owner: Owner | None = None,
    refresh: bool = False,
) -> Ask:
    """A run that is wanted.

    Args:
        message: As the client sent it.
        default_timeout: Seconds, where it names none.
        asked_by: The name of its token.
        where: Before the paths of its inputs in an error, such as ``requests[3].``.
        owner: The test that asks.
        refresh: Whether its cassette is to be recorded anew.
    """
    return Ask(
        program=message.program,
        inputs={name: from_wire(value, f"{where}{name}") for name, value in message.inputs.items()},
        timeout=seconds(message.timeout) if message.HasField("timeout") else default_timeout,
        session=message.session,
        validate_inputs=message.validate_inputs if message.HasField("validate_inputs") else True,
        track_metrics=message.track_metrics,
        idempotency_key=message.idempotency_key,
        adapters=tuple(message.adapters),
        retries=message.retries,
        actions=actions_from_wire(message.actions),
        version=message.version,
        asked_by=asked_by,
        owner=owner,
        refresh=refresh,
    )


def event_to_wire(event: ExecutionEvent) -> pb.ExecutionEvent:
    """What is told of an execution while it runs."""
    match event:
        case Started():
            return pb.ExecutionEvent(started=pb.ExecutionEvent.Started(execution_id=event.execution_id))
        case Token():
            token = pb.ExecutionEvent.Token(
                field=event.field, text=event.text, predictor=event.predictor, last=event.last
            )
            return pb.ExecutionEvent(token=token)
        case StatusText():
            return pb.ExecutionEvent(status=pb.ExecutionEvent.StatusMessage(text=event.text))
        case Execution():
            return pb.ExecutionEvent(result=execution_to_wire(event))


def event_from_wire(message: pb.ExecutionEvent) -> ExecutionEvent:
    """What is told of an execution while it runs."""
    match message.WhichOneof("event"):
        case "started":
            return Started(execution_id=message.started.execution_id)
        case "token":
            said = message.token
            return Token(field=said.field, text=said.text, predictor=said.predictor, last=said.last)
        case "status":
            return StatusText(text=message.status.text)
        case _:
            return execution_from_wire(message.result)


def adapter_to_wire(info: AdapterInfo) -> pb.AdapterInfo:
    """A place where programs run."""
    return pb.AdapterInfo(
        name=info.name,
        available=info.available,
        why_not=info.why_not,
        streaming=info.streaming,
        tools=info.tools,
        cancellation=info.cancellation,
        aliases=info.aliases,
    )


def adapter_from_wire(message: pb.AdapterInfo) -> AdapterInfo:
    """A place where programs run."""
    return AdapterInfo(
        name=message.name,
        why_not=message.why_not,
        streaming=message.streaming,
        tools=message.tools,
        cancellation=message.cancellation,
        aliases=tuple(message.aliases),
    )


def _stage_to_wire(record: StageRecord) -> pb.StageRecord:
    message = pb.StageRecord(stage=_STAGE[record.stage], status=_STAGE_STATUS[record.status], detail=record.detail)
    put_timestamp(message.started_at, record.started_at)
    put_duration(message.duration, record.duration)
    message.calls.extend(map(_call_to_wire, record.calls))
    message.tools.extend(map(_tool_to_wire, record.tools))
    return message


def _stage_from_wire(message: pb.StageRecord) -> StageRecord:
    return StageRecord(
        stage=_STAGE_OF[message.stage],
        status=_STAGE_STATUS_OF[message.status],
        started_at=moment(message.started_at),
        duration=seconds(message.duration),
        detail=message.detail,
        calls=tuple(map(_call_from_wire, message.calls)),
        tools=tuple(map(_tool_from_wire, message.tools)),
    )


def _call_to_wire(call: LMCall) -> pb.LMCall:
    return pb.LMCall(
        key=call.key,
        hit=call.hit,
        model=call.model,
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        cost_usd=_amount(call.cost),
        cassette=call.cassette,
        latency=_duration(call.latency),
    )


def _call_from_wire(message: pb.LMCall) -> LMCall:
    return LMCall(
        key=message.key,
        hit=message.hit,
        model=message.model,
        input_tokens=message.input_tokens if message.HasField("input_tokens") else None,
        output_tokens=message.output_tokens if message.HasField("output_tokens") else None,
        cost=_cost(message),
        cassette=_given(message, "cassette"),
        latency=_seconds(message, "latency"),
    )


def _tool_to_wire(use: ToolUse) -> pb.ToolUse:
    return pb.ToolUse(tool=use.tool, hit=use.hit, key=use.key, error=use.error, latency=_duration(use.latency))


def _tool_from_wire(message: pb.ToolUse) -> ToolUse:
    return ToolUse(
        tool=message.tool,
        hit=message.hit,
        key=message.key,
        error=message.error,
        latency=_seconds(message, "latency"),
    )


def _metrics_to_wire(metrics: Metrics) -> pb.Metrics:
    return pb.Metrics(
        model_calls=metrics.model_calls,
        input_tokens=metrics.input_tokens,
        output_tokens=metrics.output_tokens,
        cost_usd=_amount(metrics.cost),
        waited=duration(metrics.waited),
        in_models=duration(metrics.in_models),
        processor=duration(metrics.processor),
    )


def _metrics_from_wire(message: pb.Metrics) -> Metrics:
    return Metrics(
        model_calls=message.model_calls,
        input_tokens=message.input_tokens,
        output_tokens=message.output_tokens,
        cost=_cost(message),
        waited=seconds(message.waited),
        in_models=seconds(message.in_models),
        processor=seconds(message.processor),
    )


def _action_to_wire(result: ActionResult) -> pb.ActionResult:
    return pb.ActionResult(
        action=result.action,
        moment=result.moment.value,
        refused=result.refused,
        reason=result.reason,
        values=fields_to_wire(result.values),
        duration=duration(result.duration),
    )


def _action_from_wire(message: pb.ActionResult) -> ActionResult:
    return ActionResult(
        action=message.action,
        moment=ActionMoment(message.moment),
        refused=message.refused,
        reason=message.reason,
        values=fields_from_wire(message.values),
        duration=seconds(message.duration),
    )


def _duration(seconds_: float | None) -> Duration | None:
    return None if seconds_ is None else duration(seconds_)


def _seconds(message: Message, field: str) -> float | None:
    return seconds(getattr(message, field)) if message.HasField(field) else None


def _amount(cost: Decimal | None) -> str | None:
    return None if cost is None else str(cost)


def _cost(message: Message) -> Decimal | None:
    text = _given(message, "cost_usd")
    return None if text is None else Decimal(text)


def _given(message: Message, field: str) -> str | None:
    return str(getattr(message, field)) if message.HasField(field) else None
