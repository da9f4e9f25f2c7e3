"""Who is let through, and when: first come, first served, each call when all that holds it has room at once.

A call that waits is entered under every limit that has no room for it, with a ticket. Under each of these nobody who
came later passes it; what it does not wait for, others may have. So a call that waits for its turn at a rate holds no
place and no money meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from lmtest.errors import ConfigurationError
from lmtest.money import under_way
from lmtest.money.horizon import SECOND, clock_time, time_of
from lmtest.money.owner import claimed, dead
from lmtest.money.under_way import UnderWay
from lmtest.money.waiting import Clock, TaskBell, ThreadBell, wait, wait_async

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

    from lmtest.errors import LimitError
    from lmtest.money.database import Connection, Rows
    from lmtest.money.ledger import Ledger
    from lmtest.money.row import LedgerRow
    from lmtest.money.waiting import Bell

LONG_WAIT: Final = 5.0
"""Seconds of waiting from which on it is said."""

_FIRST: Final = 0.01  # seconds between two looks, where nobody can say when there will be room
_LAST: Final = 0.25
_DAY: Final = 86_400 * SECOND
_LONGEST: Final = 5.0  # seconds between two looks of one who waits for a moment, or behind many
_ABSENT: Final = 30 * SECOND  # nanoseconds after which one who should have looked is taken for gone

_LOG = logging.getLogger("lmtest")


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A call that asks to be let through.

    Attributes:
        model: As DSPy names it.
        row: What is entered where nobody comes to settle it: its run, test and mode, at an unknown price.
        estimate: USD at worst, see `lmtest.money.prices.worst_case`; None where the price is unknown.
        because: Why it is that much, where nobody asked for it: ``no max_tokens is set, so …``.
        within: Ids of calls under way that settle only after this one, so that waiting for them is in vain.
        id: Its own name.
    """

    model: str
    row: LedgerRow
    estimate: Decimal | None = None
    because: str = ""
    within: frozenset[str] = frozenset()
    id: str = field(default_factory=lambda: claimed(_name()))

    @property
    def test(self) -> str | None:
        """The test that calls."""
        return self.row.test


def _name() -> str:
    """Name a call as none is named, in the order of time, so that an index is written to at one end."""
    return f"{time.time_ns():x}{os.urandom(8).hex()}"


class Ahead(NamedTuple):
    """The calls that came before and wait for the same.

    Attributes:
        weights: What each takes of the limit, as the limit weighs it; see `Limit.weight`.
    """

    weights: tuple[int, ...] = ()

    @property
    def calls(self) -> int:
        """How many they are."""
        return len(self.weights)

    @property
    def weight(self) -> int:
        """The sum of what they take."""
        return sum(self.weights)


class Block(NamedTuple):
    """No room.

    Attributes:
        error: What is raised where the call may not wait.
        why: The reason, as the beginning of a sentence.
        until: When there will be room, in nanoseconds since 1970; None where nobody can say.
        final: Whether waiting is in vain.
    """

    error: LimitError
    why: str
    until: int | None = None
    final: bool = False


class Take(NamedTuple):
    """What a call takes of a limit that has room for it.

    Attributes:
        holds: What it holds while it is under way, by the name that it is held under: a place, or picodollars.
        then: Writes down what is taken for good.
    """

    holds: Mapping[str, int] = MappingProxyType({})
    then: Callable[[Connection], None] | None = None


_Blocked = dict[str, tuple[Block, Ahead]]  # by the name of what has no room


class Limit(Protocol):
    """A limit that holds a call."""

    @property
    def name(self) -> str:
        """The name by which it is waited for; limits of one name are one limit."""

    @property
    def weight(self) -> int:
        """The figure that those behind it need of the call: of a rate, the nanoseconds of its time that it takes."""

    def ask(self, connection: Connection, now: int) -> Rows | None:
        """Ask for what is kept of it, if anything is.

        Args:
            connection: An open transaction.
            now: Nanoseconds since 1970, in whose period.
        """

    def room(self, kept: Any, calls: UnderWay, asked: Asked, now: int, ahead: Ahead) -> Block | Take:
        """See if there is room.

        Args:
            kept: What `ask` asked for.
            calls: The calls under way.
            asked: The call.
            now: Nanoseconds since 1970.
            ahead: Those who wait for it already.

        Returns:
            What is taken of it; or why there is no room.
        """


class Queue:
    """Lets calls through, over all threads, tasks and processes that share a ledger.

    Args:
        ledger: Where it is kept who waits, and who is under way.
        clock: The time, the same for all processes.
    """

    def __init__(self, ledger: Ledger, *, clock: Clock | None = None) -> None:
        self._ledger = ledger
        self._database = ledger.database
        self._clock = clock or Clock()

    def enter(self, asked: Asked, limits: Sequence[Limit], *, timeout: float | None = None) -> datetime:
        """Wait until a call may be sent; it is under way then, until it is settled or released.

        Args:
            asked: The call.
            limits: What holds it.
            timeout: Seconds it may wait; 0 for not at all, None for as long as it takes.

        Returns:
            When it was let through.

        Raises:
            LimitError: A limit has no room, or will have none in time. Nothing is held.
        """
        waits = _Wait(asked, self._now(), timeout)
        first = self._first_look(waits, limits)
        if not first[1]:
            return time_of(first[0])
        bell = ThreadBell()
        return wait(self._looks(waits, limits, bell, first), self._clock, bell)

    async def enter_async(
        self,
        asked: Asked,
        limits: Sequence[Limit],
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - a refusal, no cancellation
    ) -> datetime:
        """Wait as `enter` does, leaving the event loop free."""
        bell, waits = TaskBell(), _Wait(asked, self._now(), timeout)
        try:
            return await wait_async(self._looks(waits, limits, bell), self._clock, bell)
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.to_thread(self._ledger.release, asked.id))
            raise

    def _looks(
        self, waits: _Wait, limits: Sequence[Limit], bell: Bell, first: tuple[int, _Blocked] | None = None
    ) -> Generator[float, None, datetime]:
        """Look until all have room; gives the seconds to each next look, and at last when it was let through."""
        line, joined = self._database.line, frozenset[str]()
        try:
            now, blocked = first or self._first_look(waits, limits)
            while blocked:
                waits.refuse(now, blocked)
                if blocked.keys() == joined:
                    waits.say(now, blocked)
                    yield waits.pause(now, blocked)
                else:  # and look again: whoever gave something back since that look has rung for nobody
                    joined = frozenset(blocked)
                    line.join(bell, waits.ticket, joined)
                self._ledger.take_in()
                now, blocked = self._look(waits, limits)
            waits.ticket = 0
            return time_of(now)
        finally:
            line.leave(bell)
            if waits.ticket:
                self._leave(waits.asked.id)

    def _first_look(self, waits: _Wait, limits: Sequence[Limit]) -> tuple[int, _Blocked]:
        self._ledger.take_in()
        return self._look(waits, limits)

    def _look(self, waits: _Wait, limits: Sequence[Limit]) -> tuple[int, _Blocked]:
        """Let it through, or give what has no room for it; and the moment."""
        asked = waits.asked
        with self._database.writing(durable=False) as connection:
            found = _Found(connection, limits, self._now)
            now = found.now
            if found.calls.out_of_time(now):
                under_way.settle_overdue(self._ledger, connection, now)
                found = _Found(connection, limits, lambda: now)
            ahead = {} if asked.within else _ahead(connection, found.waiting, waits, now)
            blocked, takes = found.rooms(asked, ahead)
            if blocked and under_way.settle_dead(self._ledger, connection):
                blocked, takes = _Found(connection, limits, lambda: now).rooms(asked, ahead)
            if waits.ticket:
                connection.execute("DELETE FROM waiting WHERE id = ?", (asked.id,))
            if not blocked:
                for take in takes:
                    if take.then is not None:
                        take.then(connection)
                holds = {name: its for take in takes for name, its in take.holds.items()}
                under_way.begin(connection, asked, holds, now)
            elif not asked.within:
                waits.ticket = waits.ticket or _next_ticket(connection)
                weights = {limit.name: limit.weight for limit in limits}
                connection.executemany(
                    "INSERT INTO waiting (name, id, ticket, weight, expires) VALUES (?, ?, ?, ?, ?)",
                    [
                        (name, asked.id, waits.ticket, weights[name], _next_look(block, now) + _ABSENT)
                        for name, (block, _) in blocked.items()
                    ],
                )
        return now, blocked

    def _leave(self, id_: str) -> None:
        """Wait no more; where that cannot be written, whoever waits behind sees it by the time that has passed."""
        try:
            with self._database.writing(durable=False) as connection:
                connection.execute("DELETE FROM waiting WHERE id = ?", (id_,))
        except ConfigurationError as error:
            _LOG.debug("%s", error)

    def _now(self) -> int:
        return int(self._clock.now() * SECOND)


class _Wait:
    """How one call waits.

    Args:
        asked: The call.
        begun: When it came, nanoseconds since 1970.
        timeout: Seconds it may wait; None for as long as it takes.
    """

    def __init__(self, asked: Asked, begun: int, timeout: float | None) -> None:
        self.asked = asked
        self.ticket = 0
        self._begun = begun
        self._latest = None if timeout is None else begun + int(timeout * SECOND)
        self._pause = _FIRST
        self._said = False

    def refuse(self, now: int, blocked: _Blocked) -> None:
        """End it where it would be in vain, or longer than it may be.

        Raises:
            LimitError: What has no room.
        """
        for block, _ in blocked.values():
            if block.final:
                raise block.error
            if self._latest is not None and (now >= self._latest or (block.until or now) > self._latest):
                raise block.error

    def pause(self, now: int, blocked: _Blocked) -> float:
        """Seconds to the next look: to the moment that is known, else longer each time, and for each who is ahead."""
        until = _until(blocked)
        if until is not None:
            seconds = (until - now) / SECOND
        else:
            seconds = self._pause * (1 + max(ahead.calls for _, ahead in blocked.values()))
            self._pause = min(2 * self._pause, _LAST)
        seconds = min(max(seconds, 0.0), _LONGEST)
        return seconds if self._latest is None else min(seconds, (self._latest - now) / SECOND)

    def say(self, now: int, blocked: _Blocked) -> None:
        """Say once that it waits long, or will."""
        until = _until(blocked)
        if self._said or max(until or 0, now) - self._begun <= LONG_WAIT * SECOND:
            return
        self._said = True
        ends = "until there is room" if until is None else f"until {clock_time(until)}"
        given = "" if self._latest is None else f", and gives up at {clock_time(self._latest)} (max_wait)"
        why = next(iter(blocked.values()))[0].why
        _LOG.warning("A call to %s waits %s%s: %s.", self.asked.model, ends, given, why)


class _Found:
    """What one transaction found of those who wait, of the calls under way, and of the limits.

    Everything is asked for before anything is read, so that a server is asked once.

    Args:
        connection: The transaction.
        limits: What holds the call.
        clock: Gives nanoseconds since 1970.
    """

    def __init__(self, connection: Connection, limits: Sequence[Limit], clock: Callable[[], int]) -> None:
        asked_at = clock()
        waiting = connection.execute("SELECT name, id, ticket, weight, expires FROM waiting")
        calls = under_way.ask(connection)
        self._kept = [(limit, limit.ask(connection, asked_at)) for limit in limits]
        self.waiting = waiting.fetchall()
        self.calls = UnderWay(calls)
        # No sooner, for everybody else's transaction may have been waited for.
        self.now = clock()
        if self.now // _DAY != asked_at // _DAY:  # another month, it may be
            self._kept = [(limit, limit.ask(connection, self.now)) for limit in limits]

    def rooms(self, asked: Asked, ahead: dict[str, Ahead]) -> tuple[_Blocked, list[Take]]:
        """Give what has no room for a call, and what it takes of the rest."""
        blocked: _Blocked = {}
        takes = []
        for limit, kept in self._kept:
            before = ahead.get(limit.name, Ahead())
            found = limit.room(kept, self.calls, asked, self.now, before)
            if isinstance(found, Block):
                blocked[limit.name] = found, before
            else:
                takes.append(found)
        return blocked, takes


def _ahead(connection: Connection, waiting: Sequence[Any], waits: _Wait, now: int) -> dict[str, Ahead]:
    """Find who came before, by what they wait for; whoever is gone is put out."""
    if not waiting:
        return {}
    others = {id_: expires for _, id_, _, _, expires in waiting if id_ != waits.asked.id}
    gone = dead(others) | {id_ for id_, expires in others.items() if expires <= now}
    connection.executemany("DELETE FROM waiting WHERE id = ?", [(id_,) for id_ in gone])
    ahead: dict[str, Ahead] = {}
    for name, id_, ticket, weight, _ in waiting:
        if id_ in others and id_ not in gone and (not waits.ticket or ticket < waits.ticket):
            ahead[name] = Ahead((*ahead.get(name, Ahead()).weights, weight))
    return ahead


def _next_ticket(connection: Connection) -> int:
    (last,) = connection.execute("SELECT coalesce(max(ticket), 0) FROM waiting").fetchone()
    return int(last) + 1


def _next_look(block: Block, now: int) -> int:
    """When whoever is blocked looks again at the latest."""
    return max(now, min(block.until or now, now + int(_LONGEST * SECOND)))


def _until(blocked: _Blocked) -> int | None:
    """When all will have room, where each can say so."""
    moments = [block.until for block, _ in blocked.values() if block.until is not None]
    return max(moments) if len(moments) == len(blocked) else None
