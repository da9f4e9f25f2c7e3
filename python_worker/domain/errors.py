"""What the worker refuses or fails to do, as one class with a reason.

The same class is raised inside the worker and, rebuilt from the wire, by the client: a reason means one thing
everywhere. docs/worker.md lists the reasons with their gRPC status.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_worker.domain.value import storable

if TYPE_CHECKING:
    from python_worker.domain.call_stop import CallStop
    from python_worker.domain.stage import Stage


class Reason(enum.StrEnum):
    """Why a call did not do what it was asked.

    >>> Reason("cassette_miss").name
    'CASSETTE_MISS'
    """

    SYNTAX_ERROR = "syntax_error"
    VALIDATION_ERROR = "validation_error"
    CONSTRAINT_VIOLATION = "constraint_violation"
    INVALID_ARGUMENT = "invalid_argument"
    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    UNAUTHENTICATED = "unauthenticated"
    PERMISSION_DENIED = "permission_denied"
    STALE_VERSION = "stale_version"
    UNPARSABLE_ANSWER = "unparsable_answer"
    UNSERIALIZABLE = "unserializable"
    CASSETTE_NOT_FOUND = "cassette_not_found"
    CASSETTE_MISS = "cassette_miss"
    CASSETTE_UNUSABLE = "cassette_unusable"
    RATE_LIMITED = "rate_limited"
    BUDGET_EXCEEDED = "budget_exceeded"
    LIMIT = "limit"
    CONFIGURATION = "configuration"
    PROVIDER_FAILURE = "provider_failure"
    PROVIDER_REFUSAL = "provider_refusal"
    TOOL_FAILURE = "tool_failure"
    ACTION_REFUSED = "action_refused"
    IN_USE = "in_use"
    INTERRUPTED = "interrupted"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


@dataclass(frozen=True, kw_only=True)
class Position:
    """A place in a text, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong with one value.

    Attributes:
        kind: ``validation_error`` for a wrong type, ``constraint_violation`` for a right type out of bounds.
        field: The path to the value, such as ``context[2]``.
        value: The value as JSON, cut short.
        rule: For a wrong type what the value must be, such as ``an integer``, or ``Cannot convert "x" to an integer``;
            for a broken constraint what it is, such as ``above maximum 1.0``.
    """

    kind: Reason
    field: str
    value: str
    rule: str

    def __str__(self) -> str:
        if self.kind is Reason.CONSTRAINT_VIOLATION:
            return f"{self.field} is {self.rule}: {self.value}"
        if self.rule.startswith("Cannot"):
            return f"{self.field}: {self.rule}"
        return f"{self.field} must be {self.rule}, not {self.value}"


class WorkerError(Exception):
    """A call that did not do what it was asked.

    Attributes:
        reason: What a program branches on.
        message: What a person reads.
        field: The request's field or the path of the first bad value, or "".
        position: Where in a signature's text, for ``syntax_error``.
        retryable: Whether the same call may succeed later, unchanged.
        retry_after: Seconds to wait first, where known.
        execution_id: The execution that keeps the trail, or "".
        stage: The stage it happened in, or None.
        problems: Everything that is wrong with the values, for the two kinds of invalid value.
        stop: Why lmtest stopped a call of a model, where it did.

    >>> WorkerError("no signature 'q'", reason=Reason.NOT_FOUND, field="signature").reason.value
    'not_found'
    """

    def __init__(
        self,
        message: str,
        *,
        reason: Reason,
        field: str = "",
        position: Position | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        execution_id: str = "",
        stage: Stage | None = None,
        problems: tuple[Problem, ...] = (),
        stop: CallStop | None = None,
    ) -> None:
        self.message = storable(message)
        Exception.__init__(self, self.message)  # a client's kinds are also classes that want to be made otherwise
        self.reason = reason
        self.field = field
        self.position = position
        self.retryable = retryable
        self.retry_after = retry_after
        self.execution_id = execution_id
        self.stage = stage
        self.problems = problems
        self.stop = stop

    @property
    def unanswered(self) -> bool:
        """Whether a model did not answer, refused to, or could not be asked; `lmtest refresh` looks for it."""
        return self.reason in _UNANSWERED


_UNANSWERED = frozenset(
    {
        Reason.CONFIGURATION,
        Reason.PROVIDER_FAILURE,
        Reason.PROVIDER_REFUSAL,
        Reason.TIMEOUT,
        Reason.UNAVAILABLE,
    }
)


def invalid_values(problems: tuple[Problem, ...], *, what: str) -> WorkerError:
    """One error for all the problems of a set of values.

    Args:
        problems: At least one.
        what: Whose values, such as ``inputs of 'qa'``.
    """
    wrong_type = [problem for problem in problems if problem.kind is Reason.VALIDATION_ERROR]
    first = (wrong_type or list(problems))[0]
    listed = "; ".join(str(problem) for problem in problems)
    return WorkerError(f"{what}: {listed}.", reason=first.kind, field=first.field, problems=problems)
