"""What an execution puts on record."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from python_worker.domain.audit import AuditEntry
from python_worker.domain.exact import exact_json
from python_worker.domain.value import canonical_json, fingerprint, plain
from python_worker.store import stages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from python_worker.domain.execution import Execution
    from python_worker.domain.stage import StageRecord
    from python_worker.domain.value import Fields

STARTED = "execution_started"
FINISHED = "execution_finished"
REFRESHED = "cassette_refreshed"


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True, kw_only=True)
class ExecutionTrail:
    """Makes the entries of executions.

    Inputs, outputs and the model's last words are told by their SHA-256, so that a changed row of the executions can be
    told; by value too where that is asked for.

    Attributes:
        values: Whether inputs and outputs are told by value; tensors and media never are.
        redact: Takes secrets out of a JSON value: out of values, and of the words of whatever went wrong.
    """

    values: bool = False
    redact: Callable[[Any], Any] = _as_it_is

    def whole(self, execution: Execution) -> list[AuditEntry]:
        """All of one that has ended."""
        return [*self.begun(execution), *self.ended(execution, ())]

    def begun(self, execution: Execution) -> list[AuditEntry]:
        """That it has begun, and the stages behind it."""
        said = {
            "program_id": execution.program_id,
            "program_version": execution.program_version,
            "asked_by": execution.asked_by,
            "inputs_sha256": _digest(exact_json(execution.inputs)),
            **self._told("inputs", execution.inputs),
        }
        return [_entry(execution, STARTED, execution.started_at, said), *self._stages(execution, execution.stages)]

    def ended(self, execution: Execution, new_stages: Sequence[StageRecord]) -> list[AuditEntry]:
        """The stages since, and how it ended."""
        error, answer = execution.error, execution.raw_answer
        said = {
            "status": execution.status,
            "reason": error.reason if error else None,
            "message": self.redact(error.message) if error else None,
            "outputs_sha256": _digest(exact_json(execution.outputs)),
            "raw_answer_sha256": None if answer is None else _digest(answer),
            "adapter_used": execution.adapter_used,
            "fallbacks": [{"adapter": each.adapter, "why": self.redact(each.why)} for each in execution.fallbacks],
            "attempts": execution.attempts,
            "actions": self._actions(execution),
            **self._told("outputs", execution.outputs),
        }
        at = execution.started_at + timedelta(seconds=execution.duration or 0.0)
        stages = self._stages(execution, new_stages)
        return [*stages, *self._refreshed(execution, at), _entry(execution, FINISHED, at, said)]

    def _refreshed(self, execution: Execution, at: datetime) -> list[AuditEntry]:
        """That a cassette was recorded anew, where one was."""
        if execution.refreshed is None:
            return []
        return [_entry(execution, REFRESHED, at, asdict(execution.refreshed))]

    def _stages(self, execution: Execution, records: Sequence[StageRecord]) -> list[AuditEntry]:
        return [stages.to_entry(execution.id, record, redact=self.redact) for record in records]

    def _told(self, name: str, fields: Fields) -> dict[str, Any]:
        return {name: self.redact(plain(fields))} if self.values else {}

    def _actions(self, execution: Execution) -> list[dict[str, Any]]:
        return [
            {
                "action": each.action,
                "moment": each.moment,
                "refused": each.refused,
                "reason": self.redact(each.reason) if each.reason else "",
                "values_sha256": fingerprint(each.values),
            }
            for each in execution.action_results
        ]


def _entry(execution: Execution, kind: str, at: datetime, said: Mapping[str, Any]) -> AuditEntry:
    return AuditEntry(
        execution_id=execution.id,
        kind=kind,
        at=at.astimezone(UTC).isoformat(),
        payload=canonical_json(said).decode(),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
