"""How far ahead a ledger may reach, so that a clock that was ahead once keeps nobody waiting for it.

A machine's clock is set back, a test froze it under an older lmtest: what was booked then lies in a time that nobody
will wait for. It is mended by the next who looks, who says so in one line.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lmtest.money.database import Connection

SECOND: Final = 10**9
"""Nanoseconds."""

LONGEST_RETRY_AFTER: Final = 600 * SECOND
"""Nanoseconds that a provider's Retry-After is kept for at most: ten minutes, after which it may say so again."""

LONGEST_WAIT: Final = 86_400 * SECOND
"""Nanoseconds that anybody may have to wait for a turn: a day."""

LEASE: Final = 900.0
"""Seconds after which a call of another machine that nobody settled is taken for dead; more than any call lasts."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_APART: Final = 60 * SECOND  # that the clocks of several machines may be

_LOG = logging.getLogger("lmtest")


def nanoseconds(time: datetime) -> int:
    """A moment as limits keep it: nanoseconds since 1970.

    >>> nanoseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000000
    """
    return (time - _EPOCH) // timedelta(microseconds=1) * 1_000


def time_of(now: int) -> datetime:
    """The moment of so many nanoseconds since 1970."""
    return datetime.fromtimestamp(now / SECOND, UTC)


def clock_time(now: int) -> str:
    """The time of day of so many nanoseconds since 1970, for people.

    >>> clock_time(43_210 * SECOND)
    '12:00:10 UTC'
    """
    return f"{time_of(now):%H:%M:%S} UTC"


def within_reach(name: str, moments: tuple[int, int], now: int) -> tuple[int, int]:
    """Two moments of a rate, as they are, or now where they are further off than anybody waits.

    Args:
        name: The limit's, for the warning.
        moments: Nanoseconds since 1970.
        now: Likewise.
    """
    last = now + LONGEST_WAIT
    if max(moments) <= last:
        return moments
    _warn(f"{name!r} was booked up to {_day(max(moments))}", "It counts from now again")
    due, blocked_until = (each if each <= last else now for each in moments)
    return due, blocked_until


def last_expiry(now: int) -> int:
    """The furthest that a call that is under way now can have been given, nanoseconds since 1970."""
    return now + int(LEASE * SECOND) + _APART


def shorten_leases(connection: Connection, now: int) -> None:
    """End the leases that reach further than any is given, as if they were given now."""
    last = (last_expiry(now),)
    found = connection.execute("SELECT max(expires) FROM under_way WHERE expires > ?", last).fetchone()
    if until := found[0]:
        ends = now + int(LEASE * SECOND)
        connection.execute("UPDATE under_way SET expires = ? WHERE expires > ?", (ends, *last))
        _warn(f"a call was under way until {_day(until)}", f"It ends in {LEASE / 60:.0f} minutes")


def _warn(what: str, mended: str) -> None:
    _LOG.warning("In the ledger %s, by a clock that was ahead. %s.", what, mended)


def _day(moment: int) -> str:
    try:
        return (_EPOCH + timedelta(seconds=moment // SECOND)).date().isoformat()
    except OverflowError:
        return "beyond the year 9999"
