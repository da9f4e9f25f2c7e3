"""A stage of an execution as an entry of the audit trail."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from python_worker.domain.audit import AuditEntry
from python_worker.domain.recording import Recording
from python_worker.domain.stage import LMCall, Stage, StageRecord, StageStatus, ToolUse
from python_worker.domain.value import canonical_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

STAGE = "stage"
"""The kind of such an entry."""


def to_entry(execution_id: str, record: StageRecord, *, redact: Callable[[Any], Any]) -> AuditEntry:
    """The record as an entry. What went wrong is told in words that may quote a value: they are redacted."""
    at = record.started_at.isoformat()
    payload = {
        "stage": record.stage,
        "status": record.status,
        "started_at": at,
        "duration": record.duration,
        "detail": record.detail if record.status is StageStatus.OK else redact(record.detail),
        "calls": [_from_call(call) for call in record.calls],
        "tools": [{**vars(use), "error": redact(use.error) if use.error else ""} for use in record.tools],
    }
    return AuditEntry(
        execution_id=execution_id,
        kind=STAGE,
        at=at,
        payload=canonical_json(payload).decode(),
    )


def from_entries(entries: Iterable[AuditEntry]) -> tuple[StageRecord, ...]:
    """The records among the entries, in order."""
    return tuple(_to_record(orjson.loads(entry.payload)) for entry in entries if entry.kind == STAGE)


def calls_of(payload: str) -> tuple[LMCall, ...]:
    """The model calls that the payload of such an entry tells.

    Raises:
        ValueError: It tells none; likewise KeyError and TypeError.
    """
    return tuple(map(_to_call, orjson.loads(payload)["calls"]))


def _to_record(data: dict[str, Any]) -> StageRecord:
    return StageRecord(
        stage=Stage(data["stage"]),
        status=StageStatus(data["status"]),
        started_at=datetime.fromisoformat(data["started_at"]),
        duration=data["duration"],
        detail=data["detail"],
        calls=tuple(_to_call(call) for call in data["calls"]),
        tools=tuple(ToolUse(**use) for use in data["tools"]),
    )


def _from_call(call: LMCall) -> dict[str, Any]:
    said = {**vars(call), "cost": None if call.cost is None else str(call.cost)}
    recording = said.pop("recording")
    return said | {"recording": asdict(recording)} if recording else said


def _to_call(data: dict[str, Any]) -> LMCall:
    cost, recording = data["cost"], data.get("recording")
    read = {
        "cost": None if cost is None else Decimal(cost),
        "recording": Recording(**recording) if recording else None,
    }
    return LMCall(**(data | read))
