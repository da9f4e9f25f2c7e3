"""Why a cassette that is chosen cannot be recorded anew, and what to do."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from lmtest.cassette.executed import command, title
from lmtest.here import here
from lmtest.refresh.ids import is_of_another_language

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lmtest.cassette.interaction import Interaction, Json
    from lmtest.refresh.plan import Choice, Job

_UNOWNED: Final = (
    "no test is known to own it: re-send its calls with --calls-only, or record it under pytest once more."
)
_UNTOLD: Final = (
    "its header does not tell what was executed, as none did in 0.1.0: execute it once more on a worker that was "
    "started with --lm-mode record."
)


def obstacle_of(job: Job, calls: Sequence[Interaction], choice: Choice, root: Path) -> str:
    """Say why a cassette cannot be recorded anew; "" where it can.

    Args:
        job: The cassette.
        calls: What it holds.
        choice: How it is to be recorded anew: by its tests, by its calls alone, by what was executed.
        root: The project, which test ids are relative to.
    """
    if not calls:
        return "it holds no calls, so there is nothing to record anew."
    if choice.executions is not None:
        return choice.executions.obstacle(job.executed) if job.executed else _UNTOLD
    if not choice.by_test:
        from lmtest.refresh.chains import why_not  # brings DSPy, which whoever watches tests must not

        return why_not(calls)
    return _of_tests(job, root) if job.tests else _unowned(job.executed)


def _unowned(executed: Json | None) -> str:
    if not executed:
        return _UNOWNED
    return f"a worker recorded it, with no test behind it, for {title(executed)}. Execute it anew: {command(executed)}"


def _of_tests(job: Job, root: Path) -> str:
    files = {test: test.partition("::")[0] for test in job.tests}
    if other := next(filter(is_of_another_language, job.tests), None):
        return (
            f"its test {other} is none of pytest's: run it by its own runner with LM_MODE=refresh, then: "
            f"lmtest accept {shlex.quote(str(here(job.path)))}"
        )
    gone = [test for test, file in files.items() if not (root / file).exists()]
    if not gone:
        return ""
    left = len(gone) < len(files)
    moved = "If it was moved, take its recordings along: lmtest mv OLD NEW; if nothing plays it any more, delete it."
    advice = "Record it again without that test." if left else moved
    return f"its test {gone[0]} is gone: there is no {files[gone[0]]}. {advice}"
