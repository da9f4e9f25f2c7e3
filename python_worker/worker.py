"""A whole worker in this process: database, programs and server put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_worker.rpc import RpcServer, StateServicer, WorkerServicer
from python_worker.runtime import (
    Actions,
    Catalogue,
    Executor,
    Imports,
    InlineAdapter,
    ToolBroker,
    Tools,
    builtin_actions,
)
from python_worker.state import Hub, SessionPolicy, SessionService, VariableService
from python_worker.store import SqlExecutions, SqlPrograms, SqlSignatures, StateStore
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire.codec import ProtobufCodec
from python_worker.wire.values import fields_to_wire

if TYPE_CHECKING:
    from python_worker.domain.value import Fields
    from python_worker.runtime import LMs
    from python_worker.settings import Settings
    from python_worker.store import Database

# Beyond those that wait for a program: for health, look-ups, and calls whose deadline passes in the queue.
_SPARE_RPC_THREADS = 32


class Worker:
    """Everything between a port and a database.

    Args:
        settings: Checked.
        database: Migrated; the caller closes it.
        lms: Where programs get their language model from.

    Raises:
        WorkerError: ``configuration``: the port cannot be had.
    """

    def __init__(self, settings: Settings, *, database: Database, lms: LMs) -> None:
        signatures, programs, executions = SqlSignatures(database), SqlPrograms(database), SqlExecutions(database)
        self._grace = settings.grace
        self._adapter = InlineAdapter(lms, threads=settings.threads)
        codec = ProtobufCodec(most_bytes=settings.max_value_bytes)
        state = StateStore(database, codec=codec, most_variables=settings.max_variables)
        self._hub = Hub(state.feed, variables=state.variables, most=settings.max_watchers)
        self._tool_broker = ToolBroker(check_session=state.sessions.get, most=settings.max_tool_clients)
        imports = Imports(settings.allow_import)
        servicer = WorkerServicer(
            catalogue=Catalogue(signatures=signatures, programs=programs),
            executor=Executor(
                signatures=signatures,
                programs=programs,
                executions=executions,
                sessions=state.sessions,
                adapter=self._adapter,
                serialize=_serialized_size,
                tools=Tools(broker=self._tool_broker, imports=imports),
                actions=Actions(
                    builtin=builtin_actions(lambda: self._adapter.load), imports=imports, serialize=_serialized_size
                ),
            ),
            executions=executions,
            default_timeout=settings.default_timeout,
            tool_broker=self._tool_broker,
        )
        self._server = RpcServer(
            servicer,
            state=_state_servicer(settings, state, self._hub, lms),
            host=settings.host,
            port=settings.port,
            threads=settings.threads + _SPARE_RPC_THREADS + settings.max_watchers + settings.max_tool_clients,
            most_bytes=settings.max_message_bytes,
            reflection=settings.reflection,
            certificates=settings.certificates,
            tokens=settings.tokens,
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.port

    def start(self) -> None:
        """Take calls."""
        # Here, so that the first client does not wait for it, and ``import python_worker`` stays light.
        import dspy  # noqa: F401

        self._hub.start()
        self._server.start()

    def stop(self) -> bool:
        """Refuse new calls, let those under way end within the grace, and end.

        Returns:
            Whether every program ended; a thread whose model call hangs cannot be ended from outside.
        """
        # Open streams would wait out the grace; those of tools end when no execution may call them any more.
        self._hub.close()
        self._tool_broker.drain()
        self._server.stop(grace=self._grace)
        return self._adapter.close(timeout=1.0)


def _state_servicer(settings: Settings, state: StateStore, hub: Hub, lms: LMs) -> StateServicer:
    policy = SessionPolicy(most=settings.max_sessions, ttl=settings.session_ttl, check_lm=lms.check)
    sessions = SessionService(state.sessions, policy=policy)

    def make_session(session_id: str) -> None:
        sessions.create(session_id, or_get=True)

    variables = VariableService(state.variables, make_session=make_session if settings.implicit_sessions else None)
    return StateServicer(sessions=sessions, variables=variables, hub=hub)


def _serialized_size(outputs: Fields) -> int:
    return pb.Execution(outputs=fields_to_wire(outputs)).ByteSize()
