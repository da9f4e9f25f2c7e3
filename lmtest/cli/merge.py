"""``lmtest merge``: git's merge driver for cassettes."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lmtest import literal
from lmtest.cassette.atomic import replacing
from lmtest.cassette.merge import merge
from lmtest.cli.exits import Exit
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
        merged = merge(base, ours, theirs)
    except CassetteError as error:
        literal.echo(f"lmtest: {error}", err=True)
        sys.exit(Exit.FOUND)
    with replacing(ours) as file:
        file.write(merged.content)
    if merged.conflicts:
        literal.echo(_told(name or str(ours), merged.conflicts), err=True)
        sys.exit(Exit.FOUND)


def _told(name: str, conflicts: tuple[str, ...]) -> str:
    count = f"{len(conflicts)} request{'' if len(conflicts) == 1 else 's'}"
    return (
        f"lmtest: {name}: both branches changed the answers to {count}, each in its own way: "
        f"{', '.join(key[:12] for key in conflicts)}. All else is merged. In the file keep one side of each block "
        "between <<<<<<< and >>>>>>>, whose sides are whole calls, or record it again with LM_MODE=record; "
        f"then: git add {name}"
    )
