"""A rate that all processes keep together: the generic cell rate algorithm over one row of the ledger's database.

The row holds when the next permit would be due if all came evenly spaced. Taking a permit moves that moment on. The
algorithm is that of ITU-T I.371.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from lmtest.errors import RateLimited
from lmtest.money.horizon import LONGEST_RETRY_AFTER, SECOND, clock_time, within_reach
from lmtest.money.queue import Block, Take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmtest.money.database import Connection, Rows
    from lmtest.money.queue import Ahead, Asked
    from lmtest.money.under_way import UnderWay


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """So many permits in so many seconds, over all threads and processes that share the ledger.

    In any stretch of ``per`` seconds at most ``permits + burst - 1`` permits of cost 1 fall due.

    Attributes:
        name: The limit's name, such as ``requests_per_minute gemini/gemini-2.5-flash``; who gives the same name shares.
        permits: How many.
        cost: What the call weighs: 1 for a request, or its tokens. A heavy call makes those after it wait, one that
            alone is more than the limit for ``per`` seconds; `correct` says later what it did weigh.
        per: Seconds.
        burst: Permits that may be taken at once after a pause; with 1 they are evenly spaced.
    """

    name: str
    permits: int
    cost: int = 1
    per: float = 60.0
    burst: int = 1

    @property
    def weight(self) -> int:
        """Nanoseconds of the rate's time that the call takes."""
        return min(self.cost, self.permits) * self._spacing

    def ask(self, connection: Connection, now: int) -> Rows:  # noqa: ARG002 - it knows no periods
        """As `lmtest.money.queue.Limit.ask`."""
        return connection.execute("SELECT due, blocked_until FROM rate WHERE name = ?", (self.name,))

    def room(
        self,
        kept: Rows,
        calls: UnderWay,  # noqa: ARG002 - a turn is taken for good
        asked: Asked,
        now: int,
        ahead: Ahead,
    ) -> Block | Take:
        """As `lmtest.money.queue.Limit.room`."""
        before = kept.fetchone() or (0, 0)
        due, blocked_until = within_reach(self.name, before, now)
        turn = max(now, blocked_until, due - (self.burst - 1) * self._spacing) + ahead.weight
        if turn <= now:
            return Take(then=partial(self._take, max(due, now) + self.weight, blocked_until))
        if blocked_until > now:
            why = f"the provider of {asked.model!r} asked everybody to wait until {clock_time(blocked_until)}"
        else:
            why = f"{self.name!r} is {self.permits} in {self.per:g} s"
        wait = (turn - now) / SECOND
        error = RateLimited(
            f"{why}, and there is no room for {wait:.2f} s, longer than the call may wait (max_wait). It was not sent. "
            "Let it wait longer (LMTEST_MAX_WAIT=SECONDS, or none), raise the limit, or answer from cassettes: "
            "LM_MODE=replay.",
            retry_after=wait,
        )
        return Block(error, why=why, until=turn)

    def correct(self, connection: Connection, used: int) -> None:
        """Count what a call did weigh, instead of what was taken for it.

        Args:
            connection: An open transaction.
            used: What it was.
        """
        # At most a period was held for it, so the difference is to that.
        if change := (used - min(self.cost, self.permits)) * self._spacing:
            connection.execute("UPDATE rate SET due = due + ? WHERE name = ?", (change, self.name))

    def penalise(self, connection: Connection, seconds: float, now: int) -> None:
        """Let nobody through for a while, those who already wait for their turn included.

        Args:
            connection: An open transaction.
            seconds: What the provider's Retry-After said; ten minutes of it are kept, and then it may say so again.
            now: Nanoseconds since 1970.
        """
        until = now + int(min(seconds * SECOND, LONGEST_RETRY_AFTER))
        connection.execute(
            """
            INSERT INTO rate (name, due, blocked_until, blocked_since) VALUES (?, 0, ?, ?)
            ON CONFLICT (name) DO UPDATE SET
            blocked_until = CASE WHEN excluded.blocked_until > rate.blocked_until OR rate.blocked_until > ?
                THEN excluded.blocked_until ELSE rate.blocked_until END,
            blocked_since = excluded.blocked_since
            """,
            (self.name, until, now, now + LONGEST_RETRY_AFTER),
        )

    def _take(self, due: int, blocked_until: int, connection: Connection) -> None:
        connection.execute(
            """
            INSERT INTO rate (name, due, blocked_until) VALUES (?, ?, ?)
            ON CONFLICT (name) DO UPDATE SET due = excluded.due, blocked_until = excluded.blocked_until
            """,
            (self.name, due, blocked_until),
        )

    @property
    def _spacing(self) -> int:
        return math.ceil(self.per * SECOND / self.permits)


def forgive(connection: Connection, names: Sequence[str], *, sent: int, now: int) -> None:
    """Let calls through again, because the provider answered one that was sent after it had asked to wait.

    Args:
        connection: An open transaction.
        names: The rates.
        sent: When the call was sent, nanoseconds since 1970.
        now: Likewise.
    """
    places = ", ".join("?" * len(names))
    connection.execute(
        f"UPDATE rate SET blocked_until = 0 WHERE name IN ({places}) AND blocked_until > ? AND blocked_since < ?",  # noqa: S608 - question marks
        (*names, now, sent),
    )
