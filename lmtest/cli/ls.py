"""``lmtest ls``: which cassettes there are, and what they hold."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from lmtest import literal, settings
from lmtest.cassette import library
from lmtest.cassette.pending import cassette_of, failed_path, is_pending
from lmtest.cli.exits import found
from lmtest.cli.params import CassettePath
from lmtest.report import terminal

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("directory", required=False, type=CassettePath())
def command(directory: Path | None) -> None:
    """List the cassettes of DIRECTORY; without one, the project's own. Exits with 1 where one does not read."""
    directory = directory or settings.cassette_directory()
    cassettes = list(library.find([directory]))
    # What a refresh recorded beside a cassette is not one yet, but for whoever names it.
    listed = [path for path in cassettes if path == directory or not is_pending(path)]
    shelves = [library.shelve(path) for path in listed]
    if not cassettes:
        literal.echo(f"No cassettes in {directory}. Record some: LM_MODE=record pytest")
    if shelves:
        # Of another directory too, names are such as other commands take.
        click.echo(terminal.listing(shelves, under=settings.cassette_directory()), nl=False)
    if anew := [path for path in cassettes if path not in listed]:
        failed = sum(path == failed_path(cassette_of(path)) for path in anew)
        told = [f"{len(anew) - failed} waits to be accepted (lmtest accept)" if len(anew) > failed else ""]
        told += [f"{failed} failed (lmtest refresh --failed)" if failed else ""]
        literal.echo(f"Recorded anew beside them: {', '.join(filter(None, told))}.")
    sys.exit(found(any(each.problem for each in shelves)))
