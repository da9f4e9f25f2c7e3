"""Values as the bytes that are kept of them: the contract's own messages, so that nothing is lost or guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_worker.domain.errors import Reason, WorkerError
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire.values import from_wire, to_wire

if TYPE_CHECKING:
    from python_worker.domain.value import Value


class ProtobufCodec:
    """``domain.repositories.ValueCodec`` by ``python_worker.v1.Value``.

    Args:
        most_bytes: How big a value may be.

    >>> codec = ProtobufCodec(most_bytes=100)
    >>> codec.load(codec.dump({"a": [1, 2.5, None]}, name="x"))
    {'a': [1, 2.5, None]}
    """

    def __init__(self, *, most_bytes: int) -> None:
        self._most_bytes = most_bytes

    def dump(self, value: Value, *, name: str) -> bytes:
        """The bytes."""
        try:
            data: bytes = to_wire(value, name).SerializeToString()
        except WorkerError as error:  # a client's value, not a program's answer
            raise WorkerError(error.message, reason=Reason.INVALID_ARGUMENT, field=error.field) from error
        if len(data) > self._most_bytes:
            raise WorkerError(
                f"variable {name!r} would take {len(data):,} bytes: a value has at most {self._most_bytes:,} "
                "(--max-value-bytes).",
                reason=Reason.LIMIT,
                field=name,
            )
        return data

    def load(self, data: bytes) -> Value:
        """The value."""
        return from_wire(pb.Value.FromString(data), "value")
