"""The worker's errors, rebuilt from how a call ended.

    WorkerError
    ├── NotFound                    no such thing, or not any more
    │   └── VariableNotFound        also a KeyError: a session is a mapping
    ├── AlreadyExists               the name is taken
    ├── InvalidValue                also a ValueError: a wrong type, or a broken constraint
    ├── StaleVersion                someone else changed the variable since
    ├── Unavailable                 the worker does not answer
    └── CallStopped                 lmtest stopped a call of a model; each kind is also lmtest's class of that name
        ├── CassetteMiss
        │   └── CassetteExhausted
        ├── CassetteNotFound, CassetteTampered
        └── RateLimited, BudgetExceeded

The others are plain ``WorkerError``, told apart by their reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import grpc
from grpc import StatusCode

import lmtest
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


class CallStopped(WorkerError):
    """A call of a model that lmtest stopped in the worker. It has the attributes of lmtest's own error.

    Attributes:
        key: The request's key; "" where it has none.
        path: The cassette that was asked, as the worker names it; None where there is none.
        line: None; an error that is lmtest's own may know it.
        nearest: The recorded requests most like it, the nearest first; each with its ``differences``.
        command: What records it; "" where nobody knows.
        spent: USD of a budget that are spent or set aside; None of what is no budget.
        limit: USD that it allows, likewise.
        estimate: USD that the call could cost, where it is known.
    """

    def __init__(self, message: str, **given: Any) -> None:
        super().__init__(message, **given)
        stop = self.stop
        self.key = stop.key if stop else ""
        self.path = Path(stop.cassette) if stop and stop.cassette else None
        self.line: int | None = None
        self.nearest: Any = stop.nearest if stop else ()
        self.command = stop.command if stop else ""
        self.spent = stop.spent if stop else None
        self.limit = stop.limit if stop else None
        self.estimate = stop.estimate if stop else None


class CassetteMiss(CallStopped, lmtest.CassetteMiss):
    """The request is not in the worker's cassette."""


class CassetteExhausted(CassetteMiss, lmtest.CassetteExhausted):
    """It is, but was asked for more often than it was recorded."""


class CassetteNotFound(CallStopped, lmtest.CassetteNotFound):
    """The worker has no such cassette to replay."""


class CassetteTampered(CallStopped, lmtest.CassetteTampered):
    """A recording of the worker's differs from its digest."""


class RateLimited(CallStopped, lmtest.RateLimited):  # type: ignore[misc] # likewise
    """A rate limit has no room now; ``retry_after`` tells when it has."""


class BudgetExceeded(CallStopped, lmtest.BudgetExceeded):  # type: ignore[misc] # likewise
    """The call could cost more than is left."""


_STOPS: dict[str, type[CallStopped]] = {
    each.__name__: each
    for each in (CassetteMiss, CassetteExhausted, CassetteNotFound, CassetteTampered, RateLimited, BudgetExceeded)
}

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
    if detail.HasField("stop") and (stopped := _STOPS.get(detail.stop.kind)):
        return from_detail(detail, kind=stopped)
    missing_variable = detail.reason == Reason.NOT_FOUND and detail.field == "variable"
    kind = VariableNotFound if missing_variable else _KINDS.get(detail.reason, WorkerError)
    return from_detail(detail, kind=kind)
