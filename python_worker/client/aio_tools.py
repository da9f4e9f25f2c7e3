"""Serving tools with asyncio: functions and coroutine functions that the worker's programs call."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from typing import TYPE_CHECKING, Any

import grpc

from python_worker.client.errors import Unavailable, from_rpc
from python_worker.client.tool_functions import ServedFunction, answer, failure, registration, served
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

        Coroutine functions run in the event loop, others in threads. A stream that breaks is told when the block ends.
        """
        functions = served(tools, timeout=timeout)
        stub: Any = WorkerStub(self._channel)
        stream = stub.ServeTools(metadata=self._metadata)
        link = _Link(stream, functions)
        try:
            await link.register(session)
            serving = asyncio.create_task(link.serve())
            try:
                yield
            finally:
                if not serving.done():
                    serving.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await serving
        finally:
            stream.cancel()


class _Link:
    """One stream."""

    def __init__(self, stream: Any, functions: Mapping[str, ServedFunction]) -> None:
        self._stream = stream
        self._functions = functions
        self._writing = asyncio.Lock()
        self._running: dict[str, asyncio.Task[None]] = {}

    async def register(self, session: str) -> None:
        """Register the functions, and wait until they are."""
        with contextlib.suppress(asyncio.InvalidStateError):  # it has ended already; reading says why
            await self._stream.write(registration(self._functions, session=session))
        try:
            told = await self._stream.read()
        except grpc.RpcError as error:
            raise from_rpc(error) from error
        if not isinstance(told, pb.ToolWorkerMessage):  # the end
            raise Unavailable("the worker stopped serving.", reason=Reason.UNAVAILABLE, retryable=True)

    async def serve(self) -> None:
        """Answer calls until the stream ends."""
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
