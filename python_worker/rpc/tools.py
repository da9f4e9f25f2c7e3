"""The method by which clients serve tools."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import grpc

from python_worker.domain.errors import Reason, WorkerError
from python_worker.runtime.tools import ToolBroker, ToolClient, ToolRefused
from python_worker.wire.tools import to_client, tool_from_wire
from python_worker.wire.values import from_wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_worker.v1 import worker_pb2 as pb

_LOG = logging.getLogger(__name__)


class ToolMethods:
    """The part of ``python_worker.v1.Worker`` about tools that clients serve."""

    _tool_broker: ToolBroker

    def ServeTools(  # noqa: N802 - the contract's name
        self, request_iterator: Iterator[pb.ToolClientMessage], context: grpc.ServicerContext
    ) -> Iterator[pb.ToolWorkerMessage]:
        """Call a client's tools until one side ends it. The stream holds two threads: one hears, one tells."""
        client = self._tool_broker.connect()
        try:
            if context.add_callback(client.close):
                threading.Thread(target=_hear, args=(request_iterator, client), name="tool client", daemon=True).start()
                yield from map(to_client, client.messages())
        finally:
            client.close()


def _hear(requests: Iterator[pb.ToolClientMessage], client: ToolClient) -> None:
    error: WorkerError | None = None
    try:
        for request in requests:
            _take(request, client)
    except WorkerError as refused:
        error = refused
    except grpc.RpcError:
        pass  # the stream was cut; who ends it closes the client
    except Exception:  # noqa: BLE001 - logged, and told to the client as what it is
        _LOG.exception("a client's tools failed in a way nobody foresaw")
        error = WorkerError("the worker's log has the traceback.", reason=Reason.INTERNAL)
    client.close(error)


def _take(request: pb.ToolClientMessage, client: ToolClient) -> None:
    match request.WhichOneof("message"):
        case "register":
            client.register(request.register.session, [tool_from_wire(tool) for tool in request.register.tools])
        case "answer" if request.answer.WhichOneof("outcome") == "value":
            client.answer(request.answer.call_id, from_wire(request.answer.value, "answer.value"))
        case "answer":
            client.answer(request.answer.call_id, ToolRefused(request.answer.error or "it gave no answer"))
        case _:
            raise WorkerError(
                "a message with neither register nor answer set, or of a kind this worker does not know.",
                reason=Reason.INVALID_ARGUMENT,
            )
