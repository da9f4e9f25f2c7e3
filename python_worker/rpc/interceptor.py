"""The interceptor that ends a call with the status and the detail of what went wrong."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import grpc
from google.protobuf.message import DecodeError

from python_worker.domain.errors import Reason, WorkerError
from python_worker.rpc.status import status_of
from python_worker.wire.errors import TRAILER, check_size, to_trailer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOG = logging.getLogger(__name__)

# Beside the trailer there is little room in the metadata a client takes.
_MOST_CHARACTERS = 300

_OURS = "/python_worker.v1."


class ErrorInterceptor(grpc.ServerInterceptor):  # type: ignore[type-arg] # only the stubs are generic
    """Turns what a handler raises into a status, a message and the detail trailer.

    Args:
        most_bytes: How big a message may be.
    """

    def __init__(self, *, most_bytes: int) -> None:
        self._most_bytes = most_bytes

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
            "request_deserializer": self._read(handler.request_deserializer),
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(self._guarded(handler.unary_unary), **coding)
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(self._guarded_stream(handler.unary_stream), **coding)
        if handler.stream_stream:
            return grpc.stream_stream_rpc_method_handler(self._guarded_both(handler.stream_stream), **coding)
        return handler

    def _guarded(
        self, behaviour: Callable[[Any, grpc.ServicerContext], Any]
    ) -> Callable[[Any, grpc.ServicerContext], Any]:
        def guarded(request: Any, context: grpc.ServicerContext) -> Any:
            with _told_to_the_client(context):
                return self._sendable(behaviour(_readable(request), context))

        return guarded

    def _guarded_stream(
        self, behaviour: Callable[[Any, grpc.ServicerContext], Iterator[Any]]
    ) -> Callable[[Any, grpc.ServicerContext], Iterator[Any]]:
        def guarded(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            with _told_to_the_client(context):
                for response in behaviour(_readable(request), context):
                    yield self._sendable(response)

        return guarded

    def _guarded_both(
        self, behaviour: Callable[[Iterator[Any], grpc.ServicerContext], Iterator[Any]]
    ) -> Callable[[Iterator[Any], grpc.ServicerContext], Iterator[Any]]:
        def guarded(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            with _told_to_the_client(context):
                for response in behaviour(map(_readable, requests), context):
                    yield self._sendable(response)

        return guarded

    def _read(self, deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
        def read(data: bytes) -> Any:
            assert deserialize is not None
            try:
                check_size(len(data), self._most_bytes, "the request has")
                return deserialize(data)
            except DecodeError as error:
                message = "the request does not read as the message that the method takes, in valid UTF-8"
                return _Refused(WorkerError(f"{message}: {error}.", reason=Reason.INVALID_ARGUMENT))
            except WorkerError as error:
                return _Refused(error)

        return read if deserialize else None

    def _sendable(self, response: Any) -> Any:
        check_size(response.ByteSize(), self._most_bytes, "the answer would have")
        return response


class _Refused(NamedTuple):
    """What stands for a request that is not read; gRPC itself would end the call without a detail."""

    error: WorkerError


def _readable(request: Any) -> Any:
    if isinstance(request, _Refused):
        raise request.error
    return request


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
