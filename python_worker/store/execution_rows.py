"""An execution as a row, both ways."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from python_worker.domain.action import ActionMoment, ActionResult
from python_worker.domain.exact import exact_json, from_exact_json
from python_worker.domain.execution import Execution, ExecutionStatus, Fallback, Metrics
from python_worker.domain.value import canonical_json
from python_worker.store.failures import dump_error, load_error
from python_worker.store.tables import to_moment, to_number

if TYPE_CHECKING:
    from python_worker.domain.stage import StageRecord

_NONE = "[]"


def to_row(execution: Execution, *, owner: str) -> dict[str, Any]:
    """The execution as a row of its owner's."""
    return {
        "id": execution.id,
        "program_id": execution.program_id,
        "program_version": execution.program_version,
        "session": execution.session,
        "status": execution.status.value,
        "inputs": exact_json(execution.inputs),
        "outputs": exact_json(execution.outputs),
        "error": dump_error(execution.error) if execution.error else None,
        "raw_answer": execution.raw_answer,
        "adapter_used": execution.adapter_used,
        "fallbacks": _texts([asdict(each) for each in execution.fallbacks]),
        "attempts": execution.attempts,
        "metrics": _dump_metrics(execution.metrics) if execution.metrics else None,
        "action_results": exact_json([vars(each) for each in execution.action_results]),
        "idempotency_key": execution.idempotency_key,
        "asked_by": execution.asked_by,
        "owner": owner,
        "started_at": to_number(execution.started_at),
        "duration": execution.duration,
    }


def from_row(row: Any, trail: tuple[StageRecord, ...]) -> Execution:
    """The execution of a row."""
    return Execution(
        id=row.id,
        program_id=row.program_id,
        program_version=row.program_version,
        session=row.session,
        status=ExecutionStatus(row.status),
        inputs=from_exact_json(row.inputs),
        outputs=from_exact_json(row.outputs),
        error=load_error(row.error, execution_id=row.id) if row.error else None,
        raw_answer=row.raw_answer,
        adapter_used=row.adapter_used,
        fallbacks=tuple(Fallback(**each) for each in orjson.loads(row.fallbacks)),
        attempts=row.attempts,
        metrics=_load_metrics(row.metrics) if row.metrics else None,
        action_results=tuple(_load_result(each) for each in from_exact_json(row.action_results)),
        idempotency_key=row.idempotency_key,
        asked_by=row.asked_by,
        started_at=to_moment(row.started_at),
        duration=row.duration,
        stages=trail,
    )


def _texts(items: list[dict[str, Any]]) -> str:
    return canonical_json(items).decode() if items else _NONE


def _dump_metrics(metrics: Metrics) -> str:
    cost = None if metrics.cost is None else str(metrics.cost)
    return canonical_json(asdict(metrics) | {"cost": cost}).decode()


def _load_metrics(text: str) -> Metrics:
    data = orjson.loads(text)
    return Metrics(**(data | {"cost": None if data["cost"] is None else Decimal(data["cost"])}))


def _load_result(data: dict[str, Any]) -> ActionResult:
    return ActionResult(**(data | {"moment": ActionMoment(data["moment"])}))
