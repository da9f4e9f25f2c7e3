"""The options that say which database a command is about."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

import lmtest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_worker.store import Database

data_dir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=Path(".lmtest") / "worker",
    show_default=True,
    help="Where SQLite keeps its file.",
)
database_url = click.option("--database-url", help="A database instead, such as postgresql+psycopg://user@host/name.")


@contextmanager
def existing_database(folder: Path, url: str | None) -> Iterator[Database]:
    """The database of a worker that was started on it.

    Raises:
        lmtest.ConfigurationError: There is none in the folder.
        WorkerError: ``configuration``: it does not answer, or has not this version's tables.
    """
    from python_worker.store import FILE_NAME, Database

    if url is None and not (folder / FILE_NAME).exists():
        raise lmtest.ConfigurationError(
            f"--data-dir {str(folder)!r} holds no {FILE_NAME}: name the directory the worker was started with."
        )
    database = Database(url) if url else Database.in_directory(folder)
    try:
        database.expect_tables()
        yield database
    finally:
        database.close()
