"""How far ahead a ledger may reach, so that a clock that was ahead once keeps nobody waiting for it.

A machine's clock is set back, a test froze it under an older lmtest: what was booked then lies in a time that nobody
will wait for. It is mended by the next who looks, who says so in one line.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import Literal

    from lmtest.money.database import Connection

SECOND: Final = 10**9
"""Nanoseconds."""

LONGEST_WAIT: Final = 86_400 * SECOND
"""Nanoseconds that anybody may have to wait for a turn, a provider's Retry-After included: a day."""

LEASE: Final = 900.0
"""Seconds after which a call that neither settled nor released is taken for dead; more than any call lasts."""

_APART: Final = 60 * SECOND  # that the clocks of several machines may be

_LOG = logging.getLogger("lmtest")


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


def shorten_leases(connection: Connection, table: Literal["slot", "reservation"], now: int, lease: float) -> None:
    """End the leases that reach further than any is given, as if they were given now."""
    longest = int(max(lease, LEASE) * SECOND)
    last = (now + longest + _APART,)
    found = connection.execute(f"SELECT max(expires) FROM {table} WHERE expires > ?", last).fetchone()  # noqa: S608 - one of two
    if until := found[0]:
        connection.execute(f"UPDATE {table} SET expires = ? WHERE expires > ?", (now + longest, *last))  # noqa: S608 - likewise
        _warn(f"a {table} of a call was given until {_day(until)}", f"It ends in {longest // SECOND // 60} minutes")


def _warn(what: str, mended: str) -> None:
    _LOG.warning("In the ledger %s, by a clock that was ahead. %s.", what, mended)


def _day(moment: int) -> str:
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment // SECOND)).date().isoformat()
    except OverflowError:
        return "beyond the year 9999"
