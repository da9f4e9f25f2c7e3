"""The options of several commands: which database, where cassettes are, who answers, what goes on record."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import lmtest
from python_worker.settings import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from python_worker.store import Database

data_dir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=Path(".lmtest") / "worker",
    show_default=True,
    help="Where SQLite keeps its file.",
)
database_url = click.option("--database-url", help="A database instead, such as postgresql+psycopg://user@host/name.")
cassette_dir = click.option(
    "--cassette-dir",
    type=click.Path(path_type=Path),
    default=Path("cassettes"),
    show_default=True,
    envvar="LM_CACHE_DIR",
    show_envvar=True,
)
model = click.option("--model", default=DEFAULT_MODEL, show_default=True, help="The model of programs that name none.")
api_base = click.option("--api-base", help="Where the provider is, such as a stand-in's address.")


def audit_values(*, help: str) -> Callable[[Any], Any]:  # noqa: A002 - as click calls it
    """Give the option that says how inputs and outputs go on record."""
    return click.option(
        "--audit",
        "audit_values",
        type=click.Choice(["hashes", "values"]),
        default="hashes",
        show_default=True,
        callback=lambda _context, _option, told: told == "values",
        help=help,
    )


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
