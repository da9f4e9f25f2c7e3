"""``lmtest merge``: git's merge driver for cassettes."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lmtest.cassette.atomic import replacing
from lmtest.cassette.merge import merge
from lmtest.errors import CassetteError


@click.command()
@click.argument("base", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("ours", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("theirs", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("name", default="")
def command(base: Path, ours: Path, theirs: Path, name: str) -> None:
    """Bring together in OURS what two branches recorded since BASE.

    \b
    In .gitattributes:  cassettes/**/*.yaml merge=lmtest
    Once a clone:       git config merge.lmtest.driver "lmtest merge %O %A %B %P"
    """  # noqa: D301 - click's mark for lines that stay
    try:
        content = merge(base, ours, theirs, name=name)
    except CassetteError as error:
        click.echo(f"lmtest: {error}", err=True)
        sys.exit(1)
    with replacing(ours) as file:
        file.write(content)
