"""Serving tools with asyncio: functions and coroutine functions that the worker's programs call."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from typing import TYPE_CHECKING, Any

import grpc

from python_worker.client.errors import Unavailable, from_rpc
from python_worker.client.tool_functions import ServedFunction, answer, failure, registration, served
from python_worker.client.watching import FIRST_PAUSE, LONGEST_PAUSE, PATIENCE
from python_worker.domain.errors import Reason
from python_worker.domain.tool import ToolCall, ToolCallCancelled
from python_worker.v1 import worker_pb2 as pb
from python_worker.v1.worker_pb2_grpc import WorkerStub
from python_worker.wire.tools import from_worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping


class AsyncToolMethods:
    """The part of the client that serves tools."""

    _channel: grpc.aio.Channel
    _metadata: Any

    @contextlib.asynccontextmanager
    async def serve_tools(
        self,
        tools: Mapping[str, Callable[..., Any]] | Iterable[Callable[..., Any]],
        *,
        session: str = "",
        timeout: float | None = None,  # noqa: ASYNC109 - of a call of a tool, and not of this one
    ) -> AsyncIterator[None]:
        """Serve functions until the block ends; arguments and errors are those of ``Client.serve_tools``.

        Coroutine functions run in the event loop, others in threads.
        """
        server = _Server(WorkerStub(self._channel), self._metadata, served(tools, timeout=timeout), session=session)
        await server.connect()
        serving = asyncio.create_task(server.serve())
        try:
            yield
        finally:
            server.close()
            if not serving.done():
                serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving


class _Server:
    """Serves until it is closed; where the worker goes away and comes back, it is served again."""

    def __init__(self, stub: Any, metadata: Any, functions: Mapping[str, ServedFunction], *, session: str) -> None:
        self._stub, self._metadata = stub, metadata
        self._functions, self._session = functions, session
        self._link: _Link | None = None

    async def connect(self) -> None:
        """Open a stream, and register the functions."""
        self.close()
        self._link = _Link(self._stub.ServeTools(metadata=self._metadata), self._functions)
        try:
            await self._link.register(self._session)
        except BaseException:
            self.close()
            raise

    async def serve(self) -> None:
        """Answer calls."""
        while True:
            try:
                assert self._link is not None, "it is connected"
                await self._link.serve()
            except Unavailable as error:
                await self._come_back(error)

    def close(self) -> None:
        """End the stream."""
        if self._link is not None:
            self._link.cut()

    async def _come_back(self, error: Unavailable) -> None:
        end, pause = time.monotonic() + PATIENCE, FIRST_PAUSE
        while True:
            if time.monotonic() + pause > end:
                raise error
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            try:
                await self.connect()
            except Unavailable as again:
                error = again
            else:
                return


class _Link:
    """One stream."""

    def __init__(self, stream: Any, functions: Mapping[str, ServedFunction]) -> None:
        self._stream = stream
        self._functions = functions
        self._writing = asyncio.Lock()
        self._running: dict[str, asyncio.Task[None]] = {}

    def cut(self) -> None:
        """End the stream."""
        self._stream.cancel()

    async def register(self, session: str) -> None:
        """Register the functions, and wait until they are."""
        with contextlib.suppress(asyncio.InvalidStateError):  # it has ended already; reading says why
            await self._stream.write(registration(self._functions, session=session))
        try:
            told = await self._stream.read()
        except grpc.RpcError as error:
            raise from_rpc(error) from error
        if not isinstance(told, pb.ToolWorkerMessage):
            raise _ended()

    async def serve(self) -> None:
        """Answer calls until the stream ends.

        Raises:
            Unavailable: As it does in order, when the worker stops.
        """
        try:
            # Not iterated: gRPC does not let one stream be read in both ways.
            while isinstance(message := await self._stream.read(), pb.ToolWorkerMessage):
                match from_worker(message):
                    case ToolCall() as call:
                        self._running[call.id] = asyncio.create_task(self._answer(call))
                    case ToolCallCancelled(id=call_id):
                        if (running := self._running.pop(call_id, None)) is not None:
                            running.cancel()
                    case _:
                        pass
        except grpc.RpcError as error:
            raise from_rpc(error) from error
        else:
            raise _ended()
        finally:
            for running in self._running.values():
                running.cancel()

    async def _answer(self, call: ToolCall) -> None:
        function = self._functions[call.tool]
        try:
            result = await asyncio.to_thread(function.call, call.arguments)
            message = answer(call, await result if inspect.isawaitable(result) else result)
        except Exception as error:  # noqa: BLE001 - the model reads what a tool raises
            message = failure(call, error)
        if self._running.pop(call.id, None) is not None:
            async with self._writing:
                await self._stream.write(message)


def _ended() -> Unavailable:
    return Unavailable("the worker stopped serving.", reason=Reason.UNAVAILABLE, retryable=True)
