"""How many calls may be under way at once, over all processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmtest.errors import RateLimited
from lmtest.money.horizon import SECOND
from lmtest.money.queue import Block, Take

if TYPE_CHECKING:
    from lmtest.money.database import Connection, Rows
    from lmtest.money.queue import Ahead, Asked
    from lmtest.money.under_way import UnderWay


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

    def ask(self, connection: Connection, now: int) -> Rows | None:
        """As `lmtest.money.queue.Limit.ask`: who has a place is under way."""

    def room(
        self,
        kept: Rows | None,  # noqa: ARG002 - there is none
        calls: UnderWay,
        asked: Asked,
        now: int,
        ahead: Ahead,
    ) -> Block | Take:
        """As `lmtest.money.queue.Limit.room`."""
        holders = calls.holding(self.name)
        taken = len(holders)
        if taken + ahead.calls < self.limit:
            return Take(holds={self.name: 1})
        ends = calls.ends(holders) or now
        why = f"{self.name!r} is {self.limit} at once, and {taken} {'is' if taken == 1 else 'are'} under way"
        error = RateLimited(
            f"{why}: none became free for the call in time (max_wait). It was not sent. Let it wait longer "
            "(LMTEST_MAX_WAIT=SECONDS, or none), raise the limit, or answer from cassettes: LM_MODE=replay.",
            retry_after=max(0, ends - now) / SECOND,
        )
        # Who calls in the midst of calls that have every place would wait for itself.
        return Block(error, why=why, final=taken >= self.limit and asked.within.issuperset(holders))
