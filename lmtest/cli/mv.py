"""``lmtest mv``: recordings taken along with a renamed test or a moved file."""

from __future__ import annotations

from pathlib import Path

import click

from lmtest import literal
from lmtest.cassette.move import move, plan_move
from lmtest.cli.params import base_of
from lmtest.here import here
from lmtest.settings import cassette_directory


@click.command("mv")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--test", metavar="NODEID", help="The test that owns it now; else it is known by the name of the file.")
@click.option("--force", "-f", is_flag=True, help="Replace what is there already.")
def command(old: Path, new: Path, *, test: str | None, force: bool) -> None:
    """Move a cassette, or a directory of them: OLD is called NEW, and its header names the test that owns it now.

    Its media, and what a refresh recorded for it, go along. Nothing is called, and no answer changes.
    """
    base = base_of(old)
    old, new = base / old, base / new
    moves = plan_move(old, new, directory=cassette_directory(), test=test)
    move(moves, force=force)
    for each in moves:
        owner = f", of {', '.join(each.test.splitlines())}" if each.test else ", of the test that it had"
        literal.echo(f"{here(each.old)} is now {here(each.new)}{owner}")
    _remove_empty(old)


def _remove_empty(directory: Path) -> None:
    folders = [path for path in (directory, *directory.rglob("*")) if path.is_dir()]
    for folder in sorted(folders, reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
