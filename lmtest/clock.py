"""The machine's own clock, which a test that freezes or moves time does not move.

Limits, ledger, recordings and refresh plans outlive the test that makes a call: a call under a frozen 2035 would book
its place in that year, and whoever calls next would wait for it. So they ask this module.

Tests replace the functions of ``time``, and freezegun every attribute of a module that is one of them; what an
object holds neither finds. time-machine changes the functions themselves, and has a way past that, `escape_hatch`.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["now", "seconds", "sleep", "sleep_async", "stamp", "utc_now"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_APART: Final = 1.0  # seconds between an event loop's clock and the machine's from which on it is another


class _Machine:
    """The clock's functions, held where nobody replaces them, whoever froze time before this was imported."""

    def __init__(self) -> None:
        if sys.platform == "win32":
            frozen = sys.modules.get("freezegun.api")
            self.wall: Callable[[], float] = getattr(frozen, "real_time", time.time)
            self.steady: Callable[[], float] = getattr(frozen, "real_monotonic", time.monotonic)
        else:
            self.wall = partial(time.clock_gettime, time.CLOCK_REALTIME)
            self.steady = partial(time.clock_gettime, time.CLOCK_MONOTONIC)
        self.sleep = time.sleep
        self.sleep_async = asyncio.sleep


_machine: Final = _Machine()


def now() -> float:
    """Seconds since 1970."""
    # Looked for at each call: a test may import it after us.
    past = getattr(sys.modules.get("time_machine"), "escape_hatch", None)
    if past is not None and past.is_travelling():
        return float(past.time.time())
    return _machine.wall()


def utc_now() -> datetime:
    """The time of day, in UTC.

    >>> abs(utc_now() - datetime.now(UTC)) < timedelta(seconds=10)
    True
    """
    return _EPOCH + timedelta(seconds=now())


def stamp(moment: datetime) -> str:
    """A moment as cassettes hold it.

    >>> stamp(datetime(2026, 11, 20, 12, tzinfo=UTC))
    '2026-11-20T12:00:00Z'
    """
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def seconds() -> float:
    """Seconds on a clock that nobody sets, for how long something takes."""
    return _machine.steady()


def sleep(pause: float) -> None:
    """Let a thread wait, though a test may have made ``time.sleep`` do nothing."""
    _machine.sleep(pause)


async def sleep_async(pause: float) -> None:
    """Let a task wait; also where its event loop reads a clock that stands still, and its timers never go off."""
    loop = asyncio.get_running_loop()
    if abs(loop.time() - _machine.steady()) < _APART:
        await _machine.sleep_async(pause)
        return
    over = loop.create_future()
    timer = threading.Timer(pause, _wake, (loop, over))
    timer.daemon = True
    timer.start()
    try:
        await over
    finally:
        timer.cancel()


def _wake(loop: asyncio.AbstractEventLoop, over: asyncio.Future[None]) -> None:
    def end() -> None:
        if not over.done():
            over.set_result(None)

    with contextlib.suppress(RuntimeError):  # the loop is closed, and its tasks with it
        loop.call_soon_threadsafe(end)
