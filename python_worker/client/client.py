"""The client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

import grpc

from python_worker.client import calls
from python_worker.client.channel import OPTIONS, bearer
from python_worker.client.errors import from_rpc
from python_worker.client.programs import ProgramMethods
from python_worker.client.session import RemoteSession
from python_worker.client.tools import ToolMethods
from python_worker.v1 import worker_pb2 as pb
from python_worker.v1.worker_pb2_grpc import StateStub, WorkerStub
from python_worker.wire import records
from python_worker.wire.durations import duration
from python_worker.wire.programs import actions_to_wire
from python_worker.wire.values import fields_to_wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from python_worker.domain.action import Action
    from python_worker.domain.execution import Execution
    from python_worker.domain.session import Session, SessionLM
    from python_worker.domain.value import Fields

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Answer = TypeVar("_Answer")

# What a reply may take on its way, beyond the time an execution was given.
_WAY = 5.0


def connect(
    target: str,
    *,
    deadline: float = 60.0,
    token: str | None = None,
    credentials: grpc.ChannelCredentials | None = None,
) -> Client:
    """A client of the worker at ``host:port``; it connects with the first call.

    Args:
        target: Such as ``127.0.0.1:50051``.
        deadline: Seconds that a call may take.
        token: What the worker gave out for whom it lets in, or None.
        credentials: ``grpc.ssl_channel_credentials(…)`` for a worker with TLS; None speaks in the clear.
    """
    if credentials is None:
        return Client(grpc.insecure_channel(target, options=OPTIONS), deadline=deadline, token=token)
    return Client(grpc.secure_channel(target, credentials, options=OPTIONS), deadline=deadline, token=token)


class Client(ProgramMethods, ToolMethods):
    """Calls a worker. Threads may share one. Every method raises ``WorkerError`` with the worker's own reason."""

    def __init__(self, channel: grpc.Channel, *, deadline: float, token: str | None = None) -> None:
        self._channel = channel
        self._metadata = bearer(token)
        self._deadline = deadline
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
        self._channel.close()

    def execute(
        self,
        program: str,
        inputs: Fields,
        *,
        timeout: float | None = None,
        session: str = "",
        actions: Sequence[Action] = (),
        version: int = 0,
    ) -> Execution:
        """Run a program, by id or name.

        Args:
            program: Id or name.
            inputs: By field.
            timeout: Seconds the run may take; the worker's own setting when None.
            session: Id of the session whose language model answers, and whose programs are meant; the worker's own
                where empty.
            actions: Run around it, after those of the program.
            version: Of the program; the newest where 0.

        Returns:
            The execution, succeeded, with its outputs and its trail.
        """
        request = pb.ExecuteRequest(
            program=program,
            inputs=fields_to_wire(inputs),
            timeout=None if timeout is None else duration(timeout),
            session=session,
            actions=actions_to_wire(actions),
            version=version,
        )
        deadline = self._deadline if timeout is None else timeout + _WAY
        return records.execution_from_wire(self._call(self._stub.Execute, request, deadline=deadline))

    def get_execution(self, execution_id: str) -> Execution:
        """The execution with its trail, however it ended."""
        request = pb.GetExecutionRequest(execution_id=execution_id)
        return records.execution_from_wire(self._call(self._stub.GetExecution, request))

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
            lm: Who answers its executions. Likewise.
            create: Whether it is made where it is not there.
            cache_ttl: Seconds that a value which was read may be served again without a call, unless it is changed;
                None to ask the worker each time.

        Raises:
            NotFound: It is not there, and was not to be made.
        """
        made = (
            calls.create_session(session_id, ttl=ttl, metadata=metadata, lm=lm, or_get=True)
            if create
            else calls.get_session(session_id)
        )
        return RemoteSession(self, self.run(made).id, cache_ttl=cache_ttl)

    def sessions(self) -> Iterator[Session]:
        """All sessions of the worker, by id."""
        token = ""
        while True:
            page, token = self.run(calls.list_sessions(token))
            yield from page
            if not token:
                return

    def run(self, call: calls.Call[_Answer]) -> _Answer:
        """Run a call, of either service."""
        return call.read(self._call(self._methods[call.method], call.request))

    def open_watch(self, request: pb.WatchRequest) -> Any:
        """Open a stream of changes, which lasts until one side ends it."""
        return self._state.Watch(request, metadata=self._metadata)

    def _call(
        self,
        method: grpc.UnaryUnaryMultiCallable[_Request, _Response] | Any,
        request: _Request,
        *,
        deadline: float | None = None,
    ) -> _Response:
        try:
            response: _Response = method(request, timeout=deadline or self._deadline, metadata=self._metadata)
        except grpc.RpcError as error:
            raise from_rpc(error) from error
        return response
