"""A failed execution's error as a JSON text."""

from __future__ import annotations

from dataclasses import asdict

import orjson

from python_worker.domain.errors import Position, Problem, Reason, WorkerError
from python_worker.domain.stage import Stage
from python_worker.domain.value import canonical_json


def dump_error(error: WorkerError) -> str:
    """The error as JSON, its execution left out: it stands in that execution's row."""
    return canonical_json(
        {
            "reason": error.reason,
            "message": error.message,
            "field": error.field,
            "position": asdict(error.position) if error.position else None,
            "retryable": error.retryable,
            "retry_after": error.retry_after,
            "stage": error.stage,
            "problems": [asdict(problem) for problem in error.problems],
        }
    ).decode()


def load_error(text: str, *, execution_id: str) -> WorkerError:
    """The error of a JSON text that ``dump_error`` made."""
    data = orjson.loads(text)
    return WorkerError(
        data["message"],
        reason=Reason(data["reason"]),
        field=data["field"],
        position=Position(**data["position"]) if data["position"] else None,
        retryable=data["retryable"],
        retry_after=data["retry_after"],
        execution_id=execution_id,
        stage=Stage(data["stage"]) if data["stage"] else None,
        problems=tuple(
            Problem(kind=Reason(each["kind"]), field=each["field"], value=each["value"], rule=each["rule"])
            for each in data["problems"]
        ),
    )
