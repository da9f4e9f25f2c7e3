"""``Stop``: ends the calls of a ``use_cassette`` from another thread."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from dspy.lm15 import TransportError

from lmtest import clock
from lmtest.errors import Stopped
from lmtest.lm import seam
from lmtest.money.waiting import Clock, ThreadBell

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractContextManager

    from lmtest.money.waiting import TaskBell


class Stop:
    """Ends the calls of a ``use_cassette`` from another thread: a live one under way by hanging up on the provider.

    A live call under way raises `lmtest.Stopped`, and so does one that waits for its turn at a rate limit, and every
    later call, in any mode, before it is answered. What a provider had begun may cost money: the price of a call that
    was hung up on is unknown. A call that is awaited is ended whatever its client; a task that its own program cancels
    still gets its ``CancelledError``. A connection that LiteLLM holds in a thread cannot be hung up on; there a call
    gets what is left of the time as its own timeout.

    Args:
        after: Seconds that calls may take all together, for those who can only be told beforehand; None is no limit.

    >>> stop = Stop()
    >>> stop.now()
    >>> stop.called
    True
    """

    def __init__(self, *, after: float | None = None) -> None:
        self._end = None if after is None else clock.seconds() + after
        self._lock = threading.RLock()  # a signal's handler may call it while its thread holds it
        self._called = threading.Event()
        self._held: dict[Any, Callable[[], None]] = {}

    @property
    def called(self) -> bool:
        """Whether calls were told to end."""
        return self._called.is_set()

    @property
    def left(self) -> float | None:
        """Seconds that are left, or None where there is no limit."""
        return None if self._end is None else self._end - clock.seconds()

    @property
    def over(self) -> bool:
        """Whether no call may be sent any more."""
        return self.called or (self._end is not None and clock.seconds() >= self._end)

    def now(self) -> None:
        """Hang up. It may be said again, and from any thread."""
        with self._lock:
            self._called.set()
            for end in self._held.values():
                end()

    def check(self, model: str) -> None:
        """Refuse a call that has not begun.

        Raises:
            Stopped: It was called, or its time is over.
        """
        if self.over:
            raise _not_sent(model)

    @contextlib.contextmanager
    def heeded(self, model: str) -> Iterator[None]:
        """Refuse a call once this was called, and tell what became of one that was under way.

        Raises:
            Stopped: It was, before or while.
        """
        self.check(model)
        try:
            yield
        except Exception as error:
            if self.called:
                raise Stopped(f"a call to {model} was hung up on; the provider may charge for it.") from error
            raise

    def holding(self, backend: Any) -> AbstractContextManager[None]:
        """Hang up on a call that a DSPy backend makes inside, in this thread, when this is called."""
        return seam.connections(backend, taken=self._take, left=self._leave, seconds=self.left)

    @contextlib.asynccontextmanager
    async def holding_task(self) -> AsyncIterator[None]:
        """End what this task awaits inside when this is called, or its time is over.

        Raises:
            TransportError: It was ended, as if the connection had been lost.
        """
        if self.over:
            raise _lost()
        loop = asyncio.get_running_loop()
        try:
            # The standard library's own way to cancel a task and to tell that from somebody else's cancelling it.
            async with asyncio.timeout(self.left) as until:
                self._hold(until, partial(_end_in, loop, until))
                try:
                    yield
                finally:
                    self._leave(until)
        except TimeoutError:
            if not until.expired():
                raise
            if not self.called:
                self.now()  # its time was over, and whatever else it holds has none left either
            raise _lost() from None

    def clock(self, model: str) -> Clock:
        """The time for a call that waits for its turn: its sleep ends when this is called."""
        return _Waiting(self, model)

    def pause(self, seconds: float, bell: ThreadBell) -> None:
        """Let a thread wait, until this is called, its time is over, or the bell rings."""
        left = self.left
        self._hold(bell, bell.ring)
        try:
            bell.wait(seconds if left is None else min(seconds, max(0.0, left)))
        finally:
            self._leave(bell)

    def _hold(self, what: Any, end: Callable[[], None]) -> None:
        with self._lock:
            self._held[what] = end
            if self.called:
                end()

    def _take(self, connection: socket.socket) -> None:
        self._hold(connection, partial(_hang_up, connection))

    def _leave(self, what: Any) -> None:
        # A connection before it goes back to the pool: another call may have it next.
        with self._lock:
            self._held.pop(what, None)


class _Waiting(Clock):
    """The time of a call that is not sent yet.

    Raises:
        Stopped: The stop was called while it waited.
    """

    def __init__(self, stop: Stop, model: str) -> None:
        self._stop = stop
        self._model = model

    def sleep(self, seconds: float, bell: ThreadBell | None = None) -> None:
        self._stop.pause(seconds, bell or ThreadBell())
        if self._stop.over:
            raise _not_sent(self._model)

    async def sleep_async(self, seconds: float, bell: TaskBell | None = None) -> None:
        try:
            async with self._stop.holding_task():
                await super().sleep_async(seconds, bell)
        except TransportError:
            raise _not_sent(self._model) from None


def _not_sent(model: str) -> Stopped:
    return Stopped(f"a call to {model} was not sent: its time was over, or nobody wanted its answer any more.")


def _lost() -> TransportError:
    return TransportError("the call was hung up on")


def _hang_up(connection: socket.socket) -> None:
    # The plain socket's: an SSL socket's own would take the session away under the thread that reads from it.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _end_in(loop: asyncio.AbstractEventLoop, until: asyncio.Timeout) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed, and its tasks with it
        loop.call_soon_threadsafe(_expire, until)


def _expire(until: asyncio.Timeout) -> None:
    with contextlib.suppress(RuntimeError):  # what it was set for has ended meanwhile
        until.reschedule(0)
