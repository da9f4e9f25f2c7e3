"""``Stop``: ends the calls of a ``use_cassette`` from another thread."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from lmtest.errors import Stopped
from lmtest.lm import seam

if TYPE_CHECKING:
    from collections.abc import Iterator


class Stop:
    """Ends the calls of a ``use_cassette`` from another thread: a live one under way by hanging up on the provider.

    It raises `lmtest.Stopped`, and so does every later call, in any mode, before it is answered. What a provider had
    begun may cost money: the price of a call that was hung up on is unknown. A connection of LiteLLM's cannot be hung
    up on; there a call gets what is left of the time as its own timeout.

    Args:
        after: Seconds that calls may take all together, for those who can only be told beforehand; None is no limit.

    >>> stop = Stop()
    >>> stop.now()
    >>> stop.called
    True
    """

    def __init__(self, *, after: float | None = None) -> None:
        self._end = None if after is None else time.monotonic() + after
        self._lock = threading.Lock()
        self._held: list[socket.socket] = []
        self.called = False

    @property
    def left(self) -> float | None:
        """Seconds that are left, or None where there is no limit."""
        return None if self._end is None else self._end - time.monotonic()

    def now(self) -> None:
        """Hang up. It may be said again, and from any thread."""
        with self._lock:
            self.called = True
            for held in self._held:
                _hang_up(held)

    def check(self, model: str) -> None:
        """Refuse a call that has not begun.

        Raises:
            Stopped: It was called, or its time is over.
        """
        if self.called or (self._end is not None and time.monotonic() >= self._end):
            raise Stopped(f"a call to {model} was not sent: its time was over, or nobody wanted its answer any more.")

    @contextlib.contextmanager
    def heeded(self, backend: Any, model: str) -> Iterator[None]:
        """Make a call of a DSPy backend inside end when this is called.

        Raises:
            Stopped: It was, before or while.
        """
        self.check(model)
        try:
            with seam.connections(backend, taken=self._take, left=self._leave, seconds=self.left):
                yield
        except Exception as error:
            if self.called:
                raise Stopped(f"a call to {model} was hung up on; the provider may charge for it.") from error
            raise

    def _take(self, connection: socket.socket) -> None:
        with self._lock:
            self._held.append(connection)
            if self.called:
                _hang_up(connection)

    def _leave(self, connection: socket.socket) -> None:
        # Before it goes back to the pool: another call may have it next.
        with self._lock:
            if connection in self._held:
                self._held.remove(connection)


def _hang_up(connection: socket.socket) -> None:
    # The plain socket's: an SSL socket's own would take the session away under the thread that reads from it.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
