"""``python -m python_worker backup`` and ``restore``."""

from __future__ import annotations

from pathlib import Path

import click

import lmtest
from python_worker.commands.newfile import new_file
from python_worker.commands.where import data_dir, database_url, existing_database


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@data_dir
@database_url
def backup(*, file: Path, data_dir: Path, database_url: str | None) -> None:
    """Write all there is at this moment into a new FILE; workers may go on writing."""
    from python_worker.store import back_up, is_row

    with existing_database(data_dir, database_url) as database, new_file(file) as out:
        rows = 0
        for line in back_up(database):
            out.write(line)
            rows += is_row(line)
    click.echo(f"{rows} rows backed up to {file}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--public-key", type=click.Path(path_type=Path), multiple=True, help="Whose truncations are believed.")
@data_dir
@database_url
def restore(*, file: Path, public_key: tuple[Path, ...], data_dir: Path, database_url: str | None) -> None:
    """Fill a new, empty database from FILE: all of it, or nothing.

    What is restored must be whole, of a version this one knows, and its audit trail must hold.
    """
    from python_worker.keys import PublicKeys
    from python_worker.store import FILE_NAME, Database
    from python_worker.store import restore as fill

    trust = PublicKeys.read(public_key) if public_key else PublicKeys(None)
    try:
        with file.open("rb") as source:
            made = database_url is None and not (data_dir / FILE_NAME).exists()
            database = Database(database_url) if database_url else Database.in_directory(data_dir)
            try:
                rows = fill(database, source, trust=trust)
            except BaseException:
                database.close()
                if made:
                    (data_dir / FILE_NAME).unlink(missing_ok=True)
                raise
            database.close()
    except OSError as error:
        raise lmtest.ConfigurationError(f"{str(file)!r} cannot be read: {error.strerror}.") from error
    click.echo(f"{rows} rows restored from {file}; the audit trail holds")
