"""Waiting one's turn: steps that say how long to sleep before each next try, taken by a thread or by an event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from lmtest import clock as machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FIRST: Final = 0.01  # seconds between two looks: no process can tell another that it is done
_LAST: Final = 0.25


class Clock:
    """The machine's time, `lmtest.clock`, which all of its processes share; a test may give one that stands still."""

    def now(self) -> float:
        """Seconds since 1970."""
        return machine.now()

    def sleep(self, seconds: float) -> None:
        """Let a thread wait."""
        machine.sleep(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Let a task wait."""
        await machine.sleep_async(seconds)


def looks(look: Callable[[float], Exception | None], clock: Clock, timeout: float | None) -> Iterator[float]:
    """Look until what is waited for is there.

    Args:
        look: Is told for how many seconds it was waited; gives None when it is there, else what to raise if this was
            the last look.
        clock: The time.
        timeout: Seconds it may wait; 0 for not at all, None for as long as it takes.

    Yields:
        Seconds to the next look.
    """
    begun, pause = clock.now(), _FIRST
    while True:
        waited = clock.now() - begun
        refusal = look(waited)
        if refusal is None:
            return
        if timeout is not None and waited >= timeout:
            raise refusal
        yield pause if timeout is None else min(pause, timeout - waited)
        pause = min(pause * 2, _LAST)


def wait(steps: Iterator[float], clock: Clock) -> None:
    """Take the steps in this thread, sleeping between them."""
    for seconds in steps:
        clock.sleep(seconds)


async def wait_async(steps: Iterator[float], clock: Clock) -> None:
    """Take the steps without blocking the event loop: each runs in a thread, because SQLite may wait for its turn."""
    while True:
        step = asyncio.ensure_future(asyncio.to_thread(next, steps, None))
        try:
            seconds = await asyncio.shield(step)
        except asyncio.CancelledError:
            # A thread cannot be stopped: only when its step is over can what it took be given back.
            await asyncio.wait([step])
            raise
        if seconds is None:
            return
        await clock.sleep_async(seconds)
