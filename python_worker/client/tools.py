"""Serving tools: Python functions that the worker's programs call."""

from __future__ import annotations

import asyncio
import inspect
import queue
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import grpc

from python_worker.client.errors import Unavailable, from_rpc
from python_worker.client.tool_functions import ServedFunction, answer, failure, registration, served
from python_worker.client.watching import FIRST_PAUSE, LONGEST_PAUSE, PATIENCE
from python_worker.domain.tool import ToolCall, ToolCallCancelled, ToolsRegistered
from python_worker.v1.worker_pb2_grpc import WorkerStub
from python_worker.wire.tools import from_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    from python_worker.v1 import worker_pb2 as pb


class ToolMethods:
    """The part of the client that serves tools."""

    _channel: grpc.Channel
    _metadata: Any

    def serve_tools(
        self,
        tools: Mapping[str, Callable[..., Any]] | Iterable[Callable[..., Any]],
        *,
        session: str = "",
        timeout: float | None = None,
        threads: int = 8,
    ) -> ToolServer:
        """Serve functions to programs that name them in ``tools``, until the block ends.

        A function's name, docstring and annotations are what the model is told. What it raises the model reads as an
        observation. Calls run in threads of their own.

        Args:
            tools: Functions, or functions by name.
            session: Whose executions may call them; everybody's where empty.
            timeout: Seconds one call may take; 30 where None.
            threads: How many calls run at once.

        Raises:
            WorkerError: ``already_exists``: somebody serves a tool of that name; ``not_found``: there is no such
                session; ``invalid_argument``: a function cannot be a tool; ``limit``: too many clients serve.

        Examples:
            def population(city: str) -> int:
                '''How many people live in a city.'''
                return CENSUS[city]

            with client.serve_tools([population]):
                client.execute("agent", {"question": "Is Paris bigger than Rome?"})
        """
        functions = served(tools, timeout=timeout)
        return ToolServer(WorkerStub(self._channel), self._metadata, functions, session=session, threads=threads)


class ToolServer:
    """Serves for as long as it is not closed; where the worker goes away and comes back, it is served again.

    When it is made the tools can be called already.
    """

    def __init__(
        self, stub: Any, metadata: Any, functions: Mapping[str, ServedFunction], *, session: str, threads: int
    ) -> None:
        self._stub, self._metadata = stub, metadata
        self._functions, self._session = functions, session
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="tool")
        self._closed = threading.Event()
        self._error: BaseException | None = None
        self._link = _Link(self)
        try:
            self._link.register()
        except BaseException:
            self._pool.shutdown(wait=False)
            raise
        self._thread = threading.Thread(target=self._serve, name="tools", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        if self._error and error is None:
            raise self._error

    def close(self) -> None:
        """Serve no more; calls under way fail at the worker at once."""
        self._closed.set()
        self._link.cut()
        self._thread.join()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _serve(self) -> None:
        try:
            while not self._closed.is_set():
                try:
                    self._link.serve(self._pool)
                except grpc.RpcError as error:
                    if not self._closed.is_set():
                        self._come_back(from_rpc(error))
        except Exception as error:  # noqa: BLE001 - told to whoever leaves the block
            self._error = error
        finally:
            self._link.cut()  # it may have come back while it was closed

    def _come_back(self, error: Exception) -> None:
        end, pause = time.monotonic() + PATIENCE, FIRST_PAUSE
        while True:
            if not isinstance(error, Unavailable) or time.monotonic() + pause > end:
                raise error
            if self._closed.wait(pause):
                return
            pause = min(2 * pause, LONGEST_PAUSE)
            self._link = _Link(self)
            try:
                self._link.register()
            except Unavailable as again:
                error = again
            else:
                return


class _Link:
    """One stream."""

    def __init__(self, server: ToolServer) -> None:
        self._server = server
        self._outbox: queue.SimpleQueue[pb.ToolClientMessage | None] = queue.SimpleQueue()
        self._running: dict[str, Future[None]] = {}
        self._lock = threading.Lock()
        self._stream = server._stub.ServeTools(self._messages(), metadata=server._metadata)  # noqa: SLF001 - its part

    def register(self) -> None:
        """Register the functions, and wait until they are."""
        server = self._server
        self._outbox.put(registration(server._functions, session=server._session))  # noqa: SLF001
        try:
            told = from_worker(next(self._stream))
        except grpc.RpcError as error:
            self.cut()
            raise from_rpc(error) from error
        assert isinstance(told, ToolsRegistered), "nothing is called before it is registered"

    def serve(self, pool: ThreadPoolExecutor) -> None:
        """Answer calls until the stream ends."""
        try:
            for message in self._stream:
                match from_worker(message):
                    case ToolCall() as call:
                        with self._lock:
                            self._running[call.id] = pool.submit(self._answer, call)
                    case ToolCallCancelled(id=call_id):
                        with self._lock:
                            running = self._running.pop(call_id, None)
                        if running is not None:
                            running.cancel()
                    case ToolsRegistered():
                        pass
        finally:
            self._outbox.put(None)
        raise _Ended

    def cut(self) -> None:
        """End the stream."""
        self._outbox.put(None)
        self._stream.cancel()

    def _messages(self) -> Iterator[pb.ToolClientMessage]:
        while (message := self._outbox.get()) is not None:
            yield message

    def _answer(self, call: ToolCall) -> None:
        try:
            result = self._server._functions[call.tool].call(call.arguments)  # noqa: SLF001
            if inspect.iscoroutine(result):
                result = asyncio.run(result)
            message = answer(call, result)
        except Exception as error:  # noqa: BLE001 - the model reads what a tool raises
            message = failure(call, error)
        with self._lock:
            wanted = self._running.pop(call.id, None) is not None
        if wanted:
            self._outbox.put(message)


class _Ended(grpc.RpcError):  # type: ignore[misc, unused-ignore]
    """The worker ended the stream in order, as it does when it stops: it may come back."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return "the worker stopped serving"

    def trailing_metadata(self) -> tuple[()]:
        return ()
