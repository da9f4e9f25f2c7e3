"""How far a refresh is: cassettes, calls, dollars and the time that is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lmtest.cassette.pending import failed_path, fresh_path
from lmtest.here import relative
from lmtest.refresh.ids import ByTest
from lmtest.refresh.result import amounts, read_calls

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from rich.console import Console

    from lmtest.refresh.plan import Job, Plan
    from lmtest.refresh.witness import Ended


class DriftProgress:
    """Shows how far a refresh is while a ``with`` block runs: a bar on a terminal, a line a cassette elsewhere.

    Args:
        console: Where.
        plan: What is due.
        root: The project, which paths are told relative to.
    """

    def __init__(self, console: Console, plan: Plan, *, root: Path) -> None:
        self._console = console
        self._root = root
        self._jobs: ByTest[Job] = ByTest()
        for job in plan.due:
            for name in job.names:
                self._jobs.add(name, job)
        self._open: dict[Path, tuple[Job, list[Ended]]] = {}
        self._counted: set[Path] = set()
        self._all = len(plan.due)
        self._usd = amounts(()).usd
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("calls, ${task.fields[usd]:f},"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        total = sum(job.calls for job in plan.due)
        self._task = self._progress.add_task("starting", total=total, usd=self._usd)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close(lambda *_: True)
        self._progress.stop()

    def ended(self, ended: Ended) -> None:
        """Count a test, or a cassette, that ended: of tests that share a cassette with the last of them."""
        jobs = self._jobs.concerning(ended.test)
        for job in jobs:
            if job.path not in self._counted:
                self._open.setdefault(job.path, (job, []))[1].append(ended)
        # How many tests a class or module has nobody knows before another's turn.
        self._close(lambda job, its: job not in jobs or {*job.to_run} <= {each.test for each in its})

    def _close(self, is_through: Callable[[Job, list[Ended]], bool]) -> None:
        for job, ended in [each for each in self._open.values() if is_through(*each)]:
            del self._open[job.path]
            self._counted.add(job.path)
            self._count(job, next((each.outcome for each in ended if each.red), ended[-1].outcome))

    def _count(self, job: Job, outcome: str) -> None:
        done = len(self._counted)
        anew = [each for each in (fresh_path(job.path), failed_path(job.path)) if each.exists()]
        self._usd += amounts(call for each in anew for call in read_calls(each)).usd
        self._progress.update(
            self._task, advance=job.calls, usd=self._usd, description=f"{done} of {self._all} cassettes"
        )
        if not self._console.is_terminal:
            path = relative(job.path, self._root)
            self._console.print(f"{done} of {self._all}: {path}: {outcome}, ${self._usd:f} so far")
