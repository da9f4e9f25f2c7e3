"""The client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

import grpc

from python_worker.client import calls
from python_worker.client.arguments import deadline_of
from python_worker.client.channel import MOST_BYTES, OPTIONS, bearer
from python_worker.client.errors import from_rpc
from python_worker.client.executions import ExecutionMethods
from python_worker.client.owner import Ownership
from python_worker.client.programs import ProgramMethods
from python_worker.client.session import RemoteSession
from python_worker.client.tools import ToolMethods
from python_worker.v1.worker_pb2_grpc import StateStub, WorkerStub
from python_worker.wire.errors import check_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from python_worker.domain.session import Session, SessionLM
    from python_worker.v1 import worker_pb2 as pb

_Answer = TypeVar("_Answer")


def connect(
    target: str,
    *,
    deadline: float = 60.0,
    token: str | None = None,
    credentials: grpc.ChannelCredentials | None = None,
    max_message_bytes: int = MOST_BYTES,
    as_test: bool = True,
) -> Client:
    """A client of the worker at ``host:port``; it connects with the first call.

    Args:
        target: Such as ``127.0.0.1:50051``.
        deadline: Seconds that a call may take.
        token: What the worker gave out for whom it lets in, or None.
        credentials: ``grpc.ssl_channel_credentials(…)`` for a worker with TLS; None speaks in the clear.
        max_message_bytes: How big a request may be; as the worker was started.
        as_test: Whether, inside a test that has a cassette, what its executions play and record is that test's.
    """
    if credentials is None:
        channel = grpc.insecure_channel(target, options=OPTIONS)
    else:
        channel = grpc.secure_channel(target, credentials, options=OPTIONS)
    owned = Ownership(target, bearer(token), credentials=credentials, as_test=as_test)
    return Client(channel, deadline=deadline, token=token, most_bytes=max_message_bytes, owned=owned)


class Client(ProgramMethods, ExecutionMethods, ToolMethods):
    """Calls a worker. Threads may share one. Every method raises ``WorkerError`` with the worker's own reason."""

    def __init__(
        self, channel: grpc.Channel, *, deadline: float, token: str | None, most_bytes: int, owned: Ownership
    ) -> None:
        self._channel = channel
        self._most_bytes = most_bytes
        self._metadata = bearer(token)
        self._owned = owned
        owned.channel = channel
        self._deadline = deadline_of(deadline)
        self._stub = WorkerStub(channel)
        self._state = StateStub(channel)
        # A stub's methods are its attributes, and no two of the services' have one name.
        self._methods: dict[str, Any] = {**vars(self._stub), **vars(self._state)}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; calls under way end as cancelled."""
        self._owned.channel = None
        self._channel.close()

    def session(
        self,
        session_id: str = "",
        *,
        ttl: float | None = None,
        metadata: Mapping[str, str] | None = None,
        lm: SessionLM | None = None,
        create: bool = True,
        cache_ttl: float | None = None,
    ) -> RemoteSession:
        """A session of the worker, as a mapping of its variables.

        Args:
            session_id: Made up by the worker where empty.
            ttl: Seconds it lives unused; None for the worker's setting, 0 until it is ended. Not for one that is there.
            metadata: Whatever is to be found again with it. Likewise.
            lm: Who answers its executions; one that is there must have the same.
            create: Whether it is made where it is not there.
            cache_ttl: Seconds that a value which was read may be served again without a call, unless it is changed;
                None to ask the worker each time.

        Raises:
            NotFound: It is not there, and was not to be made.
            WorkerError: ``already_exists``: it is there with another ``lm``; or another reason.
        """
        made = (
            calls.create_session(session_id, ttl=ttl, metadata=metadata, lm=lm, or_get=True)
            if create
            else calls.get_session(session_id, lm=lm)
        )
        return RemoteSession(self, self.run(made).id, cache_ttl=cache_ttl)

    def sessions(self) -> Iterator[Session]:
        """All sessions of the worker, by id."""
        return calls.items(self, calls.list_sessions)

    def run(self, call: calls.Call[_Answer]) -> _Answer:
        """Run a call, of either service."""
        check_size(call.request.ByteSize(), self._most_bytes, "the request has")
        try:
            deadline = call.deadline or self._deadline
            metadata = self._owned.of_call() if call.owned else self._metadata
            metadata = (*(metadata or ()), *call.metadata) or None
            response = self._methods[call.method](call.request, timeout=deadline, metadata=metadata)
        except grpc.RpcError as error:
            raise self._owned.noted(from_rpc(error)) from error
        return call.read(response)

    def open_watch(self, request: pb.WatchRequest) -> Any:
        """Open a stream of changes, which lasts until one side ends it."""
        return self._state.Watch(request, metadata=self._metadata)
