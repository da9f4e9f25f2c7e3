"""The interceptor that ends a call with the status and the detail of what went wrong."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import grpc
from google.protobuf.message import DecodeError

from python_worker.domain.errors import Reason, WorkerError
from python_worker.rpc.status import status_of
from python_worker.wire.errors import TRAILER, to_trailer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOG = logging.getLogger(__name__)

# Beside the trailer there is little room in the metadata a client takes.
_MOST_CHARACTERS = 300

_OURS = "/python_worker.v1."


class ErrorInterceptor(grpc.ServerInterceptor):  # type: ignore[type-arg] # only the stubs are generic
    """Turns what a handler raises into a status, a message and the detail trailer."""

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wrap the handler; the standard services pass as they are."""
        handler = continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(_OURS):
            return handler
        coding = {
            "request_deserializer": _unless_malformed(handler.request_deserializer),
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(_guarded(handler.unary_unary), **coding)
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(_guarded_stream(handler.unary_stream), **coding)
        if handler.stream_stream:
            return grpc.stream_stream_rpc_method_handler(_guarded_both(handler.stream_stream), **coding)
        return handler


def _guarded(behaviour: Callable[[Any, grpc.ServicerContext], Any]) -> Callable[[Any, grpc.ServicerContext], Any]:
    def guarded(request: Any, context: grpc.ServicerContext) -> Any:
        with _told_to_the_client(context):
            _check_read(request)
            return behaviour(request, context)

    return guarded


def _guarded_stream(
    behaviour: Callable[[Any, grpc.ServicerContext], Iterator[Any]],
) -> Callable[[Any, grpc.ServicerContext], Iterator[Any]]:
    def guarded(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        with _told_to_the_client(context):
            _check_read(request)
            yield from behaviour(request, context)

    return guarded


def _guarded_both(
    behaviour: Callable[[Iterator[Any], grpc.ServicerContext], Iterator[Any]],
) -> Callable[[Iterator[Any], grpc.ServicerContext], Iterator[Any]]:
    def guarded(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        with _told_to_the_client(context):
            yield from behaviour(map(_read, requests), context)

    return guarded


def _read(request: Any) -> Any:
    _check_read(request)
    return request


class _Malformed(NamedTuple):
    """What stands for a request that does not read; gRPC itself would end the call as INTERNAL, without a detail."""

    why: str


def _unless_malformed(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    def read(data: bytes) -> Any:
        assert deserialize is not None
        try:
            return deserialize(data)
        except DecodeError as error:
            return _Malformed(str(error))

    return read if deserialize else None


def _check_read(request: Any) -> None:
    if isinstance(request, _Malformed):
        raise WorkerError(
            f"the request does not read as the message that the method takes, in valid UTF-8: {request.why}.",
            reason=Reason.INVALID_ARGUMENT,
        )


@contextmanager
def _told_to_the_client(context: grpc.ServicerContext) -> Iterator[None]:
    try:
        yield
    except WorkerError as error:
        _end(context, error)
    except Exception as error:  # noqa: BLE001 - logged, and told to the client as what it is
        _LOG.exception("a call failed in a way nobody foresaw")
        message = f"{type(error).__name__}: the worker's log has the traceback."
        _end(context, WorkerError(message, reason=Reason.INTERNAL))


def _end(context: grpc.ServicerContext, error: WorkerError) -> NoReturn:
    context.set_trailing_metadata(((TRAILER, to_trailer(error)),))
    context.abort(status_of(error), _short(error.message))


def _short(message: str) -> str:
    return message if len(message) <= _MOST_CHARACTERS else message[:_MOST_CHARACTERS] + "…"
