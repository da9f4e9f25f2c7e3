"""A watching: changes as they come, across connections."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Self

import grpc

from python_worker.client.arguments import carried
from python_worker.client.errors import Unavailable, from_rpc
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire.state import change_from_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from python_worker.domain.watch import Change

PATIENCE = 60.0
"""Seconds that a worker may be away."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0


class Request:
    """What is watched, and up to where it was told."""

    def __init__(self, session_id: str, patterns: Sequence[str], *, include_initial: bool, after: int | None) -> None:
        self._session_id = session_id
        self._patterns = patterns
        self._include_initial = include_initial
        self._after = after

    @carried
    def message(self) -> pb.WatchRequest:
        """The request that goes on where the last stream broke."""
        return pb.WatchRequest(
            session=self._session_id,
            patterns=self._patterns,
            include_initial=self._include_initial,
            after=self._after,
        )

    def read(self, response: pb.WatchResponse) -> list[Change]:
        """The changes of a response."""
        self._after = response.position
        return [change_from_wire(change, session=self._session_id) for change in response.changes]

    @property
    def position(self) -> int | None:
        """Up to where everything was told."""
        return self._after


class Watching:
    """Iterates over changes, for as long as it is not closed; goes on where it was when the worker comes back.

    When it is made it watches already: no change after that is missed.
    """

    def __init__(self, open_stream: Callable[[pb.WatchRequest], Any], request: Request) -> None:
        self._open_stream = open_stream
        self._request = request
        self._waiting: deque[Change] = deque()
        self._closed = threading.Event()
        self._stream = open_stream(request.message())
        self._receive()

    @property
    def position(self) -> int | None:
        """Up to where everything was told: ``after`` of a later watching."""
        return self._request.position

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Change:
        while not self._waiting:
            if not self._receive():
                raise StopIteration
        return self._waiting.popleft()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Watch no more; a thread that waits for a change is let go."""
        self._closed.set()
        self._stream.cancel()

    def _receive(self) -> bool:
        end, pause = time.monotonic() + PATIENCE, FIRST_PAUSE
        while not self._closed.is_set():
            try:
                self._waiting += self._request.read(next(self._stream))
            except grpc.RpcError as error:
                if self._closed.is_set():
                    return False
                told = from_rpc(error)
                if not isinstance(told, Unavailable) or time.monotonic() + pause > end:
                    raise told from error
            else:
                return True
            if self._closed.wait(pause):
                break
            pause = min(2 * pause, LONGEST_PAUSE)
            self._stream = self._open_stream(self._request.message())
        return False
