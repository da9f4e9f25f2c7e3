"""What a refresh re-records first, for a budget may end before all is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lmtest.refresh.plan import Job


def in_order(jobs: Iterable[Job]) -> tuple[Job, ...]:
    """Put what did not fail before what did, and of each the longest recorded first; modules and classes stay together.

    What tests share is set up once for all of them, and pytest takes it down where another module's test comes between.
    No module waits for ever: what was re-recorded is due no more, so that another's is the longest recorded.
    """
    jobs = list(jobs)
    oldest: dict[tuple[bool, str, str | None], str] = {}
    for job in jobs:
        failed, module, group = _place(job)
        for scope in ((failed, module, None), (failed, module, group)):
            oldest[scope] = min(job.recorded_at, oldest.get(scope, job.recorded_at))

    def rank(job: Job) -> tuple[bool, str, str, str, str, str]:
        failed, module, group = _place(job)
        return failed, oldest[failed, module, None], module, oldest[failed, module, group], group, job.recorded_at

    return tuple(sorted(jobs, key=rank))


def _place(job: Job) -> tuple[bool, str, str]:
    """Whether it failed, and the module and the class of its first test."""
    module, _, inner = job.names[0].partition("::")
    return bool(job.failures), module, inner.partition("[")[0].rpartition("::")[0]
