"""The gRPC status of a reason. docs/worker.md shows this table to clients."""

from __future__ import annotations

from grpc import StatusCode

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.stage import Stage

_CODES = {
    Reason.SYNTAX_ERROR: StatusCode.INVALID_ARGUMENT,
    Reason.VALIDATION_ERROR: StatusCode.INVALID_ARGUMENT,
    Reason.CONSTRAINT_VIOLATION: StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_ARGUMENT: StatusCode.INVALID_ARGUMENT,
    Reason.NOT_FOUND: StatusCode.NOT_FOUND,
    Reason.ALREADY_EXISTS: StatusCode.ALREADY_EXISTS,
    Reason.UNAUTHENTICATED: StatusCode.UNAUTHENTICATED,
    Reason.PERMISSION_DENIED: StatusCode.PERMISSION_DENIED,
    Reason.STALE_VERSION: StatusCode.ABORTED,
    Reason.UNPARSABLE_ANSWER: StatusCode.INTERNAL,
    Reason.UNSERIALIZABLE: StatusCode.INTERNAL,
    Reason.CASSETTE_NOT_FOUND: StatusCode.FAILED_PRECONDITION,
    Reason.CASSETTE_MISS: StatusCode.FAILED_PRECONDITION,
    Reason.CASSETTE_UNUSABLE: StatusCode.FAILED_PRECONDITION,
    Reason.CONFIGURATION: StatusCode.FAILED_PRECONDITION,
    Reason.PROVIDER_REFUSAL: StatusCode.FAILED_PRECONDITION,
    Reason.ACTION_REFUSED: StatusCode.FAILED_PRECONDITION,
    Reason.IN_USE: StatusCode.FAILED_PRECONDITION,
    Reason.RATE_LIMITED: StatusCode.RESOURCE_EXHAUSTED,
    Reason.BUDGET_EXCEEDED: StatusCode.RESOURCE_EXHAUSTED,
    Reason.LIMIT: StatusCode.RESOURCE_EXHAUSTED,
    Reason.PROVIDER_FAILURE: StatusCode.UNAVAILABLE,
    Reason.UNAVAILABLE: StatusCode.UNAVAILABLE,
    Reason.TOOL_FAILURE: StatusCode.UNAVAILABLE,
    Reason.INTERRUPTED: StatusCode.UNAVAILABLE,
    Reason.TIMEOUT: StatusCode.DEADLINE_EXCEEDED,
    Reason.CANCELLED: StatusCode.CANCELLED,
    Reason.INTERNAL: StatusCode.UNKNOWN,
}

_OF_VALUES = {Reason.VALIDATION_ERROR, Reason.CONSTRAINT_VIOLATION}


def status_of(error: WorkerError) -> StatusCode:
    """The status a client gets.

    A model's answer that breaks its signature is no fault of the client's: it is INTERNAL, with the same reasons as a
    bad input, told apart by the stage.
    """
    if error.stage is Stage.OUTPUT_VALIDATION and error.reason in _OF_VALUES:
        return StatusCode.INTERNAL
    return _CODES[error.reason]
