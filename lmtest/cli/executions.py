"""A refresh by somebody else's command, which executes what a worker recorded with no test behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmtest.cli.exits import Exit
from lmtest.cli.refresh import alone, budget_of, concluded, consents, limits_of, refuse_both, wide_console
from lmtest.errors import ConfigurationError
from lmtest.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from lmtest.refresh.executions import Executes


def refresh_executions(
    directory: Path, executes: Executes, options: Mapping[str, Any], *, programs: Iterable[str] = ()
) -> Exit:
    """Execute anew, compare, and replace what is accepted, as ``lmtest refresh`` does by running tests.

    Args:
        directory: Where the cassettes are.
        executes: Who executes.
        options: What the options of :func:`lmtest.refresh_options` were given.
        programs: Only what was recorded for these; for all where none is named.

    Returns:
        The code to exit with.

    Raises:
        ConfigurationError: There are no cassettes there, or none of such a program.
    """
    from lmtest.refresh.executions import execute_anew
    from lmtest.refresh.plan import Choice, Executions, make_plan
    from lmtest.refresh.resend import limited
    from lmtest.refresh.result import gather
    from lmtest.report.drift_progress import DriftProgress
    from lmtest.report.plan_terminal import print_plan

    if not directory.is_dir():
        raise ConfigurationError(f"there is no directory {directory}, where cassettes are kept: record some first.")
    refuse_both(options)
    root, console, limits = load()[1], wide_console(), limits_of(options)
    wanted = Executions(obstacle=executes.obstacle, programs=frozenset(programs))
    choice = Choice(
        recorded_before=options["older_than"],
        failed=options["failed"],
        again=options["again"],
        skip_pending=options["skip_pending"],
        executions=wanted,
    )
    with alone(console, options, root):
        plan = make_plan([directory], choice, root=root)
        budget = budget_of(limits)
        print_plan(console, plan, root=root, budget=budget)
        if options["dry_run"] or not (plan.due or plan.done or options["reports"]):
            return Exit.DONE
        if plan.due and not consents(options):
            return Exit.DONE
        with limited(limits), DriftProgress(console, plan, root=root) as progress:
            run, outputs = execute_anew(plan, executes, budget=budget, on_end=progress.ended)
        drift = outputs.beside(gather(plan, run, by_test=False))
    return concluded(console, drift, options, root)
