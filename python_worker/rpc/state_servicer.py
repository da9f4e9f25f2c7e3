"""The methods of sessions, variables and watching."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_worker.domain.errors import WorkerError
from python_worker.rpc.pages import page_size
from python_worker.state import Setting
from python_worker.v1 import worker_pb2 as pb
from python_worker.v1 import worker_pb2_grpc
from python_worker.wire import state as wire
from python_worker.wire.durations import seconds
from python_worker.wire.errors import to_detail
from python_worker.wire.values import from_wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    import grpc

    from python_worker.domain.session import Session
    from python_worker.domain.value import Value
    from python_worker.state import Hub, SessionService, VariableService, Watcher


class StateServicer(worker_pb2_grpc.StateServicer):
    """``python_worker.v1.State``. What its methods raise, the interceptor ends the call with.

    An open stream holds a thread of the server's: the hub's cap on watchers is what the server has threads for.

    Args:
        sessions: What may be done with sessions.
        variables: What may be done with variables.
        hub: Tells changes.
    """

    def __init__(self, *, sessions: SessionService, variables: VariableService, hub: Hub) -> None:
        self._sessions = sessions
        self._variables = variables
        self._hub = hub

    def CreateSession(self, request: pb.CreateSessionRequest, context: grpc.ServicerContext) -> pb.Session:  # noqa: N802, ARG002 - the contract's name and gRPC's signature, as all below
        """Make a session."""
        session = self._sessions.create(
            request.id,
            ttl=seconds(request.ttl) if request.HasField("ttl") else None,
            metadata=dict(request.metadata),
            lm=wire.lm_from_wire(request.lm),
            or_get=request.or_get,
        )
        return self._session(session)

    def GetSession(self, request: pb.GetSessionRequest, context: grpc.ServicerContext) -> pb.Session:  # noqa: N802, ARG002
        """Tell a session."""
        return self._session(self._sessions.get(request.session))

    def TouchSession(self, request: pb.TouchSessionRequest, context: grpc.ServicerContext) -> pb.Session:  # noqa: N802, ARG002
        """Let a session live on."""
        return self._session(self._sessions.touch(request.session))

    def EndSession(self, request: pb.EndSessionRequest, context: grpc.ServicerContext) -> pb.EndSessionResponse:  # noqa: N802, ARG002
        """Take a session away."""
        self._sessions.end(request.session)
        return pb.EndSessionResponse()

    def ListSessions(self, request: pb.ListSessionsRequest, context: grpc.ServicerContext) -> pb.ListSessionsResponse:  # noqa: N802, ARG002
        """Tell a page of sessions."""
        found, token = self._sessions.list(after=request.page_token, most=page_size(request.page_size))
        return pb.ListSessionsResponse(sessions=map(self._session, found), next_page_token=token)

    def RegisterVariable(self, request: pb.RegisterVariableRequest, context: grpc.ServicerContext) -> pb.Variable:  # noqa: N802, ARG002
        """Make a variable."""
        variable = self._variables.register(
            request.session,
            request.name,
            _value(request, "value"),
            type_text=request.type,
            metadata=dict(request.metadata),
        )
        return wire.variable_to_wire(variable)

    def GetVariable(self, request: pb.GetVariableRequest, context: grpc.ServicerContext) -> pb.Variable:  # noqa: N802, ARG002
        """Tell a variable."""
        return wire.variable_to_wire(self._variables.get(request.session, request.variable))

    def SetVariable(self, request: pb.SetVariableRequest, context: grpc.ServicerContext) -> pb.Variable:  # noqa: N802, ARG002
        """Give a variable a value."""
        return wire.variable_to_wire(self._variables.set(request.session, _setting(request)))

    def IncrementVariable(self, request: pb.IncrementVariableRequest, context: grpc.ServicerContext) -> pb.Variable:  # noqa: N802, ARG002
        """Add to a number."""
        by = _value(request, "by")
        return wire.variable_to_wire(
            self._variables.increment(request.session, request.variable, by, reason=request.reason)
        )

    def AppendVariable(self, request: pb.AppendVariableRequest, context: grpc.ServicerContext) -> pb.Variable:  # noqa: N802, ARG002
        """Append to a list."""
        items = [from_wire(item, f"items[{index}]") for index, item in enumerate(request.items)]
        return wire.variable_to_wire(
            self._variables.append(request.session, request.variable, items, reason=request.reason)
        )

    def RollBackVariable(self, request: pb.RollBackVariableRequest, context: grpc.ServicerContext) -> pb.Variable:  # noqa: N802, ARG002
        """Give a variable the value it had."""
        variable = self._variables.roll_back(
            request.session,
            request.variable,
            request.version,
            expected_version=_expected(request),
            reason=request.reason,
        )
        return wire.variable_to_wire(variable)

    def DeleteVariable(  # noqa: N802
        self,
        request: pb.DeleteVariableRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> pb.DeleteVariableResponse:
        """Take a variable away."""
        position = self._variables.delete(
            request.session, request.variable, expected_version=_expected(request), reason=request.reason
        )
        return pb.DeleteVariableResponse(position=position)

    def ListVariables(  # noqa: N802
        self,
        request: pb.ListVariablesRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> pb.ListVariablesResponse:
        """Tell a page of variables."""
        found, token = self._variables.list(
            request.session,
            pattern=request.pattern,
            after=request.page_token,
            most=page_size(request.page_size),
        )
        return pb.ListVariablesResponse(variables=map(wire.variable_to_wire, found), next_page_token=token)

    def GetHistory(self, request: pb.GetHistoryRequest, context: grpc.ServicerContext) -> pb.GetHistoryResponse:  # noqa: N802, ARG002
        """Tell a variable's changes."""
        kept = self._variables.history(request.session, request.variable)
        return pb.GetHistoryResponse(changes=map(wire.change_to_wire, kept))

    def GetVariables(self, request: pb.GetVariablesRequest, context: grpc.ServicerContext) -> pb.GetVariablesResponse:  # noqa: N802, ARG002
        """Tell many variables."""
        found, missing = self._variables.get_many(request.session, request.variables)
        return pb.GetVariablesResponse(variables=map(wire.variable_to_wire, found), missing=missing)

    def SetVariables(self, request: pb.SetVariablesRequest, context: grpc.ServicerContext) -> pb.SetVariablesResponse:  # noqa: N802, ARG002
        """Give many variables their values."""
        settings = [_setting(item, f"items[{index}].") for index, item in enumerate(request.items)]
        results = self._variables.set_many(request.session, settings, atomic=request.atomic)
        result = pb.SetVariablesResponse.Result
        return pb.SetVariablesResponse(
            results=[
                result(error=to_detail(each))
                if isinstance(each, WorkerError)
                else result(variable=wire.variable_to_wire(each))
                for each in results
            ]
        )

    def Watch(self, request: pb.WatchRequest, context: grpc.ServicerContext) -> Iterator[pb.WatchResponse]:  # noqa: N802
        """Tell changes until one side ends it."""
        watcher = self._hub.watch(
            request.session,
            request.patterns,
            include_initial=request.include_initial,
            after=request.after if request.HasField("after") else None,
        )
        try:
            if context.add_callback(lambda: self._hub.leave(request.session, watcher)):
                yield _told(watcher, timeout=0)
                while (response := _told(watcher)).changes:
                    yield response
        finally:
            self._hub.leave(request.session, watcher)

    def _session(self, session: Session) -> pb.Session:
        return wire.session_to_wire(session, watchers=self._hub.count(session.id))


def _told(watcher: Watcher, *, timeout: float | None = None) -> pb.WatchResponse:
    changes = watcher.take(timeout)
    return pb.WatchResponse(changes=map(wire.change_to_wire, changes), position=watcher.position)


def _setting(request: pb.SetVariableRequest | pb.SetVariablesRequest.Item, where: str = "") -> Setting:
    return Setting(
        variable=request.variable,
        value=_value(request, "value", where),
        expected_version=_expected(request),
        metadata=dict(request.metadata),
        reason=request.reason,
        register=request.register,
    )


def _value(
    request: pb.RegisterVariableRequest
    | pb.SetVariableRequest
    | pb.SetVariablesRequest.Item
    | pb.IncrementVariableRequest,
    field: str,
    where: str = "",
) -> Value:
    return from_wire(getattr(request, field), where + field)


def _expected(
    request: pb.SetVariableRequest
    | pb.SetVariablesRequest.Item
    | pb.RollBackVariableRequest
    | pb.DeleteVariableRequest,
) -> int | None:
    return request.expected_version if request.HasField("expected_version") else None
