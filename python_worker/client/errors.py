"""The worker's errors, rebuilt from how a call ended.

    WorkerError
    ├── NotFound                    no such thing, or not any more
    │   └── VariableNotFound        also a KeyError: a session is a mapping
    ├── AlreadyExists               the name is taken
    ├── InvalidValue                also a ValueError: a wrong type, or a broken constraint
    ├── StaleVersion                someone else changed the variable since
    └── Unavailable                 the worker does not answer

The others are plain ``WorkerError``, told apart by their reason.
"""

from __future__ import annotations

from typing import cast

import grpc
from grpc import StatusCode

from python_worker.domain.errors import Reason, WorkerError
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire.errors import TRAILER, from_detail


class NotFound(WorkerError):
    """There is no such thing, or not any more."""


class VariableNotFound(NotFound, KeyError):
    """The session has no such variable."""

    __str__ = WorkerError.__str__  # a KeyError shows its message quoted


class AlreadyExists(WorkerError):
    """The name is taken."""


class InvalidValue(WorkerError, ValueError):
    """A value of the wrong type, or that breaks a constraint."""


class StaleVersion(WorkerError):
    """Someone else changed the variable since: get it anew and decide again."""


class Unavailable(WorkerError):
    """The worker does not answer."""


_KINDS: dict[str, type[WorkerError]] = {
    Reason.NOT_FOUND: NotFound,
    Reason.ALREADY_EXISTS: AlreadyExists,
    Reason.VALIDATION_ERROR: InvalidValue,
    Reason.CONSTRAINT_VIOLATION: InvalidValue,
    Reason.STALE_VERSION: StaleVersion,
    Reason.UNAVAILABLE: Unavailable,
}

# What gRPC itself ends a call with, when the worker had no say.
_REASONS = {
    StatusCode.UNAVAILABLE: Reason.UNAVAILABLE,
    StatusCode.DEADLINE_EXCEEDED: Reason.TIMEOUT,
    StatusCode.CANCELLED: Reason.CANCELLED,
    StatusCode.RESOURCE_EXHAUSTED: Reason.LIMIT,
    StatusCode.UNIMPLEMENTED: Reason.INVALID_ARGUMENT,
}


def from_rpc(error: grpc.RpcError) -> WorkerError:
    """The error that the detail trailer tells, or else the status."""
    call = cast(grpc.Call, error)  # what a call raises is both, and the stubs say it cannot be
    for key, value in call.trailing_metadata() or ():
        if key == TRAILER and isinstance(value, bytes):
            return from_message(pb.ErrorDetail.FromString(value))
    code = call.code()
    reason = _REASONS.get(code, Reason.INTERNAL)
    kind = _KINDS.get(reason, WorkerError)
    return kind(f"{code.name}: {call.details()}", reason=reason, retryable=code is StatusCode.UNAVAILABLE)


def from_message(detail: pb.ErrorDetail) -> WorkerError:
    """The error of a detail, of the kind that fits its reason."""
    missing_variable = detail.reason == Reason.NOT_FOUND and detail.field == "variable"
    kind = VariableNotFound if missing_variable else _KINDS.get(detail.reason, WorkerError)
    return from_detail(detail, kind=kind)
