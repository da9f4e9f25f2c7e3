"""A statement for the paths that are taken often: compiled once, and run by the driver itself.

On SQLite, SQLAlchemy's execution of a small statement costs several times the statement. The text is still written by
SQLAlchemy, for either dialect; columns that need a conversion are not for this.
"""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Mapping


class Connected(Protocol):
    """SQLAlchemy's connection, or ``store.database.Driver``."""

    @property
    def dialect(self) -> sa.Dialect:
        """Which SQL it speaks."""

    @property
    def connection(self) -> Any:
        """The driver's own."""


class Answer:
    """What a statement that was sent has returned."""

    def __init__(self, cursor: Any, row: Any) -> None:
        self._cursor = cursor
        self._row = row

    def rows(self) -> list[Any]:
        """The rows, by column name."""
        try:
            return [self._row._make(row) for row in self._cursor.fetchall()]
        finally:
            self._cursor.close()


class Statement:
    """A statement of plain columns.

    Args:
        clause: With named parameters.
    """

    def __init__(self, clause: sa.UpdateBase | sa.Select[Any] | sa.TextClause) -> None:
        self._clause = clause
        self._texts: dict[str, tuple[str, tuple[str, ...] | None]] = {}
        columns = () if isinstance(clause, sa.TextClause) else clause.exported_columns
        names = [str(column.key) for column in columns]
        self._row: Any = namedtuple("Row", names)  # type: ignore[misc] # noqa: PYI024 - the names are the statement's

    def ask(self, connection: Connected, parameters: Mapping[str, Any]) -> Answer:
        """Run it in the connection's transaction; in a pipeline, the answer comes no sooner than it is read."""
        cursor = connection.connection.cursor()
        cursor.execute(*self._call(connection, parameters))
        return Answer(cursor, self._row)

    def rows(self, connection: Connected, parameters: Mapping[str, Any]) -> list[Any]:
        """Run it in the connection's transaction; the rows, by column name."""
        return self.ask(connection, parameters).rows()

    def run(self, connection: Connected, *several: Mapping[str, Any]) -> None:
        """Run it with each set of parameters, in the connection's transaction."""
        cursor = connection.connection.cursor()
        try:
            if len(several) == 1:
                cursor.execute(*self._call(connection, several[0]))
            elif several:
                text, order = self._text(connection)
                rows = several if order is None else [[each[key] for key in order] for each in several]
                cursor.executemany(text, rows)
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
