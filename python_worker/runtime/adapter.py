"""The port to where a program runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from python_worker.domain.session import SessionLM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future
    from decimal import Decimal

    from python_worker.domain.adapter import AdapterInfo
    from python_worker.domain.errors import WorkerError
    from python_worker.domain.execution_event import StatusText, Token
    from python_worker.domain.owner import Owner
    from python_worker.domain.program import Program
    from python_worker.domain.recording import Refreshed
    from python_worker.domain.signature import Signature
    from python_worker.domain.stage import LMCall, ToolUse
    from python_worker.domain.value import Fields
    from python_worker.runtime.toolbox import Toolbox


@dataclass(frozen=True, kw_only=True)
class Task:
    """What an adapter is to run.

    Attributes:
        signature: Compiled; None where the program has none.
        inputs: Accepted by what the program takes, or as they came where the types are DSPy's to check.
        execution_id: Whose run it is.
        lm: Who answers, where not the worker's own.
        tell: Called with what the model says while it says it; None where nobody listens.
        tools: What it may call; None is nothing.
        check: Raises a WorkerError for outputs for which the execution will fail; asked before what they were made of
            is recorded. None lets all pass.
        owner: The test that asks; None where none does.
        session: Whose language model answers; "" is the worker's own.
    """

    program: Program
    signature: Signature | None
    inputs: Fields
    execution_id: str
    lm: SessionLM = field(default_factory=SessionLM)
    tell: Callable[[Token | StatusText], None] | None = None
    tools: Toolbox | None = None
    check: Callable[[Mapping[str, Any]], object] | None = None
    owner: Owner | None = None
    session: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of it. A failure is a value too: the calls made before it are part of the trail.

    Attributes:
        outputs: By field, as DSPy parsed them, not yet accepted by the signature.
        raw_answer: The model's last words, where there were any.
        error: None unless the program failed.
        waited: Seconds for a thread.
        processor: Seconds of the processor, of the program's own thread.
        refreshed: The cassette that was recorded anew, where one was to be.
    """

    outputs: Mapping[str, Any] = field(default_factory=dict)
    raw_answer: str | None = None
    calls: tuple[LMCall, ...] = ()
    tools: tuple[ToolUse, ...] = ()
    error: WorkerError | None = None
    waited: float = 0.0
    processor: float = 0.0
    refreshed: Refreshed | None = None


class Adapter(Protocol):
    """A place where programs run."""

    @property
    def info(self) -> AdapterInfo:
        """What it is called, as it stands in ``adapter_used``, and what it can."""

    def spends(self, lm: SessionLM) -> bool:
        """Whether a run may cost money, so that it must be on record before it begins."""

    def budget_left(self, program: Program, lm: SessionLM) -> Decimal | None:
        """USD that a program's model calls may still cost; None where no budget holds them.

        Raises:
            WorkerError: ``configuration``: nobody can say.
        """

    def run(self, task: Task, *, deadline: float, cancelled: Future[None]) -> Outcome:
        """Run to the end, or until the deadline, or until it is cancelled.

        Args:
            task: What to run.
            deadline: On ``time.monotonic``'s clock, seconds.
            cancelled: Done when nobody waits for the outcome any more.

        Raises:
            WorkerError: ``unavailable``: it takes no tasks now; nothing was begun.
        """

    def close(self, *, timeout: float) -> bool:
        """Take no more tasks, and wait for those under way.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether all of them ended.
        """
