"""Waiting one's turn: steps that say how long to sleep before each next try, taken by a thread or by an event loop.

Who waits in a process is woken when there may be room. Processes cannot wake each other, so they look now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from lmtest import clock as machine

if TYPE_CHECKING:
    from collections.abc import Collection, Generator


T = TypeVar("T")


class Bell(Protocol):
    """Wakes one who waits."""

    def ring(self) -> None:
        """Wake it, from any thread; where nobody sleeps yet, the next sleep ends at once."""


class ThreadBell:
    """Wakes a thread."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def ring(self) -> None:
        """As `Bell.ring`."""
        self._rung.set()

    def wait(self, seconds: float) -> None:
        """Sleep until it rings, or for so long."""
        self._rung.wait(seconds)
        self._rung.clear()


class TaskBell:
    """Wakes a task; made in its event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """As `Bell.ring`."""
        with contextlib.suppress(RuntimeError):  # the loop is closed, and its tasks with it
            self._loop.call_soon_threadsafe(self._rung.set)

    async def wait(self, seconds: float) -> None:
        """Sleep until it rings, or for so long."""
        ends = [asyncio.ensure_future(each) for each in (self._rung.wait(), machine.sleep_async(seconds))]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in ends:
                each.cancel()
        self._rung.clear()


class Clock:
    """The machine's time, `lmtest.clock`, which all of its processes share; a test may give one that stands still."""

    def now(self) -> float:
        """Seconds since 1970."""
        return machine.now()

    def sleep(self, seconds: float, bell: ThreadBell | None = None) -> None:
        """Let a thread wait; a bell ends it early."""
        (bell or ThreadBell()).wait(seconds)

    async def sleep_async(self, seconds: float, bell: TaskBell | None = None) -> None:
        """Let a task wait; a bell ends it early."""
        await (bell or TaskBell()).wait(seconds)


class Line:
    """The calls that wait in this process, and for what; of those that wait for a thing the first is woken for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[Bell, tuple[int, frozenset[str]]] = {}
        self._process = os.getpid()

    def join(self, bell: Bell, ticket: int, names: Collection[str]) -> None:
        """Wait for what has these names, and no longer for others.

        Args:
            bell: Wakes whoever waits.
            ticket: Its place in the order of all who wait.
            names: What it waits for.
        """
        with self._lock:
            if self._process != os.getpid():  # those who waited before a fork wait elsewhere
                self._waiting, self._process = {}, os.getpid()
            _, before = self._waiting.get(bell, (0, frozenset()))
            self._waiting[bell] = ticket, frozenset(names)
        self.ring(before.difference(names))

    def leave(self, bell: Bell) -> None:
        """Wait no more: for what it waited the next one may now have a turn."""
        with self._lock:
            _, before = self._waiting.pop(bell, (0, frozenset[str]()))
        self.ring(before)

    def ring(self, names: Collection[str]) -> None:
        """Wake the first who waits for each of these."""
        if not names or not self._waiting:
            return
        with self._lock:
            waiting = sorted(self._waiting.items(), key=lambda each: each[1][0])
        for name in names:
            first = next((bell for bell, (_, its) in waiting if name in its), None)
            if first is not None:
                first.ring()


@dataclass(frozen=True, slots=True)
class _End(Generic[T]):
    """The value that the steps ended with; a `StopIteration` cannot come out of another thread."""

    value: T


def _next(steps: Generator[float, None, T]) -> float | _End[T]:
    try:
        return next(steps)
    except StopIteration as end:
        return _End(end.value)


def wait(steps: Generator[float, None, T], clock: Clock, bell: ThreadBell) -> T:
    """Take the steps in this thread, sleeping between them; gives what they end with."""
    with closing(steps):
        while True:
            step = _next(steps)
            if isinstance(step, _End):
                return step.value
            clock.sleep(step, bell)


async def wait_async(steps: Generator[float, None, T], clock: Clock, bell: TaskBell) -> T:
    """Take the steps without blocking the event loop: each runs in a thread, because SQLite may wait for its turn."""
    try:
        while True:
            taken = asyncio.ensure_future(asyncio.to_thread(_next, steps))
            try:
                step = await asyncio.shield(taken)
            except asyncio.CancelledError:
                # A thread cannot be stopped: only when its step is over can what it took be given back.
                await asyncio.wait([taken])
                raise
            if isinstance(step, _End):
                return step.value
            await clock.sleep_async(step, bell)
    finally:
        await asyncio.shield(asyncio.to_thread(steps.close))
