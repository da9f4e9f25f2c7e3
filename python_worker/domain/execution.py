"""An execution: one run of a program."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from python_worker.domain.action import ActionResult
    from python_worker.domain.errors import WorkerError
    from python_worker.domain.recording import Refreshed
    from python_worker.domain.stage import StageRecord
    from python_worker.domain.value import Fields


class ExecutionStatus(enum.StrEnum):
    """How far a run has come."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True)
class Fallback:
    """An adapter that stood earlier in the order, and why it was not used."""

    adapter: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """What a run used.

    Attributes:
        cost: USD, or None where a price is unknown.
        waited: Seconds for a thread.
        in_models: Seconds in calls of language models.
        processor: Seconds of the processor, of the program's own thread.
    """

    model_calls: int
    input_tokens: int
    output_tokens: int
    cost: Decimal | None
    waited: float
    in_models: float
    processor: float


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One run of a program.

    Attributes:
        outputs: Empty unless it succeeded.
        error: None unless it did not.
        raw_answer: The model's last words, where there were any.
        adapter_used: Where it ran, such as ``inline``.
        duration: Seconds, or None while it runs.
        stages: In order, as far as the run came.
        session: Whose, or "".
        attempts: 1, and one more for each retry.
        fallbacks: The adapters that stood earlier in the order.
        metrics: None unless they were asked for.
        action_results: In the order they were run.
        idempotency_key: "" where there is none.
        asked_by: The token's name; "" where tokens are not asked for.
        refreshed: The cassette that it recorded anew, as it ends: the audit trail has it, its row has not.
    """

    id: str
    program_id: str
    status: ExecutionStatus
    inputs: Fields
    outputs: Fields
    error: WorkerError | None
    raw_answer: str | None
    adapter_used: str
    started_at: datetime
    duration: float | None
    stages: tuple[StageRecord, ...]
    program_version: int = 1
    session: str = ""
    attempts: int = 1
    fallbacks: tuple[Fallback, ...] = ()
    metrics: Metrics | None = None
    action_results: tuple[ActionResult, ...] = ()
    idempotency_key: str = ""
    asked_by: str = ""
    refreshed: Refreshed | None = None


@dataclass(frozen=True, kw_only=True)
class ExecutionQuery:
    """Which executions are wanted; what is None or empty does not ask.

    Attributes:
        session: Of which session; None is of all.
        since: Started then or later.
        until: Started before.
    """

    session: str | None = None
    program_id: str | None = None
    statuses: tuple[ExecutionStatus, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
