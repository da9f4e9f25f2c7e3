"""Where a ledger may be: SQLite by a path, PostgreSQL by a URL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lmtest.errors import ConfigurationError

if TYPE_CHECKING:
    from lmtest.money.database import Database


def open_database(place: Path | str) -> Database:
    """The database at a path or a URL. Nothing is opened nor made before its first use.

    Raises:
        ConfigurationError: The URL is of neither kind, or PostgreSQL's driver is not installed.
    """
    if isinstance(place, Path) or "://" not in place:
        from lmtest.money.sqlite import Sqlite

        return Sqlite(Path(place))
    scheme = place.partition("://")[0]
    if scheme not in {"postgresql", "postgres"}:
        raise ConfigurationError(
            f"The ledger is a {scheme!r} URL; it may be a path, such as .lmtest/ledger.sqlite3, or a postgresql:// URL."
        )
    try:
        from lmtest.money.postgres import Postgres
    except ImportError as error:
        raise ConfigurationError(
            "The ledger is a PostgreSQL URL, and its driver is not installed: pip install 'psycopg[binary]'."
        ) from error
    return Postgres(place)
