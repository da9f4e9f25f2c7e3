"""What a client that serves tools and the worker tell each other, as messages, both ways."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.tool import DEFAULT_TIMEOUT, ToClient, Tool, ToolCall, ToolCallCancelled, ToolsRegistered
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire.durations import duration, moment, seconds, timestamp
from python_worker.wire.values import fields_from_wire, fields_to_wire

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def tool_to_wire(tool: Tool) -> pb.Tool:
    """A tool."""
    return pb.Tool(
        name=tool.name,
        description=tool.description,
        parameters=json.dumps(tool.parameters),
        timeout=duration(tool.timeout),
    )


def tool_from_wire(message: pb.Tool) -> Tool:
    """A tool.

    Raises:
        WorkerError: ``invalid_argument``: its parameters are no JSON object.
    """
    return Tool(
        name=message.name,
        description=message.description,
        parameters=_parameters(message),
        timeout=seconds(message.timeout) if message.HasField("timeout") else DEFAULT_TIMEOUT,
    )


def to_client(told: ToClient) -> pb.ToolWorkerMessage:
    """What a client is told."""
    match told:
        case ToolsRegistered(tools=tools):
            return pb.ToolWorkerMessage(registered=pb.ToolWorkerMessage.Registered(tools=tools))
        case ToolCallCancelled(id=call_id):
            return pb.ToolWorkerMessage(cancelled=pb.ToolWorkerMessage.Cancelled(call_id=call_id))
        case ToolCall():
            call = pb.ToolWorkerMessage.Call(
                call_id=told.id,
                tool=told.tool,
                arguments=fields_to_wire(told.arguments),
                execution_id=told.execution_id,
                deadline=timestamp(told.deadline),
            )
            return pb.ToolWorkerMessage(call=call)


def from_worker(message: pb.ToolWorkerMessage) -> ToClient:
    """The same, as the client reads it."""
    match message.WhichOneof("message"):
        case "registered":
            return ToolsRegistered(tools=tuple(message.registered.tools))
        case "cancelled":
            return ToolCallCancelled(id=message.cancelled.call_id)
        case "call":
            call = message.call
            return ToolCall(
                id=call.call_id,
                tool=call.tool,
                arguments=fields_from_wire(call.arguments),
                execution_id=call.execution_id,
                deadline=moment(call.deadline),
            )
        case _:
            raise WorkerError("the worker said what this client does not know.", reason=Reason.INVALID_ARGUMENT)


def _parameters(message: pb.Tool) -> Mapping[str, Any]:
    try:
        found = json.loads(message.parameters or "{}")
    except (ValueError, RecursionError) as error:
        raise _no_object(message, str(error)) from error
    if not isinstance(found, dict):
        raise _no_object(message, f"it is a {type(found).__name__}")
    return found


def _no_object(message: pb.Tool, why: str) -> WorkerError:
    return WorkerError(
        f"the parameters of tool {message.name[:80]!r} are no JSON object: {why}.",
        reason=Reason.INVALID_ARGUMENT,
        field="tools.parameters",
    )
