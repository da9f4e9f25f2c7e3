"""A rate that all processes keep together: the generic cell rate algorithm over one row of the ledger's database.

The row holds when the next permit would be due if all came evenly spaced. Taking a permit moves that moment on, in one
transaction, so every waiter has a turn of its own and nobody polls. The algorithm is that of ITU-T I.371.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lmtest.errors import RateLimited
from lmtest.money.horizon import LONGEST_WAIT, SECOND, within_reach
from lmtest.money.waiting import Clock, wait, wait_async

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmtest.money.database import Connection, Database


class Rate:
    """So many permits in so many seconds, over all threads and processes that share the ledger.

    In any stretch of ``per`` seconds at most ``permits + burst - 1`` permits of cost 1 fall due.

    Args:
        database: The ledger's.
        name: The limit's name, such as ``requests_per_minute gemini/gemini-2.5-flash``; who gives the same name shares.
        permits: How many.
        per: Seconds.
        burst: Permits that may be taken at once after a pause; with 1 they are evenly spaced.
        clock: The time, the same for all processes.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from lmtest.money.ledger import Ledger
    >>> with TemporaryDirectory() as directory, Ledger(Path(directory, "ledger.sqlite3")) as ledger:
    ...     rate = Rate(ledger.database, "requests_per_minute", permits=10)
    ...     rate.acquire(timeout=0)
    ...     try:
    ...         rate.acquire(timeout=0)
    ...     except RateLimited as error:
    ...         5 < error.retry_after <= 6
    True
    """

    def __init__(
        self,
        database: Database,
        name: str,
        *,
        permits: int,
        per: float = 60.0,
        burst: int = 1,
        clock: Clock | None = None,
    ) -> None:
        self._database = database
        self._name = name
        self._permits = permits
        self._per = per
        self._spacing = math.ceil(per * SECOND / permits)
        self._burst = burst
        self._clock = clock or Clock()

    def acquire(self, cost: int = 1, *, timeout: float | None = None) -> None:
        """Take a permit, waiting for it.

        Args:
            cost: What the call weighs: 1 for a request, or its tokens. A heavy call makes those after it wait, one
                that alone is more than the limit for ``per`` seconds; `correct` says later what it did weigh.
            timeout: Seconds it may wait; 0 for not at all, None for as long as it takes.

        Raises:
            RateLimited: It would have to wait longer. Nothing was taken.
        """
        wait(self._turns(cost, timeout), self._clock)

    async def acquire_async(self, cost: int = 1, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - a refusal beforehand, no cancellation
        """Take a permit as `acquire` does, leaving the event loop free."""
        await wait_async(self._turns(cost, timeout), self._clock)

    def correct(self, booked: int, used: int) -> None:
        """Count what a call did weigh, instead of what was taken for it.

        Args:
            booked: The cost it was acquired with.
            used: What it was.
        """
        # At most a period was held for it, so the difference is to that.
        if change := (used - min(booked, self._permits)) * self._spacing:
            with self._database.writing() as connection:
                due, blocked_until = self._read(connection)
                self._write(connection, due + change, blocked_until)

    def penalise(self, seconds: float) -> None:
        """Let nobody through for a while, those who already wait for their turn included.

        Args:
            seconds: What the provider's Retry-After said; a day at most, after which it may say so again.
        """
        until = self._now() + min(math.ceil(seconds * SECOND), LONGEST_WAIT)
        with self._database.writing() as connection:
            due, blocked_until = self._read(connection)
            self._write(connection, max(due, until), max(blocked_until, until))

    def _turns(self, cost: int, timeout: float | None) -> Iterator[float]:
        latest = None if timeout is None else self._now() + math.ceil(timeout * SECOND)
        while True:
            turn = self._book(cost, latest)
            if (early := turn - self._now()) <= 0:
                return
            yield early / SECOND
            if not self._penalised():
                return

    def _book(self, cost: int, latest: int | None) -> int:
        with self._database.writing() as connection:
            now = self._now()
            due, blocked_until = self._read(connection)
            turn = max(now, blocked_until, due - (self._burst - 1) * self._spacing)
            if latest is not None and turn > max(now, latest):
                raise self._refusal((turn - now) / SECOND)
            self._write(connection, max(due, turn) + min(cost, self._permits) * self._spacing, blocked_until)
        return turn

    def _penalised(self) -> bool:
        with self._database.reading() as connection:
            return connection is not None and self._read(connection)[1] > self._now()

    def _read(self, connection: Connection) -> tuple[int, int]:
        found = connection.execute("SELECT due, blocked_until FROM rate WHERE name = ?", (self._name,)).fetchone()
        return within_reach(self._name, found or (0, 0), self._now())

    def _write(self, connection: Connection, due: int, blocked_until: int) -> None:
        connection.execute(
            """
            INSERT INTO rate (name, due, blocked_until) VALUES (?, ?, ?)
            ON CONFLICT (name) DO UPDATE SET due = excluded.due, blocked_until = excluded.blocked_until
            """,
            (self._name, due, blocked_until),
        )

    def _refusal(self, seconds: float) -> RateLimited:
        return RateLimited(
            f"{self._name!r} is {self._permits} in {self._per:g} s, and there is no room for {seconds:.2f} s, longer "
            "than the call may wait. It was not sent. Let it wait, raise the limit, or answer from cassettes: "
            "LM_MODE=replay.",
            retry_after=seconds,
        )

    def _now(self) -> int:
        return int(self._clock.now() * SECOND)
