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
def command() -> None:
    """Look at Python, DSPy, LiteLLM, the mode, keys, cassettes, ledger and prices. Exits with 1 when one is bad."""
    findings = tuple(examine(*settings.load()))
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        console.print(f"{_MARKS[finding.verdict]}  {finding.name:<10} {escape(finding.detail)}")
    sys.exit(any(finding.verdict == "bad" for finding in findings))
