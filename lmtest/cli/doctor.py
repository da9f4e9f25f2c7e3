"""``lmtest doctor``: whether what lmtest stands on is there."""

from __future__ import annotations

import sys

import click
from rich.text import Text

from lmtest import literal, settings
from lmtest.doctor import examine

_STYLES = {"good": "green", "note": "yellow", "bad": "red"}


@click.command()
def command() -> None:
    """Look at Python, DSPy, LiteLLM, the mode, keys, cassettes, ledger and prices. Exits with 1 when one is bad."""
    findings = tuple(examine(*settings.load()))
    console = literal.console(soft_wrap=True)
    for finding in findings:
        verdict = (f"{finding.verdict:<4}", _STYLES[finding.verdict])
        console.print(Text.assemble(verdict, f"  {finding.name:<10} {finding.detail}"))
    sys.exit(any(finding.verdict == "bad" for finding in findings))
