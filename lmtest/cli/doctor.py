"""``lmtest doctor``: whether what lmtest stands on is there."""

from __future__ import annotations

import sys

import click
from rich.console import Console
from rich.markup import escape

from lmtest import settings
from lmtest.doctor import examine

_MARKS = {"good": "[green]good[/]", "note": "[yellow]note[/]", "bad": "[red]bad [/]"}


@click.command()
@click.option("--prices", is_flag=True, help="Compare what price lists say of the models in use, and nothing else.")
def command(*, prices: bool) -> None:
    """Look at Python, DSPy, LiteLLM, the mode, keys, cassettes, ledger and prices. Exits with 1 when one is bad."""
    console = Console(highlight=False, soft_wrap=True)
    if prices:
        _prices(console)
        return
    findings = tuple(examine(*settings.load()))
    for finding in findings:
        console.print(f"{_MARKS[finding.verdict]}  {finding.name:<10} {escape(finding.detail)}")
    sys.exit(any(finding.verdict == "bad" for finding in findings))


def _prices(console: Console) -> None:
    from lmtest.price_lists import compare  # late: it brings price lists

    listed = compare(*settings.load())
    rows = [("USD per million tokens, in / out", *listed[0].rates)]
    rows += [(each.model, *(str(rate or "-") for rate in each.rates.values())) for each in listed]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        console.print(escape(line.rstrip()))
    for each in listed:
        if each.finding:
            console.print(escape(each.finding))
