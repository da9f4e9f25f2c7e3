"""A refresh's plan on a terminal; on a console that prints text as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from lmtest import literal
from lmtest.here import relative

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal
    from pathlib import Path

    from rich.console import Console

    from lmtest.refresh.plan import Job, Plan


def print_plan(console: Console, plan: Plan, *, root: Path, budget: Decimal | None = None) -> None:
    """Say what a refresh will do, and what it takes.

    Args:
        console: Where.
        plan: What.
        root: The project, which paths are told relative to.
        budget: USD that the run may cost, where anything says so.
    """
    if plan.due:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for name in ("cassette", "recorded", "calls", "tokens", "cost", "seconds"):
            table.add_column(name, justify="left" if name in {"cassette", "recorded"} else "right", no_wrap=True)
        for job in plan.due:
            table.add_row(relative(job.path, root), job.recorded_at[:10], *_costs([job]))
        if len(plan.due) > 1:
            table.add_section()
            table.add_row(f"{len(plan.due)} cassettes", "", *_costs(plan.due))
        literal.print_table(console, table)
        if budget:
            _print_reach(console, plan, budget)
    else:
        console.print("Nothing is due.")
    for job in plan.done:
        since = f" since {job.waits_since[:10]}" if job.waits_since else ""
        console.print(f"{relative(job.path, root)}: re-recorded already, waits{since} to be accepted", soft_wrap=True)
    left = [(each.path, each.reason) for each in plan.postponed] + [(each.path, each.reason) for each in plan.skipped]
    for path, reason in left:
        console.print(f"{relative(path, root)}: {reason}", style="yellow", soft_wrap=True)


def _print_reach(console: Console, plan: Plan, budget: Decimal) -> None:
    """Say how far a budget reaches, where it does not reach to the end."""
    if (least := plan.least_beyond(budget)) is not None:
        console.print(
            f"The budget is ${budget:f}, and a budget below ${least:f} sends nothing: the cheapest call sets "
            "that much aside. Raise it with --budget.",
            style="bold yellow",
        )
    elif (nights := plan.nights(budget)) > 1:
        console.print(
            f"The budget is ${budget:f}, and all of this takes ${plan.usd:f}: about {nights} such runs, the first rows "
            "first. What is re-recorded is not called for again.",
            style="yellow",
        )


def _costs(jobs: Iterable[Job]) -> tuple[str, str, str, str]:
    jobs = list(jobs)
    unpriced = sum(job.unpriced for job in jobs)
    usd = f"${sum(job.usd for job in jobs):f}" + (f" + {unpriced} of unknown price" if unpriced else "")
    seconds = sum(job.seconds for job in jobs)
    return f"{sum(job.calls for job in jobs):,}", f"{sum(job.tokens for job in jobs):,}", usd, f"{seconds:.1f}"
