"""How many calls may be under way at once, over all processes.

A slot whose process is known to have died is free at once; one of another machine's process when its lease ends. The
call that it was for stays reserved against budgets meanwhile, for it may have been sent.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from lmtest.errors import RateLimited
from lmtest.money.horizon import LEASE, SECOND, shorten_leases
from lmtest.money.owner import claimed, has_died
from lmtest.money.waiting import Clock, looks, wait, wait_async

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from lmtest.money.database import Connection, Database


class Slots:
    """So many calls at once.

    Args:
        database: The ledger's.
        name: The limit's name; who gives the same name shares.
        limit: How many.
        lease: Seconds after which a slot's holder is taken for dead, whoever it is; more than any call lasts.
        clock: The time, the same for all processes.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        *,
        limit: int,
        lease: float = LEASE,
        clock: Clock | None = None,
    ) -> None:
        self._database = database
        self._name = name
        self._limit = limit
        self._lease = lease
        self._clock = clock or Clock()

    @contextmanager
    def held(self, *, timeout: float | None = None) -> Iterator[None]:
        """Hold a slot for the length of the block, waiting for it.

        Args:
            timeout: Seconds it may wait; 0 for not at all, None for as long as it takes.

        Raises:
            RateLimited: None was free in time; ``retry_after`` is when the first lease ends, at the latest.
        """
        slot = claimed(uuid.uuid4().hex)
        wait(self._looks(slot, timeout), self._clock)
        try:
            yield
        finally:
            self._free(slot)

    @asynccontextmanager
    async def held_async(self, *, timeout: float | None = None) -> AsyncIterator[None]:  # noqa: ASYNC109 - a refusal, no cancellation
        """Hold a slot as `held` does, leaving the event loop free."""
        slot = claimed(uuid.uuid4().hex)
        try:
            await wait_async(self._looks(slot, timeout), self._clock)
            yield
        finally:
            await asyncio.to_thread(self._free, slot)

    def _looks(self, slot: str, timeout: float | None) -> Iterator[float]:
        def look(waited: float) -> RateLimited | None:
            free_in = self._take(slot)
            if free_in is None:
                return None
            return RateLimited(
                f"{self._name!r} is {self._limit} at once, and none became free in {waited:.2f} s. The call was "
                "not sent. Let it wait longer, raise the limit, or answer from cassettes: LM_MODE=replay.",
                retry_after=free_in,
            )

        return looks(look, self._clock, timeout)

    def _take(self, slot: str) -> float | None:
        """Take a slot, or say in how many seconds the first lease ends."""
        with self._database.writing() as connection:
            now = int(self._clock.now() * SECOND)
            connection.execute("DELETE FROM slot WHERE name = ? AND expires <= ?", (self._name, now))
            shorten_leases(connection, "slot", now, self._lease)
            taken = connection.execute("SELECT id, expires FROM slot WHERE name = ?", (self._name,)).fetchall()
            if len(taken) >= self._limit:
                taken = self._without_the_dead(connection, taken)
            if len(taken) >= self._limit:
                return float(min(expires for _, expires in taken) - now) / SECOND
            connection.execute(
                "INSERT INTO slot (name, id, expires) VALUES (?, ?, ?)",
                (self._name, slot, now + int(self._lease * SECOND)),
            )
        return None

    def _without_the_dead(self, connection: Connection, taken: list[tuple[str, int]]) -> list[tuple[str, int]]:
        dead = [(self._name, slot) for slot, _ in taken if has_died(slot)]
        connection.executemany("DELETE FROM slot WHERE name = ? AND id = ?", dead)
        return [each for each in taken if (self._name, each[0]) not in dead]

    def _free(self, slot: str) -> None:
        with self._database.writing() as connection:
            connection.execute("DELETE FROM slot WHERE name = ? AND id = ?", (self._name, slot))
