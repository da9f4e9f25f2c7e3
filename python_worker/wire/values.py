"""A value as a message, both ways."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.media import Media
from python_worker.domain.tensor import Tensor
from python_worker.domain.value import excerpt
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire.durations import moment, timestamp

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
    try:
        return _message(value, path, 0)
    except UnicodeEncodeError as error:
        raise _uncarried(value, path, "text that is no valid Unicode") from error


def from_wire(message: pb.Value, path: str) -> Value:
    """A message as a value.

    Raises:
        WorkerError: ``invalid_argument``: a message with no kind set, or a tensor, date or media that contradict
            themselves.
    """
    match message.WhichOneof("kind"):
        case "null":
            return None
        case "list":
            return [from_wire(item, f"{path}[{index}]") for index, item in enumerate(message.list.items)]
        case "map":
            return {key: from_wire(item, f"{path}.{key}") for key, item in message.map.entries.items()}
        case "timestamp":
            return moment(message.timestamp)
        case "tensor" | "date" | "media":
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


def _message(value: Value, path: str, depth: int) -> pb.Value:
    if depth > MAX_DEPTH:
        raise _uncarried(value, path, f"nested deeper than {MAX_DEPTH}")
    match value:
        case bool() | int() | float() | str():
            return _plain(value, path)
        case list():
            items = [_message(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
            return pb.Value(list=pb.List(items=items))
        case dict():
            entries = {key: _message(item, f"{path}.{key}", depth + 1) for key, item in value.items()}
            return pb.Value(map=pb.Map(entries=entries))
        case _:
            return _whole(value, path)


def _whole(value: Value, path: str) -> pb.Value:
    match value:
        case None:
            return pb.Value(null=pb.Null())
        case datetime():
            return pb.Value(timestamp=timestamp(value))
        case date():
            return pb.Value(date=pb.Date(year=value.year, month=value.month, day=value.day))
        case Tensor():
            return pb.Value(tensor=pb.Tensor(dtype=value.dtype, shape=value.shape, data=value.data))
        case Media():
            return pb.Value(media=_media(value))
        case _:
            raise _uncarried(value, path, f"a {type(value).__name__}")


def _media(value: Media) -> pb.Media:
    if value.data is not None:
        return pb.Media(mime_type=value.mime_type, data=value.data)
    return pb.Media(mime_type=value.mime_type, url=value.url or "")


def _plain(value: bool | float | str, path: str) -> pb.Value:  # noqa: FBT001 - a value, not a switch
    match value:
        case bool():
            return pb.Value(boolean=value)
        case int():
            if value not in _INT64:
                raise _uncarried(value, path, "an integer beyond 64 bits")
            return pb.Value(integer=value)
        case float():
            return pb.Value(float=value)
        case str():
            return pb.Value(string=value)


def _uncarried(value: object, path: str, what: str) -> WorkerError:
    return WorkerError(
        f"{path} is {what}, which no message can carry: {excerpt(value)}.", reason=Reason.UNSERIALIZABLE, field=path
    )
