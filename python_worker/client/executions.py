"""Running programs: the calls, which the client and its asyncio twin both make."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import Message

from python_worker.client import calls
from python_worker.client.arguments import carried, deadline_of
from python_worker.client.errors import from_message, from_rpc
from python_worker.client.order import Order, taking
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire import executions as wire
from python_worker.wire.durations import timestamp
from python_worker.wire.owner import REFRESH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from datetime import datetime

    from python_worker.client.owner import Ownership
    from python_worker.domain.adapter import AdapterInfo
    from python_worker.domain.errors import WorkerError
    from python_worker.domain.execution import Execution, ExecutionStatus
    from python_worker.domain.execution_event import ExecutionEvent


def execute(order: Order) -> calls.Call[Execution]:
    """Run a program."""
    return calls.Call(
        method="Execute",
        request=order.request(),
        read=wire.execution_from_wire,
        deadline=None if order.timeout is None else order.patience(0.0),
        owned=True,
    )


def refresh(order: Order) -> calls.Call[Execution]:
    """Run a program, with its cassette recorded anew beside what is there."""
    return replace(execute(order), owned=False, metadata=((REFRESH, "true"),))


@carried
def cancel(execution_id: str) -> calls.Call[Execution]:
    """Stop an execution, whoever started it; the execution as it ended."""
    request = pb.CancelExecutionRequest(execution_id=execution_id)
    return calls.Call(method="CancelExecution", request=request, read=wire.execution_from_wire)


@carried
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

    @carried
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


@carried
def batch_request(orders: Sequence[Order], parallel: int) -> pb.ExecuteBatchRequest:
    """The request for a batch."""
    return pb.ExecuteBatchRequest(requests=[each.request() for each in orders], parallel=parallel)


def read_result(result: pb.BatchResult, owned: Ownership) -> tuple[int, Execution | WorkerError]:
    """One result of a batch, with its place."""
    if result.HasField("error"):
        return result.index, owned.noted(from_message(result.error))
    return result.index, wire.execution_from_wire(result.execution)


class ExecutionMethods(calls.Runner):
    """The part of the client that runs programs."""

    _stub: Any
    _owned: Ownership
    _deadline: float

    cancel = calls.ran(cancel)
    get_execution = calls.ran(get_execution)
    adapters = calls.ran(adapters)

    @taking(Order)
    def execute(self, order: Order) -> Execution:
        """Run a program, and wait for its end; the arguments are those of an ``Order``.

        Returns:
            The execution, succeeded, with its outputs and its trail.
        """
        return self.run(execute(order))

    @taking(Order)
    def refresh(self, order: Order) -> Execution:
        """Run a program live, and record what is answered beside its cassette, as ``NAME.new.yaml``.

        The arguments are those of an ``Order``. ``lmtest accept`` puts it in the cassette's place.

        Returns:
            The execution, succeeded.
        """
        return self.run(refresh(order))

    @taking(Order)
    def stream(self, order: Order) -> Iterator[ExecutionEvent]:
        """Run a program and hear it: that it started, tokens, what it does, and at last the execution.

        Leaving the iteration cancels the run. The arguments are those of an ``Order``.
        """
        call = self._stub.ExecuteStream(
            order.request(), timeout=order.patience(self._deadline), metadata=self._owned.of_call()
        )
        return _heard(call, wire.event_from_wire, self._owned)

    def batch(
        self, orders: Sequence[Order], *, parallel: int = 0, deadline: float | None = None
    ) -> Iterator[tuple[int, Execution | WorkerError]]:
        """Run many programs, some at once; each as it ends, with its place. Leaving the iteration cancels the rest.

        Args:
            orders: At most 1,000.
            parallel: How many at once; as many as the worker has threads when 0.
            deadline: Seconds for all of them; None is no limit beside their own.
        """
        patience = None if deadline is None else deadline_of(deadline)
        call = self._stub.ExecuteBatch(
            batch_request(orders, parallel), timeout=patience, metadata=self._owned.of_call()
        )
        return _heard(call, functools.partial(read_result, owned=self._owned), self._owned)

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
    _owned: Ownership
    _deadline: float

    cancel = calls.awaited(cancel)
    get_execution = calls.awaited(get_execution)
    adapters = calls.awaited(adapters)

    @taking(Order)
    async def execute(self, order: Order) -> Execution:
        """Run a program, and wait for its end."""
        return await self.run(execute(order))

    @taking(Order)
    async def refresh(self, order: Order) -> Execution:
        """Run a program live, and record what is answered beside its cassette."""
        return await self.run(refresh(order))

    @taking(Order)
    async def stream(self, order: Order) -> AsyncIterator[ExecutionEvent]:
        """Run a program and hear it."""
        call = self._stub.ExecuteStream(
            order.request(), timeout=order.patience(self._deadline), metadata=self._owned.of_call()
        )
        async for event in _heard_async(call, self._owned):
            yield wire.event_from_wire(event)

    async def batch(
        self, orders: Sequence[Order], *, parallel: int = 0, deadline: float | None = None
    ) -> AsyncIterator[tuple[int, Execution | WorkerError]]:
        """Run many programs, some at once."""
        patience = None if deadline is None else deadline_of(deadline)
        call = self._stub.ExecuteBatch(
            batch_request(orders, parallel), timeout=patience, metadata=self._owned.of_call()
        )
        async for result in _heard_async(call, self._owned):
            yield read_result(result, self._owned)

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


def _heard(call: Any, read: Any, owned: Ownership) -> Iterator[Any]:
    try:
        for message in call:
            yield read(message)
    except grpc.RpcError as error:
        raise owned.noted(from_rpc(error)) from error
    finally:
        call.cancel()  # where the caller has left; an ended call takes no notice


async def _heard_async(call: Any, owned: Ownership) -> AsyncIterator[Any]:
    try:
        # Not by iteration: a stream that breaks ends an iteration as if it were over.
        while isinstance(message := await call.read(), Message):
            yield message
    except grpc.RpcError as error:
        raise owned.noted(from_rpc(error)) from error
    finally:
        call.cancel()
