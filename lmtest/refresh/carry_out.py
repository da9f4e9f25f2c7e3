"""A plan, carried out: everything that is due re-recorded beside what it may replace."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from lmtest.cassette import pending
from lmtest.modes import Mode
from lmtest.refresh import history
from lmtest.refresh.resend import resend
from lmtest.refresh.restart import Unit, run_through
from lmtest.refresh.result import read_calls
from lmtest.refresh.run import Run, run_name, run_tests

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lmtest.refresh.plan import Job, Plan
    from lmtest.refresh.resend import Sending
    from lmtest.refresh.witness import Ended


def carry_out(
    plan: Plan, sending: Sending, *, root: Path, by_test: bool, on_end: Callable[[Ended], None] = lambda _: None
) -> Run:
    """Re-record what is due. No cassette is touched.

    Args:
        plan: What is due.
        sending: How calls are sent.
        root: The project.
        by_test: Whether the owning tests are run; else the calls are sent without them.
        on_end: Called with each test, or each cassette, that ended.

    Raises:
        LMTestError: The tests could not be run.
        CassetteUnsaved: What they record could not be written. Nothing was called.
    """
    name = run_name()
    for job in plan.due:
        pending.prepare(job.path, run=name, goes_on=job.begun)
    with contextlib.suppress(OSError):
        history.shorten(root)
    if by_test:
        how = partial(
            run_tests, root=root, mode=Mode.REFRESH, limits=sending.limits, to=sending.to, name=name, on_end=on_end
        )
        run = run_through((_unit(job, test) for job in plan.due for test in job.to_run), how)
    else:
        run = _resend_all(plan, sending, on_end)
    for job in plan.due:
        if by_test:
            pending.forget_failure(job.path, run=name, again=lambda test: run.of(test) is not None)
        ended = run.of(*job.names)
        red = (ended and ended.red and not (ended.limit or ended.unkept)) or run.left_out(*job.names)
        if red and not pending.unfinished(job.path):  # it failed after its calls were recorded
            pending.set_apart(job.path)
    return run


def _unit(job: Job, test: str) -> Unit:
    return Unit(test=test, is_kept=lambda: test not in pending.unfinished(job.path))


def _resend_all(plan: Plan, sending: Sending, on_end: Callable[[Ended], None]) -> Run:
    run = Run()
    try:
        for job in plan.due:
            ended = resend(job, read_calls(job.path), sending)
            run.add(ended)
            on_end(ended)
            if run.stopped:
                break
    except KeyboardInterrupt:
        run.stopped = "interrupted"
    return run
