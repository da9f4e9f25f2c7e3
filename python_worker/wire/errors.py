"""An error as its detail message, both ways, and as the trailer it travels in."""

from __future__ import annotations

from python_worker.domain.errors import Position, Problem, Reason, WorkerError
from python_worker.domain.stage import Stage
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire.call_stop import shorten, stop_from_wire, stop_to_wire
from python_worker.wire.durations import duration, seconds

TRAILER = "python_worker-error-bin"
"""The trailing metadata that holds the serialized ``ErrorDetail``."""

# gRPC clients refuse more than 8 KiB of metadata by default; base64 makes four bytes of three, and the status has its
# own message beside it. An execution keeps its error uncut.
_MOST_BYTES = 4096
_CUT = "… (cut; GetExecution has it whole)"


def check_size(count: int, most: int, what: str) -> None:
    """See that a message is not too big.

    Args:
        count: Its bytes.
        most: As many as it may have.
        what: Such as "the request has".

    Raises:
        WorkerError: ``limit``.
    """
    if count > most:
        raise WorkerError(
            f"{what} {count:,} bytes, and a message at most {most:,} (--max-message-bytes): send or ask for less at "
            "once.",
            reason=Reason.LIMIT,
        )


def to_detail(error: WorkerError) -> pb.ErrorDetail:
    """The error as a message."""
    return pb.ErrorDetail(
        reason=error.reason.value,
        message=error.message,
        field=error.field,
        position=pb.Position(line=error.position.line, column=error.position.column) if error.position else None,
        retryable=error.retryable,
        retry_after=None if error.retry_after is None else duration(error.retry_after),
        execution_id=error.execution_id,
        stage=pb.Stage.Value(f"STAGE_{error.stage.name}") if error.stage else pb.STAGE_UNSPECIFIED,
        problems=[
            pb.Problem(kind=each.kind.value, field=each.field, value=each.value, rule=each.rule)
            for each in error.problems
        ],
        stop=stop_to_wire(error.stop) if error.stop else None,
    )


def from_detail(detail: pb.ErrorDetail, *, kind: type[WorkerError] = WorkerError) -> WorkerError:
    """The message as an error of a kind. An unknown reason becomes ``internal``, with its name in the message."""
    try:
        reason, message = Reason(detail.reason), detail.message
    except ValueError:
        reason, message = Reason.INTERNAL, f"{detail.reason}: {detail.message}"
    place = detail.position
    return kind(
        message,
        reason=reason,
        field=detail.field,
        position=Position(line=place.line, column=place.column) if detail.HasField("position") else None,
        retryable=detail.retryable,
        retry_after=seconds(detail.retry_after) if detail.HasField("retry_after") else None,
        execution_id=detail.execution_id,
        stage=Stage[pb.Stage.Name(detail.stage).removeprefix("STAGE_")] if detail.stage else None,
        problems=tuple(
            Problem(kind=Reason(each.kind), field=each.field, value=each.value, rule=each.rule)
            for each in detail.problems
        ),
        stop=stop_from_wire(detail.stop) if detail.HasField("stop") else None,
    )


def to_trailer(error: WorkerError) -> bytes:
    """The detail, serialized; problems and message are cut where they would not pass as metadata."""
    detail = to_detail(error)
    while detail.ByteSize() > _MOST_BYTES and detail.problems:
        detail.problems.pop()
    if detail.ByteSize() > _MOST_BYTES and detail.HasField("stop"):
        shorten(detail.stop, detail.ByteSize() - _MOST_BYTES)
    if detail.ByteSize() > _MOST_BYTES:
        detail.field = detail.field[:100]
        room = _MOST_BYTES - detail.ByteSize() + len(detail.message.encode()) - 2 * len(_CUT.encode())
        detail.message = detail.message.encode()[:room].decode(errors="ignore") + _CUT
    return detail.SerializeToString()
