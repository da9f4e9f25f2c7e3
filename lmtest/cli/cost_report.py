"""``lmtest cost-report``: what was spent, and what replay saved."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from typing import TYPE_CHECKING

import click

from lmtest import literal, variables
from lmtest.cli.exits import Exit
from lmtest.cli.params import Moment, Usd
from lmtest.errors import ConfigurationError
from lmtest.money import formats
from lmtest.money.ledger import Ledger, default_path
from lmtest.money.limits import Limits
from lmtest.money.report import BY, cost_report
from lmtest.settings import load

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal
    from pathlib import Path

    from lmtest.money.report import By, Report
    from lmtest.settings import Settings


_USD = Usd("to hold a bill against")
_NAME = "Name a file of your own prices in LMTEST_PRICES"
_COUNT = "Have their tokens counted, as LiteLLM's streams are with dspy.configure(track_usage=True),"


@click.command("cost-report")
@click.option("--by", type=click.Choice(BY), default="test", show_default=True, help="What a line stands for.")
@click.option("--since", type=Moment("WHEN"), help="A date (2026-11-01) or an age (12h, 7d, 2w).")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv", "markdown", "html"]),
    default="table",
    show_default=True,
)
@click.option("--json", "form", flag_value="json", help="Short for --format json.")
@click.option("--top", type=click.IntRange(min=1), default=formats.TOP, show_default=True, help="Lines for people.")
@click.option(
    "--monthly-limit",
    type=_USD,
    help=f"Hold the month and its projection against this; else {variables.USD_PER_MONTH}, or the project, says.",
)
@click.option("--fail-over", type=_USD, help="Exit with 1 when more was spent, or when a live call's price is unknown.")
@click.option("--ledger", help="The ledger's file or URL; by default, the project's.")
def command(
    *,
    by: By,
    since: datetime | None,
    form: str,
    top: int,
    monthly_limit: Decimal | None,
    fail_over: Decimal | None,
    ledger: str | None,
) -> None:
    """What was spent, what replay saved, and what recording anew would cost."""
    settings, root = load()
    if monthly_limit is None:
        configured = Limits.from_mapping(settings.limits, source="[tool.lmtest.limits]")
        monthly_limit = Limits.from_environ(os.environ).or_else(configured).held("usd_per_month")
    with Ledger(ledger or _place(settings, root), root=root) as book:
        if (named := _named(ledger)) and not book.is_there:
            raise ConfigurationError(
                f"there is no ledger at {book.database.place!r}, which {named} names. It is made by the first call "
                "that is written down; without a name, the project's own is reported on."
            )
        if book.is_there:
            with contextlib.suppress(ConfigurationError):  # a ledger that only reads is reported on as it is
                book.open()  # what was kept beside it, and calls of killed processes, come in
        report = cost_report(book, by=by, since=since, monthly_limit=monthly_limit)
    click.echo(_render(report, form, top), nl=False)
    if form in {"json", "csv"} and not report.total.calls:
        literal.echo(formats.headline(report), err=True)
    if fail_over is not None and (reason := _over(report, fail_over)):
        literal.echo(f"lmtest: {reason}", err=True)
        sys.exit(Exit.FOUND)


def _named(ledger: str | None) -> str:
    """Who named the ledger; "" where nobody did, and one that is missing means that nothing was called yet."""
    if ledger:
        return "--ledger"
    return variables.LEDGER if os.environ.get(variables.LEDGER) else ""


def _place(settings: Settings, root: Path) -> Path | str:
    if not settings.keeps_ledger:
        raise ConfigurationError(
            "The ledger is off (LMTEST_LEDGER, or ledger in [tool.lmtest]), so no call was written down. "
            "Take the setting away, or name a ledger with --ledger."
        )
    return default_path(os.environ, root, settings.ledger)


def _render(report: Report, form: str, top: int) -> str:
    match form:
        case "json":
            return formats.json(report)
        case "csv":
            return formats.csv(report)
        case "markdown":
            return formats.markdown(report, top=top)
        case "html":
            return formats.html(report, top=top)
        case _:
            terminal = sys.stdout.isatty()
            width = shutil.get_terminal_size().columns if terminal else 120
            return formats.table(report, width=width, colour=terminal and "NO_COLOR" not in os.environ, top=top)


def _over(report: Report, limit: Decimal) -> str:
    spent, unpriced = report.total.spent, report.total.unpriced_live
    if spent > limit:
        return f"{formats.dollars(spent)} was spent, over the {formats.dollars(limit)} of --fail-over."
    if unpriced:
        models = ", ".join(model for model, _ in report.unpriced)
        return (
            f"{unpriced} live calls have no known price ({models}), so nobody can say that --fail-over holds. "
            f"{_COUNT if report.estimated else _NAME} before the next run."
        )
    return ""
