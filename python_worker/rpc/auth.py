"""The interceptor that lets a call through only where its token opens what the call is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

from python_worker.domain.access import CALLER, Grant, Tokens, denied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OURS = "/python_worker.v1."
_HEALTH = "/grpc.health.v1.Health/"
_TOOLS = "ServeTools"

# What a token for some sessions opens, by method. All others need a session that it opens, named by the request.
_SHARED = {"GetSignature", "ListSignatures", "GetProgram", "ListPrograms", "ListAdapters"}
"""Open without a session too: they tell the worker's own then, which everybody may read and run."""
_SESSION_FIELD = {"CreateSession": "id"}

_BY_EXECUTION = {"GetExecution", "CancelExecution"}
"""About the session of an execution, which is known when it is found: the method itself asks the caller's grant."""

_BY_TEST = {"CloseCassette"}
"""About a test, which only its own token can have named: the method itself asks if the token may name one."""


class AuthInterceptor(grpc.ServerInterceptor):  # type: ignore[type-arg] # only the stubs are generic
    """Checks the token of every call but those of the health service; raises inside the handler it wraps.

    Args:
        tokens: Who may do what.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wrap the handler."""
        handler = continuation(handler_call_details)
        path = handler_call_details.method
        if handler is None or path.startswith(_HEALTH):
            return handler
        metadata = dict(handler_call_details.invocation_metadata or ())
        said = metadata.get("authorization")
        method = path.rpartition("/")[2] if path.startswith(_OURS) else ""

        def check(request: Any) -> None:
            grant = self._tokens.grant(str(said) if said else None)
            _check(grant, method, request)
            CALLER.set(grant)  # every call of this server's sets it anew

        coding = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(_after(check, handler.unary_unary), **coding)
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(_after(check, handler.unary_stream), **coding)
        if method == _TOOLS and handler.stream_stream:

            def let_in() -> Grant:
                return self._tokens.grant(str(said) if said else None)

            return grpc.stream_stream_rpc_method_handler(_each(let_in, handler.stream_stream), **coding)
        return grpc.unary_unary_rpc_method_handler(_refuse)  # reflection is a stream both ways, and tells the contract


def _after(check: Callable[[Any], None], behaviour: Callable[..., Any]) -> Callable[..., Any]:
    def checked(request: Any, context: grpc.ServicerContext) -> Any:
        check(request)
        return behaviour(request, context)

    return checked


def _each(let_in: Callable[[], Grant], behaviour: Callable[..., Any]) -> Callable[..., Any]:
    """Check the token when the stream begins, and each session that tools are served to."""

    def checked(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        grant = let_in()

        def opened(request: Any) -> Any:
            if request.HasField("register"):
                grant.check_session(request.register.session)
            return request

        return behaviour(map(opened, requests), context)

    return checked


def _check(grant: Grant, method: str, request: Any) -> None:
    if grant.opens_all or method in _BY_EXECUTION | _BY_TEST:
        return
    if method == "ExecuteBatch":
        for each in request.requests:
            _check(grant, "Execute", each)
        return
    field = _SESSION_FIELD.get(method, "session")
    session = getattr(request, field, "")
    if session or method == "CreateSession":
        grant.check_session(session)
    elif method not in _SHARED:
        raise denied(
            f"the token of {grant.name!r} opens some sessions only, and {method} without one is about the whole worker"
        )


def _refuse(_request: Any, context: grpc.ServicerContext) -> Any:
    context.abort(grpc.StatusCode.PERMISSION_DENIED, "reflection is off where tokens are asked for.")
