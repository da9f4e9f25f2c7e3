"""A pool of connections that leaves none open once it is closed, nor those that are in use at that moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from sqlalchemy.pool import ConnectionPoolEntry


class ClosingPool(sa.QueuePool):
    """SQLAlchemy's own forgets a connection that comes back after it was disposed of, and leaves it open.

    An execution may end, and whoever reads row by row may stop, when the database is closed already.
    """

    _closed = False
    _sqla_logger_namespace = "sqlalchemy.pool.ClosingPool"  # where SQLAlchemy's own write, unheard unless asked for

    def dispose(self) -> None:
        """Close the connections that are here, and from now on each that comes back."""
        self._closed = True
        super().dispose()

    def recreate(self) -> ClosingPool:
        """Return the pool for whoever connects later; closed as this one is, it keeps nothing either."""
        again = super().recreate()
        assert isinstance(again, ClosingPool)
        again._closed = self._closed  # noqa: SLF001 - its own class's
        return again

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        super()._do_return_conn(record)
        if self._closed:  # asked now that it is back, or it would be missed by who closes at this moment
            super().dispose()
