"""Running programs: the calls, which the client and its asyncio twin both make."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import Message

from python_worker.client import calls
from python_worker.client.errors import from_message, from_rpc
from python_worker.domain.ask import LONGEST_TIMEOUT
from python_worker.domain.errors import Reason, WorkerError
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire import executions as wire
from python_worker.wire.durations import duration, timestamp
from python_worker.wire.programs import actions_to_wire
from python_worker.wire.values import fields_to_wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from datetime import datetime

    from python_worker.domain.action import Action
    from python_worker.domain.adapter import AdapterInfo
    from python_worker.domain.execution import Execution, ExecutionStatus
    from python_worker.domain.execution_event import ExecutionEvent
    from python_worker.domain.value import Fields

WAY = 5.0
"""Seconds that a reply may take on its way, beyond the time an execution was given."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a program is run; what is left out is the worker's own.

    Attributes:
        timeout: Seconds the run may take, all attempts together; None is the worker's setting.
        session: Id of the session whose language model answers and whose programs are meant.
        validate_inputs: Whether the signature's types are held to; otherwise DSPy takes them as they are.
        track_metrics: Whether the execution tells what it used.
        idempotency_key: A second run with it, in its session, gets the first one's execution.
        adapters: Where to run, the first that can.
        retries: How often a retryable failure is tried again, 0 to 10.
        actions: Beside those of the program.
        version: Of the program; 0 is the newest.
    """

    timeout: float | None = None
    session: str = ""
    validate_inputs: bool = True
    track_metrics: bool = False
    idempotency_key: str = ""
    adapters: tuple[str, ...] = ()
    retries: int = 0
    actions: tuple[Action, ...] = ()
    version: int = 0


@dataclass(frozen=True, kw_only=True)
class Order:
    """One run of a batch."""

    program: str
    inputs: Fields
    options: Options = Options()


def to_request(program: str, inputs: Fields, options: Options) -> pb.ExecuteRequest:
    """The request for a run.

    Raises:
        WorkerError: ``unserializable``: an input that no message can carry; ``invalid_argument``: a timeout that is no
            number, or adapters that are no list.
    """
    if options.timeout is not None and not math.isfinite(options.timeout):
        told = f"a timeout of {options.timeout} s: give a number of seconds, or None for the worker's own."
        raise WorkerError(told, reason=Reason.INVALID_ARGUMENT, field="timeout")
    return pb.ExecuteRequest(
        program=program,
        inputs=fields_to_wire(inputs),
        timeout=None if options.timeout is None else duration(options.timeout),
        session=options.session,
        validate_inputs=options.validate_inputs,
        track_metrics=options.track_metrics,
        idempotency_key=options.idempotency_key,
        adapters=calls.names(options.adapters, "adapters"),
        retries=options.retries,
        actions=actions_to_wire(options.actions),
        version=options.version,
    )


def patience(options: Options, deadline: float) -> float:
    """Seconds to wait for a run's end, where calls have a deadline."""
    # Within what a worker takes, so that it can say so of any other: gRPC cannot carry every deadline.
    return deadline if options.timeout is None else min(max(options.timeout, 0.0), LONGEST_TIMEOUT) + WAY


def execute(program: str, inputs: Fields, options: Options) -> calls.Call[Execution]:
    """Run a program."""
    return calls.Call(
        method="Execute",
        request=to_request(program, inputs, options),
        read=wire.execution_from_wire,
        deadline=None if options.timeout is None else patience(options, 0.0),
    )


def cancel(execution_id: str) -> calls.Call[Execution]:
    """Stop an execution, whoever started it; the execution as it ended."""
    request = pb.CancelExecutionRequest(execution_id=execution_id)
    return calls.Call(method="CancelExecution", request=request, read=wire.execution_from_wire)


def get_execution(execution_id: str) -> calls.Call[Execution]:
    """The execution with its trail, however it ended."""
    request = pb.GetExecutionRequest(execution_id=execution_id)
    return calls.Call(method="GetExecution", request=request, read=wire.execution_from_wire)


def list_executions(
    *,
    session: str = "",
    program: str = "",
    statuses: Sequence[ExecutionStatus] = (),
    since: datetime | None = None,
    until: datetime | None = None,
) -> Callable[[str], calls.Call[tuple[list[Execution], str]]]:
    """What makes the call for a page of executions, by the token of the page before."""

    def page(token: str) -> calls.Call[tuple[list[Execution], str]]:
        request = pb.ListExecutionsRequest(
            session=session,
            program=program,
            statuses=wire.statuses_to_wire(statuses),
            since=timestamp(since) if since else None,
            until=timestamp(until) if until else None,
            page_size=calls.PAGE,
            page_token=token,
        )
        return calls.Call(method="ListExecutions", request=request, read=_read_page)

    return page


def adapters() -> calls.Call[list[AdapterInfo]]:
    """Where executions can run, in the worker's order."""
    return calls.Call(
        method="ListAdapters",
        request=pb.ListAdaptersRequest(),
        read=lambda told: [wire.adapter_from_wire(each) for each in told.adapters],
    )


def batch_request(orders: Sequence[Order], parallel: int) -> pb.ExecuteBatchRequest:
    """The request for a batch."""
    requests = [to_request(each.program, each.inputs, each.options) for each in orders]
    return pb.ExecuteBatchRequest(requests=requests, parallel=parallel)


def read_result(result: pb.BatchResult) -> tuple[int, Execution | WorkerError]:
    """One result of a batch, with its place."""
    if result.HasField("error"):
        return result.index, from_message(result.error)
    return result.index, wire.execution_from_wire(result.execution)


class ExecutionMethods(calls.Runner):
    """The part of the client that runs programs."""

    _stub: Any
    _metadata: Any
    _deadline: float

    cancel = calls.ran(cancel)
    get_execution = calls.ran(get_execution)
    adapters = calls.ran(adapters)

    def execute(
        self,
        program: str,
        inputs: Fields,
        *,
        timeout: float | None = None,
        session: str = "",
        validate_inputs: bool = True,
        track_metrics: bool = False,
        idempotency_key: str = "",
        adapters: Sequence[str] = (),
        retries: int = 0,
        actions: Sequence[Action] = (),
        version: int = 0,
    ) -> Execution:
        """Run a program, by id or name.

        Args:
            program: Id or name.
            inputs: By field.
            timeout: Seconds the run may take, all attempts together; the worker's own setting when None.
            session: Id of the session whose language model answers; the worker's own where empty.
            validate_inputs: Whether the signature's types are held to; otherwise DSPy takes them as they are.
            track_metrics: Whether the execution tells what it used.
            idempotency_key: A second run with it, in its session, gets the first one's execution.
            adapters: Where to run, the first that can; the worker's own order where empty.
            retries: How often a retryable failure is tried again, 0 to 10.
            actions: Beside those of the program.
            version: Of the program; 0 is the newest.

        Returns:
            The execution, succeeded, with its outputs and its trail.
        """
        options = Options(
            timeout=timeout,
            session=session,
            validate_inputs=validate_inputs,
            track_metrics=track_metrics,
            idempotency_key=idempotency_key,
            adapters=calls.names(adapters, "adapters"),
            retries=retries,
            actions=tuple(actions),
            version=version,
        )
        return self.run(execute(program, inputs, options))

    def stream(self, program: str, inputs: Fields, options: Options | None = None) -> Iterator[ExecutionEvent]:
        """Run a program and hear it: that it started, tokens, what it does, and at last the execution.

        Leaving the iteration cancels the run.

        Args:
            program: Id or name.
            inputs: By field.
            options: How.
        """
        options = options or Options()
        call = self._stub.ExecuteStream(
            to_request(program, inputs, options), timeout=patience(options, self._deadline), metadata=self._metadata
        )
        return _heard(call, wire.event_from_wire)

    def batch(
        self, orders: Sequence[Order], *, parallel: int = 0, deadline: float | None = None
    ) -> Iterator[tuple[int, Execution | WorkerError]]:
        """Run many programs, some at once; each as it ends, with its place. Leaving the iteration cancels the rest.

        Args:
            orders: At most 1,000.
            parallel: How many at once; as many as the worker has threads when 0.
            deadline: Seconds for all of them; None is no limit beside their own.
        """
        call = self._stub.ExecuteBatch(batch_request(orders, parallel), timeout=deadline, metadata=self._metadata)
        return _heard(call, read_result)

    def list_executions(
        self,
        *,
        session: str = "",
        program: str = "",
        statuses: Sequence[ExecutionStatus] = (),
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[Execution]:
        """The executions, the newest first, without their stages.

        Args:
            session: Of which session; of all where empty.
            program: Id or name; of all where empty.
            statuses: Of which; of all where empty.
            since: Started then or later.
            until: Started before.
        """
        page = list_executions(session=session, program=program, statuses=statuses, since=since, until=until)
        return calls.items(self, page)


class AsyncExecutionMethods(calls.AsyncRunner):
    """The part of the asyncio client that runs programs; arguments and errors are those of ``ExecutionMethods``."""

    _stub: Any
    _metadata: Any
    _deadline: float

    cancel = calls.awaited(cancel)
    get_execution = calls.awaited(get_execution)
    adapters = calls.awaited(adapters)

    async def execute(self, program: str, inputs: Fields, options: Options | None = None) -> Execution:
        """Run a program, by id or name."""
        return await self.run(execute(program, inputs, options or Options()))

    async def stream(
        self, program: str, inputs: Fields, options: Options | None = None
    ) -> AsyncIterator[ExecutionEvent]:
        """Run a program and hear it."""
        options = options or Options()
        call = self._stub.ExecuteStream(
            to_request(program, inputs, options), timeout=patience(options, self._deadline), metadata=self._metadata
        )
        async for event in _heard_async(call):
            yield wire.event_from_wire(event)

    async def batch(
        self, orders: Sequence[Order], *, parallel: int = 0, deadline: float | None = None
    ) -> AsyncIterator[tuple[int, Execution | WorkerError]]:
        """Run many programs, some at once."""
        call = self._stub.ExecuteBatch(batch_request(orders, parallel), timeout=deadline, metadata=self._metadata)
        async for result in _heard_async(call):
            yield read_result(result)

    def list_executions(
        self,
        *,
        session: str = "",
        program: str = "",
        statuses: Sequence[ExecutionStatus] = (),
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[Execution]:
        """The executions, the newest first, without their stages."""
        page = list_executions(session=session, program=program, statuses=statuses, since=since, until=until)
        return calls.items_async(self, page)


def _read_page(page: pb.ListExecutionsResponse) -> tuple[list[Execution], str]:
    return [wire.execution_from_wire(each) for each in page.executions], page.next_page_token


def _heard(call: Any, read: Any) -> Iterator[Any]:
    try:
        for message in call:
            yield read(message)
    except grpc.RpcError as error:
        raise from_rpc(error) from error
    finally:
        call.cancel()  # where the caller has left; an ended call takes no notice


async def _heard_async(call: Any) -> AsyncIterator[Any]:
    try:
        # Not by iteration: a stream that breaks ends an iteration as if it were over.
        while isinstance(message := await call.read(), Message):
            yield message
    except grpc.RpcError as error:
        raise from_rpc(error) from error
    finally:
        call.cancel()
