"""Python functions as tools: what the model is told of them, and how they are called."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pydantic
from pydantic_core import ArgsKwargs, PydanticSerializationError, to_jsonable_python

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.tool import DEFAULT_TIMEOUT, Tool
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire.tools import tool_to_wire
from python_worker.wire.values import to_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from python_worker.domain.tool import ToolCall


@dataclass(frozen=True, kw_only=True)
class ServedFunction:
    """A function that is served.

    Attributes:
        tool: What the model is told of it.
    """

    tool: Tool
    _adapter: pydantic.TypeAdapter[Any]

    def call(self, arguments: Mapping[str, Any]) -> Any:
        """Call it, its arguments converted to the types it is annotated with; a coroutine where it is asynchronous.

        Raises:
            pydantic.ValidationError: They do not fit.
        """
        return self._adapter.validate_python(ArgsKwargs((), dict(arguments)))


def served(functions: Any, *, timeout: float | None) -> dict[str, ServedFunction]:
    """Functions by the names they are served under.

    Args:
        functions: By name, or one after the other under their own names.
        timeout: Seconds one call may take; the worker's own where None.

    Raises:
        WorkerError: ``invalid_argument``: one of them cannot be a tool.

    >>> def search(query: str, most: int = 3) -> list[str]:
    ...     '''Search the web.'''
    ...     return [query] * most
    >>> found = served([search], timeout=None)["search"]
    >>> found.tool.description, found.tool.parameters["properties"]["query"], found.tool.parameters["required"]
    ('Search the web.', {'title': 'Query', 'type': 'string'}, ['query'])
    >>> found.call({"query": "a", "most": 2})
    ['a', 'a']
    """
    named = dict(functions) if hasattr(functions, "items") else {each.__name__: each for each in functions}
    return {name: _served(name, function, timeout) for name, function in named.items()}


def registration(functions: Mapping[str, ServedFunction], *, session: str) -> pb.ToolClientMessage:
    """The message that registers functions."""
    tools = [tool_to_wire(function.tool) for function in functions.values()]
    return pb.ToolClientMessage(register=pb.ToolClientMessage.Register(session=session, tools=tools))


def answer(call: ToolCall, value: Any) -> pb.ToolClientMessage:
    """The message that answers a call with a value: one that the contract has, or that pydantic writes as JSON."""
    try:
        message = to_wire(value, "result")
    except WorkerError as error:
        try:
            message = to_wire(to_jsonable_python(value), "result")
        except (PydanticSerializationError, WorkerError):
            return failure(call, error)
    return pb.ToolClientMessage(answer=pb.ToolClientMessage.Answer(call_id=call.id, value=message))


def failure(call: ToolCall, error: Exception) -> pb.ToolClientMessage:
    """The message that answers a call with what went wrong, for the model to read."""
    told = f"{type(error).__name__}: {error}"
    return pb.ToolClientMessage(answer=pb.ToolClientMessage.Answer(call_id=call.id, error=told))


def _typed(function: Callable[..., Any]) -> Any:
    """The function as pydantic takes it for a type, that of its calls."""
    return function


def _served(name: str, function: Callable[..., Any], timeout: float | None) -> ServedFunction:
    try:
        adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(_typed(function))
        parameters = adapter.json_schema()
    except (pydantic.errors.PydanticUserError, NameError, TypeError) as error:
        raise WorkerError(
            f"{function!r} cannot be a tool: {error}. Annotate its parameters with types that have a JSON Schema.",
            reason=Reason.INVALID_ARGUMENT,
            field="tools",
        ) from error
    tool = Tool(
        name=name,
        description=inspect.getdoc(function) or "",
        parameters=parameters,
        timeout=DEFAULT_TIMEOUT if timeout is None else timeout,
    )
    tool.check()
    return ServedFunction(tool=tool, _adapter=adapter)
