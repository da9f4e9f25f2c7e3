"""The calls as values, which the client and its asyncio twin both run; here, those of the state service."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from python_worker.client.arguments import carried
from python_worker.client.errors import from_message
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.session import check_same_lm
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire import state as wire
from python_worker.wire.durations import duration
from python_worker.wire.values import from_wire, to_wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence

    from python_worker.domain.session import Session, SessionLM
    from python_worker.domain.value import Value
    from python_worker.domain.variable import Variable
    from python_worker.domain.watch import Change

_Answer = TypeVar("_Answer")
_Item = TypeVar("_Item")
_P = ParamSpec("_P")
_Method = TypeVar("_Method", bound="Callable[..., Any]")
PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class Call(Generic[_Answer]):
    """One call, and how its response is read.

    Attributes:
        deadline: Seconds it may take, where not those of the client's calls.
        owned: Whether it is the running test's, where one runs.
        metadata: What it has beside that of all calls.
    """

    method: str
    request: Any
    read: Callable[[Any], _Answer]
    deadline: float | None = None
    owned: bool = False
    metadata: tuple[tuple[str, str], ...] = ()


def names(given: Sequence[str], field: str) -> tuple[str, ...]:
    """A list of names; a lone text would be taken for one of letters.

    Raises:
        WorkerError: ``invalid_argument``.
    """
    if isinstance(given, str):
        raise WorkerError(
            f"{field} is a text: give a list of names, such as [{given!r}].",
            reason=Reason.INVALID_ARGUMENT,
            field=field,
        )
    return tuple(given)


class Runner(Protocol):
    """Runs calls."""

    @abstractmethod
    def run(self, call: Call[_Answer]) -> _Answer:
        """Run a call, of either service."""


class AsyncRunner(Protocol):
    """Runs calls on the event loop."""

    @abstractmethod
    async def run(self, call: Call[_Answer]) -> _Answer:
        """Run a call, of either service."""


def ran(make: Callable[_P, Call[_Answer]]) -> Callable[Concatenate[Runner, _P], _Answer]:
    """The method that runs what a function makes."""

    @wraps(make)
    def method(self: Runner, /, *args: _P.args, **options: _P.kwargs) -> _Answer:
        return self.run(make(*args, **options))

    return signed(method, make)


def awaited(make: Callable[_P, Call[_Answer]]) -> Callable[Concatenate[AsyncRunner, _P], Awaitable[_Answer]]:
    """The method that runs what a function makes, to be awaited."""

    @wraps(make)
    async def method(self: AsyncRunner, /, *args: _P.args, **options: _P.kwargs) -> _Answer:
        return await self.run(make(*args, **options))

    return signed(method, make)


def items(runner: Runner, page: Callable[[str], Call[tuple[list[_Item], str]]]) -> Iterator[_Item]:
    """All that a list has, page by page.

    Args:
        runner: Runs the calls.
        page: Makes the call for a page, by the token that the page before gave; "" for the first.
    """
    token = ""
    while True:
        found, token = runner.run(page(token))
        yield from found
        if not token:
            return


async def items_async(
    runner: AsyncRunner, page: Callable[[str], Call[tuple[list[_Item], str]]]
) -> AsyncIterator[_Item]:
    """The same, on the event loop."""
    token = ""
    while True:
        found, token = await runner.run(page(token))
        for each in found:
            yield each
        if not token:
            return


def signed(method: _Method, make: Callable[..., Any]) -> _Method:
    """Say for help() and editors that a method takes what a function does, behind itself."""
    signature = inspect.signature(make)
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    parameters = [itself, *signature.parameters.values()]
    method.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return method


@carried
def create_session(
    session_id: str, *, ttl: float | None, metadata: Mapping[str, str] | None, lm: SessionLM | None, or_get: bool
) -> Call[Session]:
    """Make a session."""
    request = pb.CreateSessionRequest(
        id=session_id,
        ttl=None if ttl is None else duration(ttl),
        metadata=metadata,
        lm=wire.lm_to_wire(lm) if lm else None,
        or_get=or_get,
    )
    return Call(method="CreateSession", request=request, read=wire.session_from_wire)


@carried
def get_session(session_id: str, *, lm: SessionLM | None = None) -> Call[Session]:
    """Tell a session, which must have that language model where one is given."""

    def read(message: pb.Session) -> Session:
        session = wire.session_from_wire(message)
        if lm:
            check_same_lm(session, lm)
        return session

    return Call(method="GetSession", request=pb.GetSessionRequest(session=session_id), read=read)


@carried
def touch_session(session_id: str) -> Call[Session]:
    """Let a session live on."""
    return Call(method="TouchSession", request=pb.TouchSessionRequest(session=session_id), read=wire.session_from_wire)


@carried
def end_session(session_id: str) -> Call[None]:
    """Take a session away."""
    return Call(method="EndSession", request=pb.EndSessionRequest(session=session_id), read=nothing)


@carried
def list_sessions(token: str) -> Call[tuple[list[Session], str]]:
    """A page of sessions, with the token of the next."""
    request = pb.ListSessionsRequest(page_size=PAGE, page_token=token)
    return Call(
        method="ListSessions",
        request=request,
        read=lambda page: ([wire.session_from_wire(each) for each in page.sessions], page.next_page_token),
    )


@carried
def register(
    session_id: str, name: str, value: Value, *, type_text: str, metadata: Mapping[str, str] | None
) -> Call[Variable]:
    """Make a variable."""
    request = pb.RegisterVariableRequest(
        session=session_id, name=name, type=type_text, value=to_wire(value, name), metadata=metadata
    )
    return Call(method="RegisterVariable", request=request, read=wire.variable_from_wire)


@carried
def get(session_id: str, key: str) -> Call[Variable]:
    """Tell a variable."""
    request = pb.GetVariableRequest(session=session_id, variable=key)
    return Call(method="GetVariable", request=request, read=wire.variable_from_wire)


@carried
def get_value(session_id: str, key: str) -> Call[Value]:
    """Tell a variable's value."""
    request = pb.GetVariableRequest(session=session_id, variable=key)
    return Call(method="GetVariable", request=request, read=lambda message: from_wire(message.value, message.name))


@carried
def set_(
    session_id: str,
    key: str,
    value: Value,
    *,
    expected_version: int | None = None,
    metadata: Mapping[str, str] | None = None,
    reason: str = "",
    register: bool = True,
) -> Call[Variable]:
    """Give a variable a value."""
    request = pb.SetVariableRequest(
        session=session_id,
        variable=key,
        value=to_wire(value, key),
        expected_version=expected_version,
        metadata=metadata,
        reason=reason,
        register=register,
    )
    return Call(method="SetVariable", request=request, read=wire.variable_from_wire)


@carried
def increment(session_id: str, key: str, by: float, *, reason: str) -> Call[Variable]:
    """Add to a number."""
    request = pb.IncrementVariableRequest(session=session_id, variable=key, by=to_wire(by, "by"), reason=reason)
    return Call(method="IncrementVariable", request=request, read=wire.variable_from_wire)


@carried
def append(session_id: str, key: str, items: Sequence[Value], *, reason: str) -> Call[Variable]:
    """Append to a list."""
    messages = [to_wire(item, f"items[{index}]") for index, item in enumerate(items)]
    request = pb.AppendVariableRequest(session=session_id, variable=key, items=messages, reason=reason)
    return Call(method="AppendVariable", request=request, read=wire.variable_from_wire)


@carried
def roll_back(session_id: str, key: str, version: int, *, expected_version: int | None, reason: str) -> Call[Variable]:
    """Give a variable the value it had."""
    request = pb.RollBackVariableRequest(
        session=session_id, variable=key, version=version, expected_version=expected_version, reason=reason
    )
    return Call(method="RollBackVariable", request=request, read=wire.variable_from_wire)


@carried
def delete(session_id: str, key: str, *, expected_version: int | None, reason: str) -> Call[int]:
    """Take a variable away; the answer is the position of that change."""
    request = pb.DeleteVariableRequest(
        session=session_id, variable=key, expected_version=expected_version, reason=reason
    )
    return Call(method="DeleteVariable", request=request, read=lambda response: int(response.position))


@carried
def list_variables(session_id: str, pattern: str, token: str) -> Call[tuple[list[Variable], str]]:
    """A page of variables, with the token of the next."""
    request = pb.ListVariablesRequest(session=session_id, pattern=pattern, page_size=PAGE, page_token=token)
    return Call(
        method="ListVariables",
        request=request,
        read=lambda page: ([wire.variable_from_wire(each) for each in page.variables], page.next_page_token),
    )


@carried
def history(session_id: str, key: str) -> Call[list[Change]]:
    """Tell a variable's changes."""
    request = pb.GetHistoryRequest(session=session_id, variable=key)
    return Call(
        method="GetHistory",
        request=request,
        read=lambda response: [wire.change_from_wire(each, session=session_id) for each in response.changes],
    )


@carried
def get_many(session_id: str, keys: Sequence[str]) -> Call[list[Variable]]:
    """Tell those variables that there are."""
    request = pb.GetVariablesRequest(session=session_id, variables=keys)
    return Call(
        method="GetVariables",
        request=request,
        read=lambda response: [wire.variable_from_wire(each) for each in response.variables],
    )


@carried
def set_many(
    session_id: str, values: Mapping[str, Value], *, atomic: bool, register: bool, reason: str
) -> Call[dict[str, Variable | WorkerError]]:
    """Give many variables their values; the answer tells of each what became of it."""
    made: dict[str, pb.SetVariablesRequest.Item | WorkerError] = {}
    for key, value in values.items():
        try:
            made[key] = _item(key, value, register=register, reason=reason)
        except WorkerError as error:
            if atomic:
                raise
            made[key] = error
    items = [each for each in made.values() if not isinstance(each, WorkerError)]

    def read(response: pb.SetVariablesResponse) -> dict[str, Variable | WorkerError]:
        told = map(_result, response.results)
        return {key: each if isinstance(each, WorkerError) else next(told) for key, each in made.items()}

    request = pb.SetVariablesRequest(session=session_id, items=items, atomic=atomic)
    return Call(method="SetVariables", request=request, read=read)


@carried
def _item(key: str, value: Value, *, register: bool, reason: str) -> pb.SetVariablesRequest.Item:
    return pb.SetVariablesRequest.Item(variable=key, value=to_wire(value, key), register=register, reason=reason)


def _result(message: pb.SetVariablesResponse.Result) -> Variable | WorkerError:
    if message.HasField("error"):
        return from_message(message.error)
    return wire.variable_from_wire(message.variable)


def nothing(_response: Any) -> None:
    """Read a response that tells nothing."""
