"""The storage of sessions: its parts on one database, with the feed that fits it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_worker.store import changes
from python_worker.store.feed import LocalFeed, PostgresFeed
from python_worker.store.sessions import SqlSessions
from python_worker.store.variables import SqlVariables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_worker.domain.repositories import ValueCodec
    from python_worker.domain.watch import Change
    from python_worker.store.database import Database


class StateStore:
    """Sessions and variables of a database, and the feed that tells their changes.

    Args:
        database: Migrated.
        codec: What is kept of a value.
        most_variables: How many variables a session may hold.
    """

    def __init__(self, database: Database, *, codec: ValueCodec, most_variables: int) -> None:
        def read(session_id: str, first: int, last: int) -> Sequence[Change]:
            with database.read_once() as driver:
                return changes.between(driver, session_id, first, last, codec)

        self.feed = PostgresFeed(database, read=read) if database.is_postgresql else LocalFeed()
        self.sessions = SqlSessions(database, feed=self.feed)
        self.variables = SqlVariables(database, feed=self.feed, codec=codec, most=most_variables)
