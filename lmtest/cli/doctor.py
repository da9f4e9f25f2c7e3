"""``lmtest doctor``: whether what lmtest stands on is there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from rich.text import Text

from lmtest import literal, settings
from lmtest.cli.exits import found
from lmtest.doctor import examine

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {"good": "green", "note": "yellow", "bad": "red"}


@click.command()
@click.option("--prices", is_flag=True, help="Compare what price lists say of the models in use, and nothing else.")
def command(*, prices: bool) -> None:
    """Look at Python, DSPy, LiteLLM, the mode, keys, cassettes, ledger and prices. Exits with 1 when one is bad."""
    console = literal.console(soft_wrap=True)
    if prices:
        _prices(console)
        return
    findings = tuple(examine(*settings.load()))
    for finding in findings:
        verdict = (f"{finding.verdict:<4}", _STYLES[finding.verdict])
        console.print(Text.assemble(verdict, f"  {finding.name:<10} {finding.detail}"))
    sys.exit(found(any(finding.verdict == "bad" for finding in findings)))


def _prices(console: Console) -> None:
    from lmtest.price_lists import compare  # late: it brings price lists

    listed = compare(*settings.load())
    rows = [("USD per million tokens, in / out", *listed[0].rates)]
    rows += [(each.model, *(str(rate or "-") for rate in each.rates.values())) for each in listed]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        console.print(line.rstrip())
    for each in listed:
        if each.finding:
            console.print(each.finding)
