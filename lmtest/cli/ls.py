"""``lmtest ls``: which cassettes there are, and what they hold."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lmtest import settings
from lmtest.cassette import library
from lmtest.cassette.pending import is_pending
from lmtest.report import terminal


@click.command()
@click.argument("directory", required=False, type=click.Path(path_type=Path))
def command(directory: Path | None) -> None:
    """List the cassettes of DIRECTORY; without one, the project's own. Exits with 1 where one does not read."""
    configured, root = settings.load()
    directory = directory or root / configured.cassette_dir
    # What a refresh recorded beside a cassette is not one yet.
    shelves = [library.shelve(path) for path in library.find([directory]) if not is_pending(path)]
    if not shelves:
        click.echo(f"No cassettes in {directory}. Record some: LM_MODE=record pytest")
    else:
        click.echo(terminal.listing(shelves, under=directory if directory.is_dir() else directory.parent), nl=False)
    sys.exit(any(each.problem for each in shelves))
