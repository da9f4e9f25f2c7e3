"""The adapter whose programs get made-up answers, whatever the worker's mode."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future
    from decimal import Decimal

    from python_worker.domain.adapter import AdapterInfo
    from python_worker.domain.program import Program
    from python_worker.domain.session import SessionLM
    from python_worker.runtime.adapter import Adapter, Outcome, Task


class MockAdapter:
    """Runs a program where another adapter would, and lets lmtest's mock answer it.

    Args:
        inner: Where it runs; closed by whoever made it.
    """

    def __init__(self, inner: Adapter) -> None:
        self._inner = inner

    @property
    def info(self) -> AdapterInfo:
        """What it can is what the other can."""
        return replace(self._inner.info, name="mock", aliases=())

    def spends(self, lm: SessionLM) -> bool:  # noqa: ARG002 - the port's signature
        """Nothing is ever sent."""
        return False

    def budget_left(self, program: Program, lm: SessionLM) -> Decimal | None:  # noqa: ARG002 - the port's signature
        """What is never sent costs nothing."""
        return None

    def run(self, task: Task, *, deadline: float, cancelled: Future[None]) -> Outcome:
        """Run to the end, or until the deadline, or until it is cancelled."""
        mocked = replace(task, lm=replace(task.lm, mode="mock"))
        return self._inner.run(mocked, deadline=deadline, cancelled=cancelled)

    def close(self, *, timeout: float) -> bool:  # noqa: ARG002 - the port's signature
        """It has nothing of its own."""
        return True
