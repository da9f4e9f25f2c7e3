"""How many calls may be under way at once, over all processes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from lmtest.errors import RateLimited
from lmtest.money.horizon import SECOND
from lmtest.money.queue import Block

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmtest.money.database import Connection
    from lmtest.money.queue import Ahead, Asked


@dataclass(frozen=True, kw_only=True, slots=True)
class Slots:
    """So many calls at once.

    Attributes:
        name: The limit's name, such as ``max_concurrency``; who gives the same name shares.
        limit: How many.
    """

    name: str
    limit: int

    weight = 1

    def room(self, connection: Connection, asked: Asked, now: int, ahead: Ahead) -> Block | Callable[[], None]:
        """As `lmtest.money.queue.Limit.room`."""
        (taken,) = connection.execute("SELECT count(*) FROM hold WHERE name = ?", (self.name,)).fetchone()
        if taken + ahead.calls < self.limit:
            return partial(self._take, connection, asked.id)
        holders = connection.execute(
            "SELECT hold.id, expires FROM hold JOIN under_way ON under_way.id = hold.id WHERE name = ?", (self.name,)
        ).fetchall()
        ends = min((expires for _, expires in holders), default=now)
        why = f"{self.name!r} is {self.limit} at once, and {taken} {'is' if taken == 1 else 'are'} under way"
        error = RateLimited(
            f"{why}: none became free for the call in time (max_wait). It was not sent. Let it wait longer "
            "(LMTEST_MAX_WAIT=SECONDS, or none), raise the limit, or answer from cassettes: LM_MODE=replay.",
            retry_after=max(0, ends - now) / SECOND,
        )
        # Who calls in the midst of calls that have every place would wait for itself.
        return Block(error, why=why, final=len(holders) >= self.limit and asked.within.issuperset(dict(holders)))

    def _take(self, connection: Connection, id_: str) -> None:
        connection.execute("INSERT INTO hold (name, id, usd) VALUES (?, ?, 0)", (self.name, id_))
