"""A value as a message, both ways."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.media import Media
from python_worker.domain.tensor import Tensor
from python_worker.domain.value import excerpt
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire.durations import moment, put_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from python_worker.domain.value import Fields, Value

_INT64 = range(-(2**63), 2**63)

# protobuf reads messages 100 deep, and a map in a map is three of them.
MAX_DEPTH = 30


def fields_to_wire(fields: Fields) -> dict[str, pb.Value]:
    """Values by field name as messages.

    Raises:
        WorkerError: ``unserializable``: a value that no message can carry.
    """
    return {name: to_wire(value, name) for name, value in fields.items()}


def fields_from_wire(messages: Mapping[str, pb.Value]) -> dict[str, Value]:
    """Messages by field name as values.

    Raises:
        WorkerError: ``invalid_argument``: a message with no kind set.
    """
    return {name: from_wire(message, name) for name, message in messages.items()}


def to_wire(value: Value, path: str) -> pb.Value:
    """A value as a message.

    Raises:
        WorkerError: ``unserializable``: a value that no message can carry.
    """
    message = pb.Value()
    fill(message, value, path)
    return message


def fill(message: pb.Value, value: Value, path: str) -> None:
    """Put a value into an empty message; where it is part of another, that saves a copy of it.

    Raises:
        WorkerError: ``unserializable``: a value that no message can carry.
    """
    try:
        _fill(message, value, path, 0)
    except UnicodeEncodeError as error:
        raise _uncarried(value, path, "text that is no valid Unicode") from error


def from_wire(message: pb.Value, path: str) -> Value:
    """A message as a value.

    Raises:
        WorkerError: ``invalid_argument``: a message with no kind set, or a time, tensor, date or media that
            contradict themselves.
    """
    match message.WhichOneof("kind"):
        case "null":
            return None
        case "list":
            return [from_wire(item, f"{path}[{index}]") for index, item in enumerate(message.list.items)]
        case "map":
            return {key: from_wire(item, f"{path}.{key}") for key, item in message.map.entries.items()}
        case "timestamp" | "tensor" | "date" | "media":
            return _composed(message, path)
        case "boolean" | "integer" | "float" | "string" as kind:
            plain: bool | int | float | str = getattr(message, kind)
            return plain
        case _:
            raise WorkerError(
                f"{path} is a Value with no kind set, or of a kind this worker does not know; a null is Value.null.",
                reason=Reason.INVALID_ARGUMENT,
                field=path,
            )


def _composed(message: pb.Value, path: str) -> Value:
    try:
        if message.HasField("timestamp"):
            return moment(message.timestamp)
        if message.HasField("tensor"):
            tensor = message.tensor
            return Tensor(dtype=tensor.dtype, shape=tuple(tensor.shape), data=tensor.data)
        if message.HasField("date"):
            return date(message.date.year, message.date.month, message.date.day)
        media = message.media
        return Media(
            mime_type=media.mime_type,
            data=media.data if media.HasField("data") else None,
            url=media.url if media.HasField("url") else None,
        )
    except ValueError as error:
        raise WorkerError(f"{path}: {error}.", reason=Reason.INVALID_ARGUMENT, field=path) from error


def _fill(message: pb.Value, value: Value, path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _uncarried(value, path, f"nested deeper than {MAX_DEPTH}")
    match value:
        case bool():
            message.boolean = value
        case int():
            message.integer = _in_64_bits(value, path)
        case float():
            message.float = value
        case str():
            message.string = value
        case list():
            message.list.SetInParent()  # an empty one is a list too
            items = message.list.items
            for index, item in enumerate(value):
                _fill(items.add(), item, f"{path}[{index}]", depth + 1)
        case dict():
            message.map.SetInParent()
            entries = message.map.entries
            for key, item in value.items():
                _fill(entries[key], item, f"{path}.{key}", depth + 1)
        case _:
            _fill_whole(message, value, path)


def _fill_whole(message: pb.Value, value: Value, path: str) -> None:
    match value:
        case None:
            message.null.SetInParent()
        case datetime():
            put_timestamp(message.timestamp, value)
        case date():
            message.date.year, message.date.month, message.date.day = value.year, value.month, value.day
        case Tensor():
            message.tensor.dtype, message.tensor.data = value.dtype, value.data
            message.tensor.shape.extend(value.shape)
        case Media():
            message.media.mime_type = value.mime_type
            if value.data is None:
                message.media.url = value.url or ""
            else:
                message.media.data = value.data
        case _:
            raise _uncarried(value, path, f"a {type(value).__name__}")


def _in_64_bits(value: int, path: str) -> int:
    if value not in _INT64:
        raise _uncarried(value, path, "an integer beyond 64 bits")
    return value


def _uncarried(value: object, path: str, what: str) -> WorkerError:
    return WorkerError(
        f"{path} is {what}, which no message can carry: {excerpt(value)}.", reason=Reason.UNSERIALIZABLE, field=path
    )
