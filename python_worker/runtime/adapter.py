"""The port to where a program runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from python_worker.domain.session import SessionLM

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from python_worker.domain.errors import WorkerError
    from python_worker.domain.execution import LMCall
    from python_worker.domain.program import Program
    from python_worker.domain.signature import Signature
    from python_worker.domain.tool import ToolUse
    from python_worker.domain.value import Fields
    from python_worker.runtime.toolbox import Toolbox


@dataclass(frozen=True, kw_only=True)
class Task:
    """What an adapter is to run.

    Attributes:
        signature: Compiled; None where the program has none.
        inputs: Accepted by what the program takes.
        lm: Who answers, where not the worker's own.
        tools: What it may call; None is nothing.
    """

    program: Program
    signature: Signature | None
    inputs: Fields
    lm: SessionLM = field(default_factory=SessionLM)
    tools: Toolbox | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of it. A failure is a value too: the calls made before it are part of the trail.

    Attributes:
        outputs: By field, as DSPy parsed them, not yet accepted by the signature.
        raw_answer: The model's last words, where there were any.
        error: None unless the program failed.
    """

    outputs: Mapping[str, Any] = field(default_factory=dict)
    raw_answer: str | None = None
    calls: tuple[LMCall, ...] = ()
    tools: tuple[ToolUse, ...] = ()
    error: WorkerError | None = None


class Adapter(Protocol):
    """A place where programs run.

    Attributes:
        name: As it stands in ``adapter_used``.
    """

    name: str

    def run(self, task: Task, *, deadline: float, cancelled: Future[None]) -> Outcome:
        """Run to the end, or until the deadline, or until it is cancelled.

        Args:
            task: What to run.
            deadline: On ``time.monotonic``'s clock, seconds.
            cancelled: Done when nobody waits for the outcome any more.
        """

    def close(self, *, timeout: float) -> bool:
        """Take no more tasks, and wait for those under way.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether all of them ended.
        """
