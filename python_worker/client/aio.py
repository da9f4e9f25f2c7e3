"""The client for asyncio, by the same calls."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Self, TypeVar

import grpc

from python_worker.client import calls
from python_worker.client.aio_tools import AsyncToolMethods
from python_worker.client.arguments import deadline_of
from python_worker.client.channel import MOST_BYTES, OPTIONS, bearer
from python_worker.client.errors import Unavailable, from_rpc
from python_worker.client.executions import AsyncExecutionMethods
from python_worker.client.owner import Ownership
from python_worker.client.programs import AsyncProgramMethods
from python_worker.client.watching import FIRST_PAUSE, LONGEST_PAUSE, PATIENCE, Request
from python_worker.v1 import worker_pb2 as pb
from python_worker.v1.worker_pb2_grpc import StateStub, WorkerStub
from python_worker.wire.errors import check_size

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from types import TracebackType

    from python_worker.domain.errors import WorkerError
    from python_worker.domain.session import Session, SessionLM
    from python_worker.domain.value import Value
    from python_worker.domain.variable import Variable
    from python_worker.domain.watch import Change

_Answer = TypeVar("_Answer")


def connect_async(
    target: str,
    *,
    deadline: float = 60.0,
    token: str | None = None,
    credentials: grpc.ChannelCredentials | None = None,
    max_message_bytes: int = MOST_BYTES,
    as_test: bool = True,
) -> AsyncClient:
    """A client of the worker at ``host:port`` for the running event loop; it connects with the first call.

    Args:
        target: Such as ``127.0.0.1:50051``.
        deadline: Seconds that a call may take.
        token: What the worker gave out for whom it lets in, or None.
        credentials: ``grpc.ssl_channel_credentials(…)`` for a worker with TLS; None speaks in the clear.
        max_message_bytes: How big a request may be; as the worker was started.
        as_test: Whether, inside a test that has a cassette, what its executions play and record is that test's.
    """
    if credentials is None:
        channel = grpc.aio.insecure_channel(target, options=OPTIONS)
    else:
        channel = grpc.aio.secure_channel(target, credentials, options=OPTIONS)
    owned = Ownership(target, bearer(token), credentials=credentials, as_test=as_test)
    return AsyncClient(channel, deadline=deadline, token=token, most_bytes=max_message_bytes, owned=owned)


class AsyncClient(AsyncProgramMethods, AsyncExecutionMethods, AsyncToolMethods):
    """Calls a worker. Every method raises ``WorkerError`` with the worker's own reason."""

    def __init__(
        self, channel: grpc.aio.Channel, *, deadline: float, token: str | None, most_bytes: int, owned: Ownership
    ) -> None:
        self._channel = channel
        self._most_bytes = most_bytes
        self._metadata = bearer(token)
        self._owned = owned
        self._deadline = deadline_of(deadline)
        self._state: Any = StateStub(channel)
        # A stub's methods are its attributes, and no two of the services' have one name.
        self._stub: Any = WorkerStub(channel)
        self._methods: dict[str, Any] = {**vars(self._stub), **vars(self._state)}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls under way end as cancelled."""
        await self._channel.close(None)

    async def session(
        self,
        session_id: str = "",
        *,
        ttl: float | None = None,
        metadata: Mapping[str, str] | None = None,
        lm: SessionLM | None = None,
        create: bool = True,
    ) -> AsyncSession:
        """A session of the worker; the arguments are those of ``Client.session``."""
        made = (
            calls.create_session(session_id, ttl=ttl, metadata=metadata, lm=lm, or_get=True)
            if create
            else calls.get_session(session_id, lm=lm)
        )
        return AsyncSession(self, (await self.run(made)).id)

    async def run(self, call: calls.Call[_Answer]) -> _Answer:
        """Run a call, of either service."""
        check_size(call.request.ByteSize(), self._most_bytes, "the request has")
        try:
            deadline = call.deadline or self._deadline
            metadata = self._owned.of_call() if call.owned else self._metadata
            metadata = (*(metadata or ()), *call.metadata) or None
            response = await self._methods[call.method](call.request, timeout=deadline, metadata=metadata)
        except grpc.RpcError as error:
            raise self._owned.noted(from_rpc(error)) from error
        return call.read(response)

    def open_watch(self, request: pb.WatchRequest) -> Any:
        """Open a stream of changes, which lasts until one side ends it."""
        return self._state.Watch(request, metadata=self._metadata)


class AsyncSession:
    """The variables of one session. Methods and errors are those of ``RemoteSession``, to be awaited.

    Attributes:
        id: The session's.
    """

    def __init__(self, client: AsyncClient, session_id: str) -> None:
        self.id = session_id
        self._client = client

    async def get(self, name: str) -> Any:
        """The value of a variable."""
        return (await self.get_variable(name)).value

    async def get_variable(self, name: str) -> Variable:
        """The variable with its type, version and metadata."""
        return await self._client.run(calls.get(self.id, name))

    async def register(
        self,
        name: str,
        value: Value,
        *,
        type: str = "",  # noqa: A002 - as the contract says
        metadata: Mapping[str, str] | None = None,
    ) -> Variable:
        """Make a variable."""
        return await self._client.run(calls.register(self.id, name, value, type_text=type, metadata=metadata))

    async def set(
        self,
        name: str,
        value: Value,
        *,
        expected_version: int | None = None,
        metadata: Mapping[str, str] | None = None,
        reason: str = "",
        register: bool = True,
    ) -> Variable:
        """Give a variable a value; where it is not there it is registered, unless that is not wanted."""
        call = calls.set_(
            self.id,
            name,
            value,
            expected_version=expected_version,
            metadata=metadata,
            reason=reason,
            register=register,
        )
        return await self._client.run(call)

    async def increment(self, name: str, by: float = 1, *, reason: str = "") -> Variable:
        """Add to a number in one step: no concurrent increment is lost."""
        return await self._client.run(calls.increment(self.id, name, by, reason=reason))

    async def append(self, name: str, *items: Value, reason: str = "") -> Variable:
        """Append items to a list in one step."""
        return await self._client.run(calls.append(self.id, name, items, reason=reason))

    async def roll_back(
        self, name: str, version: int, *, expected_version: int | None = None, reason: str = ""
    ) -> Variable:
        """Give a variable the value it had at an earlier version, as a new version."""
        call = calls.roll_back(self.id, name, version, expected_version=expected_version, reason=reason)
        return await self._client.run(call)

    async def delete(self, name: str, *, expected_version: int | None = None, reason: str = "") -> None:
        """Take a variable away."""
        await self._client.run(calls.delete(self.id, name, expected_version=expected_version, reason=reason))

    def variables(self, pattern: str = "") -> AsyncIterator[Variable]:
        """The variables by name; those of a pattern with ``*`` and ``?``, where it is given."""
        return calls.items_async(self._client, lambda token: calls.list_variables(self.id, pattern, token))

    async def history(self, name: str) -> Sequence[Change]:
        """The changes that are kept of a variable, oldest first."""
        return await self._client.run(calls.history(self.id, name))

    async def get_many(self, names: Sequence[str]) -> dict[str, Value]:
        """The values of those variables there are, by name, in one call."""
        found = await self._client.run(calls.get_many(self.id, names))
        return {variable.name: variable.value for variable in found}

    async def set_many(
        self, values: Mapping[str, Value], *, atomic: bool = True, register: bool = True, reason: str = ""
    ) -> dict[str, Variable | WorkerError]:
        """Give many variables their values in one call."""
        call = calls.set_many(self.id, values, atomic=atomic, register=register, reason=reason)
        return await self._client.run(call)

    async def info(self) -> Session:
        """The session itself."""
        return await self._client.run(calls.get_session(self.id))

    async def touch(self) -> Session:
        """Let it live for another ttl."""
        return await self._client.run(calls.touch_session(self.id))

    async def end(self) -> None:
        """Take it away with its variables."""
        await self._client.run(calls.end_session(self.id))

    def watch(self, *patterns: str, include_initial: bool = False, after: int | None = None) -> AsyncWatching:
        """Watch variables, ``async with session.watch("x") as changes: async for change in changes``.

        The arguments are those of ``RemoteSession.watch``.
        """
        request = Request(self.id, patterns, include_initial=include_initial, after=after)
        return AsyncWatching(self._client, request)


class AsyncWatching:
    """Iterates over changes; inside its block it watches already, and goes on when the worker comes back."""

    def __init__(self, client: AsyncClient, request: Request) -> None:
        self._client = client
        self._request = request
        self._waiting: deque[Change] = deque()
        self._stream: Any = None

    @property
    def position(self) -> int | None:
        """Up to where everything was told: ``after`` of a later watching."""
        return self._request.position

    async def __aenter__(self) -> Self:
        self._stream = self._client.open_watch(self._request.message())
        await self._receive()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stream.cancel()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        while not self._waiting:
            await self._receive()
        return self._waiting.popleft()

    async def _receive(self) -> None:
        end, pause = time.monotonic() + PATIENCE, FIRST_PAUSE
        while True:
            try:
                # Not by iteration: a stream that breaks ends an iteration as if it were over.
                response = await self._stream.read()
                if not isinstance(response, pb.WatchResponse):  # gRPC's word for the end
                    raise StopAsyncIteration
            except grpc.RpcError as error:
                told = from_rpc(error)
                if not isinstance(told, Unavailable) or time.monotonic() + pause > end:
                    raise told from error
            else:
                self._waiting += self._request.read(response)
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            self._stream = self._client.open_watch(self._request.message())
