"""How far a refresh is: cassettes, calls, dollars and the time that is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lmtest.cassette.pending import failed_path, fresh_path
from lmtest.here import relative
from lmtest.refresh.ids import ByTest
from lmtest.refresh.result import amounts, read_calls

if TYPE_CHECKING:
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
        self._progress.stop()

    def ended(self, ended: Ended) -> None:
        """Count a test, or a cassette, that ended."""
        for job in self._jobs.concerning(ended.test):
            if job.path not in self._counted:
                self._counted.add(job.path)
                self._count(job, ended)

    def _count(self, job: Job, ended: Ended) -> None:
        done = len(self._counted)
        anew = next((each for each in (fresh_path(job.path), failed_path(job.path)) if each.exists()), None)
        self._usd += amounts(read_calls(anew) if anew else ()).usd
        self._progress.update(
            self._task, advance=job.calls, usd=self._usd, description=f"{done} of {self._all} cassettes"
        )
        if not self._console.is_terminal:
            path = relative(job.path, self._root)
            self._console.print(f"{done} of {self._all}: {path}: {ended.outcome}, ${self._usd:f} so far")
