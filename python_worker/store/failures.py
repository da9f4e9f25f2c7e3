"""A failed execution's error as a JSON text."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import Any, Final

import orjson

from python_worker.domain.call_stop import CallStop, Difference, NearMiss
from python_worker.domain.errors import Position, Problem, Reason, WorkerError
from python_worker.domain.stage import Stage
from python_worker.domain.value import canonical_json

_AMOUNTS: Final = ("spent", "limit", "estimate")


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
            **({"stop": _dump_stop(error.stop)} if error.stop else {}),
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
        stop=_load_stop(data["stop"]) if "stop" in data else None,  # those of before had none
    )


def _dump_stop(stop: CallStop) -> dict[str, Any]:
    amounts = {name: value for name in _AMOUNTS if (value := getattr(stop, name)) is not None}
    return {**asdict(stop), **dict.fromkeys(_AMOUNTS), **{name: format(value, "f") for name, value in amounts.items()}}


def _load_stop(data: dict[str, Any]) -> CallStop:
    nearest = tuple(
        NearMiss(
            key=each["key"],
            line=each["line"],
            differences=tuple(Difference(**one) for one in each["differences"]),
        )
        for each in data["nearest"]
    )
    amounts = {name: None if data[name] is None else Decimal(data[name]) for name in _AMOUNTS}
    return CallStop(**{**data, "nearest": nearest, **amounts})
