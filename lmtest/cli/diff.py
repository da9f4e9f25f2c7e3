"""``lmtest diff``: how one cassette differs from another."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from lmtest.cassette.compare import compare
from lmtest.cli.exits import found
from lmtest.cli.params import CassettePath
from lmtest.report import terminal

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("before", type=CassettePath())
@click.argument("after", type=CassettePath())
def command(before: Path, after: Path) -> None:
    """Say call by call, word by word how AFTER differs from BEFORE. Exits with 1 when it does, as diff does."""
    changes = list(compare(before, after))
    click.echo(terminal.comparison(changes), nl=False)
    sys.exit(found(changes))
