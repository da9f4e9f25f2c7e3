"""The attempts of an execution: where it runs, and when it is tried again."""

from __future__ import annotations

import time
from concurrent.futures import wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.execution import Fallback
from python_worker.domain.stage import Stage
from python_worker.runtime.adapter import Outcome, Task

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from python_worker.runtime.adapter import Adapter
    from python_worker.runtime.trail import Trail

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
"""Seconds before a next attempt, doubled from one to the next, where the failure does not say."""

_ENDS = {Reason.TIMEOUT, Reason.CANCELLED, Reason.UNPARSABLE_ANSWER}
"""What no further attempt would change, or has no time for."""


@dataclass(frozen=True, kw_only=True)
class Attempted:
    """What came of the attempts.

    Attributes:
        last: The last outcome, the run's own.
        outcomes: All of them, in order.
        adapter: Where the last ran.
        fallbacks: Where it was to run first, and why it did not.
    """

    last: Outcome
    outcomes: tuple[Outcome, ...]
    adapter: str
    fallbacks: tuple[Fallback, ...]


class Attempts:
    """Runs a task until it does not fail, or trying again is of no use.

    Args:
        adapters: Those that can run it, in order.
        fallbacks: Those before them that cannot.
        retries: How often a retryable failure is tried again.
        deadline: Of all attempts together, on ``time.monotonic``'s clock.
        cancelled: Done when nobody wants the outcome any more.
    """

    def __init__(
        self,
        adapters: Sequence[Adapter],
        *,
        fallbacks: tuple[Fallback, ...],
        retries: int,
        deadline: float,
        cancelled: Future[None],
    ) -> None:
        self._adapters = list(adapters)
        self._fallbacks = list(fallbacks)
        self._retries = retries
        self._deadline = deadline
        self._cancelled = cancelled

    @property
    def first(self) -> str:
        """Where it is to run."""
        return self._adapters[0].info.name

    def make(self, task: Task, trail: Trail) -> Attempted:
        """Make them; each leaves a stage in the trail."""
        outcomes: list[Outcome] = []
        while True:
            outcomes.append(self._attempt(task, trail, number=len(outcomes) + 1))
            error = outcomes[-1].error
            if error is None or not error.retryable or error.reason in _ENDS or len(outcomes) > self._retries:
                break
            if not self._waited(_pause(error, len(outcomes))):
                break
        return Attempted(
            last=outcomes[-1],
            outcomes=tuple(outcomes),
            adapter=self.first,
            fallbacks=tuple(self._fallbacks),
        )

    def _attempt(self, task: Task, trail: Trail, *, number: int) -> Outcome:
        outcome = Outcome()
        try:
            with trail.stage(Stage.ADAPTER_EXECUTION) as notes:
                outcome = self._run(task)
                notes.calls, notes.tools = outcome.calls, outcome.tools
                again = f"attempt {number} of {self._retries + 1}, " if self._retries else ""
                notes.detail = f"{again}{self.first}: {_count(len(outcome.calls), 'model call')}"
                if outcome.error and outcome.error.reason is not Reason.UNPARSABLE_ANSWER:
                    raise outcome.error
        except WorkerError as error:
            return replace(outcome, error=error)
        return outcome

    def _run(self, task: Task) -> Outcome:
        while True:
            try:
                return self._adapters[0].run(task, deadline=self._deadline, cancelled=self._cancelled)
            except WorkerError as error:  # it has begun nothing
                if len(self._adapters) == 1:
                    raise
                gone = self._adapters.pop(0)
                self._fallbacks.append(Fallback(adapter=gone.info.name, why=error.message))

    def _waited(self, seconds: float) -> bool:
        """Wait before the next attempt; not where the deadline comes first, or nobody wants it any more."""
        if time.monotonic() + seconds >= self._deadline:
            return False
        return not wait({self._cancelled}, timeout=seconds).done


def _pause(error: WorkerError, attempts: int) -> float:
    if error.retry_after is not None:
        return error.retry_after
    return min(FIRST_PAUSE * 2.0 ** (attempts - 1), LONGEST_PAUSE)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
