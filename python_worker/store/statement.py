"""A statement for the paths that are taken often: compiled once, and run by the driver itself.

On SQLite, SQLAlchemy's execution of a small statement costs several times the statement. The text is still written by
SQLAlchemy, for either dialect; columns that need a conversion are not for this.
"""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import sqlalchemy as sa


class Connected(Protocol):
    """SQLAlchemy's connection, or ``store.database.Driver``."""

    @property
    def dialect(self) -> sa.Dialect:
        """Which SQL it speaks."""

    @property
    def connection(self) -> Any:
        """The driver's own."""


class Statement:
    """A statement of plain columns.

    Args:
        clause: With named parameters.
    """

    def __init__(self, clause: sa.UpdateBase | sa.Select[Any] | sa.TextClause) -> None:
        self._clause = clause
        self._texts: dict[str, tuple[str, tuple[str, ...] | None]] = {}
        names = [column.key for column in getattr(clause, "selected_columns", ())]
        names = names or [column.key for column in getattr(clause, "_returning", ())]
        self._row: Any = namedtuple("Row", names)  # type: ignore[misc] # noqa: PYI024 - the names are the statement's

    def rows(self, connection: Connected, parameters: Mapping[str, Any]) -> list[Any]:
        """Run it in the connection's transaction; the rows, by column name."""
        cursor = self._cursor(connection)
        try:
            cursor.execute(*self._call(connection, parameters))
            return [self._row._make(row) for row in cursor.fetchall()]
        finally:
            cursor.close()

    def run(self, connection: Connected, parameters: Mapping[str, Any]) -> None:
        """Run it in the connection's transaction."""
        cursor = self._cursor(connection)
        try:
            cursor.execute(*self._call(connection, parameters))
        finally:
            cursor.close()

    def run_many(self, connection: Connected, several: Sequence[Mapping[str, Any]]) -> None:
        """Run it with each set of parameters, in the connection's transaction."""
        text, order = self._text(connection)
        cursor = self._cursor(connection)
        try:
            cursor.executemany(text, several if order is None else [[each[key] for key in order] for each in several])
        finally:
            cursor.close()

    def _call(self, connection: Connected, parameters: Mapping[str, Any]) -> tuple[str, Any]:
        text, order = self._text(connection)
        return text, parameters if order is None else [parameters[key] for key in order]

    def _text(self, connection: Connected) -> tuple[str, tuple[str, ...] | None]:
        dialect = connection.dialect
        if dialect.name not in self._texts:
            compiled = self._clause.compile(dialect=dialect)
            positions: Any = getattr(compiled, "positiontup", None)
            self._texts[dialect.name] = (str(compiled), tuple(positions) if positions is not None else None)
        return self._texts[dialect.name]

    @staticmethod
    def _cursor(connection: Connected) -> Any:
        return connection.connection.cursor()
