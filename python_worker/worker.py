"""A whole worker in this process: database, programs and server put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import lmtest
from python_worker.rpc import Admission, RpcServer, StateServicer, WorkerServicer
from python_worker.runtime import (
    Actions,
    Adapters,
    ExecutionService,
    Executor,
    Imports,
    InlineAdapter,
    MockAdapter,
    Modules,
    ProgramCatalogue,
    Repeats,
    Running,
    Shelf,
    SignatureCatalogue,
    ToolBroker,
    Tools,
    builtin_actions,
)
from python_worker.state import Hub, SessionPolicy, SessionService, VariableService
from python_worker.store import (
    ExecutionTrail,
    SqlExecutions,
    SqlPrograms,
    SqlSignatures,
    StateStore,
    Upkeep,
    new_owner,
    presence_on,
)
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire.codec import ProtobufCodec
from python_worker.wire.values import fields_to_wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from python_worker.domain.value import Fields
    from python_worker.runtime import LMs
    from python_worker.settings import Settings
    from python_worker.store import Database

# Beyond those that run, wait, watch or serve tools: for health, look-ups, variables and refusals.
_SPARE_RPC_THREADS = 32


class Worker:
    """Everything between a port and a database.

    Args:
        settings: Checked.
        database: Migrated before ``start``; the caller closes it.
        lms: Where programs get their language model from.

    Raises:
        WorkerError: ``configuration``: the port cannot be had.
    """

    def __init__(self, settings: Settings, *, database: Database, lms: LMs) -> None:
        trail = ExecutionTrail(values=settings.audit_values, redact=lmtest.redact)
        executions = SqlExecutions(database, owner=new_owner(), trail=trail)
        imports = Imports(settings.allow_imports)
        modules = Modules(imports)
        self._grace = settings.grace
        self._lms = lms
        inline = InlineAdapter(lms, modules=modules, threads=settings.threads)
        self._adapters = Adapters([inline, MockAdapter(inline)], order=settings.adapters)
        self._presence, self._running = presence_on(database, executions), Running()
        self._upkeep = Upkeep(database, executions)
        service = ExecutionService(executions, running=self._running, presence=self._presence)
        codec = ProtobufCodec(most_bytes=settings.max_value_bytes)
        state = StateStore(database, codec=codec, most_variables=settings.max_variables)
        self._hub = Hub(state.feed, variables=state.variables, most=settings.max_watchers)
        self._tool_broker = ToolBroker(check_session=state.sessions.get, most=settings.max_tool_clients)
        sessions = _sessions(settings, state, lms)
        actions = Actions(builtin=builtin_actions(lambda: inline.load), imports=imports, serialize=_serialized_size)
        catalogues = _catalogues(
            database, modules=modules, imports=imports, actions=actions, enter=_enter(settings, sessions)
        )
        servicer = WorkerServicer(
            signatures=catalogues.signatures,
            programs=catalogues.programs,
            executor=Executor(
                shelf=catalogues.shelf,
                modules=modules,
                executions=executions,
                sessions=state.sessions,
                adapters=self._adapters,
                running=self._running,
                repeats=Repeats(service),
                tools=Tools(broker=self._tool_broker, imports=imports),
                actions=actions,
                serialize=_serialized_size,
            ),
            executions=service,
            adapters=self._adapters,
            shelf=catalogues.shelf,
            default_timeout=settings.default_timeout,
            threads=settings.threads,
            admission=Admission(threads=settings.threads, most_waiting=settings.max_waiting),
            tool_broker=self._tool_broker,
            lms=lms,
        )
        self._server = _server(settings, servicer, _state_servicer(settings, state, self._hub, sessions))

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.port

    def start(self) -> None:
        """Take calls."""
        # Here, so that the first client does not wait for it, and ``import python_worker`` stays light.
        import dspy  # noqa: F401

        self._presence.start(self._running.cancel)
        self._hub.start()
        self._server.start()
        self._upkeep.start(self._running.find, tell=lambda answers: self._server.tell_health(serving=answers))

    def stop(self) -> bool:
        """Refuse new calls, let those under way end within the grace, and end.

        Returns:
            Whether every program ended; a thread whose model call hangs cannot be ended from outside.
        """
        # Open streams would wait out the grace; those of tools end when no execution may call them any more.
        self._hub.close()
        self._tool_broker.drain()
        self._server.stop(grace=self._grace)
        ended = self._adapters.close(timeout=1.0)
        self._lms.close()
        self._upkeep.close()
        self._presence.close()
        return ended


class _Catalogues(NamedTuple):
    signatures: SignatureCatalogue
    programs: ProgramCatalogue
    shelf: Shelf


def _catalogues(
    database: Database, *, modules: Modules, imports: Imports, actions: Actions, enter: Callable[[str], object]
) -> _Catalogues:
    kept, programs = SqlSignatures(database), SqlPrograms(database)
    shelf = Shelf(signatures=kept, programs=programs)
    signatures = SignatureCatalogue(kept, enter=enter)
    made = ProgramCatalogue(
        programs, shelf=shelf, signatures=signatures, modules=modules, imports=imports, actions=actions, enter=enter
    )
    return _Catalogues(signatures, made, shelf)


def _sessions(settings: Settings, state: StateStore, lms: LMs) -> SessionService:
    policy = SessionPolicy(most=settings.max_sessions, ttl=settings.session_ttl, check_lm=lms.check)
    return SessionService(state.sessions, policy=policy)


def _enter(settings: Settings, sessions: SessionService) -> Callable[[str], object]:
    def enter(session_id: str) -> None:
        if session_id and settings.implicit_sessions:
            sessions.create(session_id, or_get=True)

    return enter


def _state_servicer(settings: Settings, state: StateStore, hub: Hub, sessions: SessionService) -> StateServicer:
    make_session = _enter(settings, sessions) if settings.implicit_sessions else None
    variables = VariableService(state.variables, make_session=make_session)
    return StateServicer(sessions=sessions, variables=variables, hub=hub)


def _server(settings: Settings, servicer: WorkerServicer, state: StateServicer) -> RpcServer:
    return RpcServer(
        servicer,
        state=state,
        host=settings.host,
        port=settings.port,
        threads=sum(
            (
                settings.threads,
                settings.max_waiting,
                settings.max_watchers,
                settings.max_tool_clients,
                _SPARE_RPC_THREADS,
            )
        ),
        most_bytes=settings.max_message_bytes,
        reflection=settings.reflection,
        keepalive=(settings.keepalive, settings.keepalive_timeout),
        certificates=settings.certificates,
        tokens=settings.tokens,
    )


def _serialized_size(outputs: Fields) -> int:
    return pb.Execution(outputs=fields_to_wire(outputs)).ByteSize()
