"""``lmtest prune``: what no cassette needs any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lmtest import literal, settings
from lmtest.cassette import library
from lmtest.cli.params import CassettePath
from lmtest.errors import CassetteError, ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("directory", required=False, type=CassettePath())
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
def command(directory: Path | None, *, dry_run: bool) -> None:
    """Remove blobs that no cassette refers to, below DIRECTORY or the project's own cassettes.

    Which recordings nobody asks for any more only a run can tell: pytest names them at its end.
    """
    directory = directory or settings.cassette_directory()
    if not directory.is_dir():
        raise ConfigurationError(f"there is no directory {directory} to prune.")
    found = list(library.prunable(directory))
    for path in found:
        if not dry_run:
            _remove(path)
        literal.echo(f"{'would remove' if dry_run else 'removed'} {path}")
    literal.echo(f"{len(found)} file{'' if len(found) == 1 else 's'} that no cassette needs.")


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise CassetteError(f"{path} could not be removed: {error.strerror or error}.", path=path) from error
