"""``lmtest diff``: how one cassette differs from another."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lmtest.cassette.compare import compare
from lmtest.report import terminal


@click.command()
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
def command(before: Path, after: Path) -> None:
    """Say call by call, word by word how AFTER differs from BEFORE. Exits with 1 when it does, as diff does."""
    changes = list(compare(before, after))
    click.echo(terminal.comparison(changes), nl=False)
    sys.exit(bool(changes))
