"""The trail of one execution while it grows."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.stage import LMCall, Stage, StageRecord, StageStatus
from python_worker.runtime.failures import told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_worker.domain.stage import ToolUse

_LOG = logging.getLogger(__name__)


class Notes:
    """What a stage has to say for itself.

    Attributes:
        detail: One sentence.
        calls: The language model calls made in it.
        tools: The calls of tools, likewise.
    """

    def __init__(self) -> None:
        self.detail = ""
        self.calls: tuple[LMCall, ...] = ()
        self.tools: tuple[ToolUse, ...] = ()


class Trail:
    """Times stages and collects their records, in order."""

    def __init__(self) -> None:
        self._records: list[StageRecord] = []

    @property
    def records(self) -> tuple[StageRecord, ...]:
        """The stages so far."""
        return tuple(self._records)

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[Notes]:
        """Record what happens inside as one stage.

        Raises:
            WorkerError: Whatever went wrong inside, with the stage noted on it.
        """
        notes, started_at, start = Notes(), datetime.now(UTC), time.perf_counter()
        error: WorkerError | None = None
        try:
            yield notes
        except WorkerError as raised:
            error = raised
        except Exception as raised:  # noqa: BLE001 - a bug ends the stage, not the trail
            _LOG.exception("stage %s failed in a way nobody foresaw", stage)
            error = WorkerError(told(raised), reason=Reason.INTERNAL)
            error.__cause__ = raised
        record = StageRecord(
            stage=stage,
            status=StageStatus.FAILED if error else StageStatus.OK,
            started_at=started_at,
            duration=time.perf_counter() - start,
            detail=error.message if error else notes.detail,
            calls=notes.calls,
            tools=notes.tools,
        )
        self._records.append(record)
        if error:
            error.stage = stage
            raise error
