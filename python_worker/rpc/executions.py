"""The methods of executions."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from python_worker.domain.access import CALLER
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.execution import ExecutionQuery
from python_worker.rpc.pages import page_size
from python_worker.runtime.batch import run_batch
from python_worker.runtime.running import cancel
from python_worker.runtime.telling import events_of
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire import executions as wire
from python_worker.wire.durations import moment
from python_worker.wire.errors import to_detail
from python_worker.wire.owner import owner_from_metadata, refresh_from_metadata
from python_worker.wire.reports import report_to_wire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import grpc

    from python_worker.domain.ask import Ask
    from python_worker.domain.execution import Execution
    from python_worker.domain.owner import Owner
    from python_worker.rpc.admission import Admission
    from python_worker.runtime.adapters import Adapters
    from python_worker.runtime.executor import Executor
    from python_worker.runtime.lms import LMs
    from python_worker.runtime.service import ExecutionService
    from python_worker.runtime.shelf import Shelf

_PATIENCE = 30.0
"""Seconds that a cancelling waits for the end, where its call has no deadline."""


class ExecutionMethods:
    """The part of the servicer that runs programs; the servicer says what with."""

    _executor: Executor
    _executions: ExecutionService
    _adapters: Adapters
    _shelf: Shelf
    _default_timeout: float
    _threads: int
    _admission: Admission
    _lms: LMs

    def Execute(self, request: pb.ExecuteRequest, context: grpc.ServicerContext) -> pb.Execution:  # noqa: N802 - the contract's name, as all below
        """Run a program until it ends, or nobody waits for it any more."""
        ask = self._ask(request, context, owner=_owner(context))
        with self._admission.entered():
            return wire.execution_to_wire(self._executor.execute(ask, cancelled=_cancellation(context)))

    def ExecuteStream(  # noqa: N802
        self, request: pb.ExecuteRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ExecutionEvent]:
        """Run a program, telling what its model says while it says it."""
        ask, cancelled = self._ask(request, context, owner=_owner(context)), _cancellation(context)
        with self._admission.entered():
            events = events_of(lambda tell: self._executor.execute(ask, cancelled=cancelled, tell=tell))
            yield from map(wire.event_to_wire, events)

    def ExecuteBatch(  # noqa: N802
        self, request: pb.ExecuteBatchRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.BatchResult]:
        """Run many, some at once."""
        cancelled, owner = _cancellation(context), _owner(context)
        asks = [
            self._ask(each, context, f"requests[{place}].", owner=owner) for place, each in enumerate(request.requests)
        ]
        parallel = min(request.parallel, self._threads) if request.parallel else self._threads

        def execute(ask: Ask) -> Execution:
            # Its own, so that one that is cancelled by its id is cancelled alone.
            mine: Future[None] = Future()
            cancelled.add_done_callback(lambda _: cancel(mine))
            return self._executor.execute(ask, cancelled=mine)

        with self._admission.entered(max(1, min(parallel, len(asks)))):
            for place, result in run_batch(asks, parallel=parallel, execute=execute, cancelled=cancelled):
                yield _batch_result(place, result)

    def CancelExecution(self, request: pb.CancelExecutionRequest, context: grpc.ServicerContext) -> pb.Execution:  # noqa: N802
        """Stop an execution, whoever started it."""
        self._check_open(request.execution_id)
        left = context.time_remaining()
        timeout = _PATIENCE if left is None else min(left, _PATIENCE)
        ended = self._executions.cancel(request.execution_id, timeout=timeout, cancelled=_cancellation(context))
        return wire.execution_to_wire(ended)

    def GetExecution(self, request: pb.GetExecutionRequest, context: grpc.ServicerContext) -> pb.Execution:  # noqa: N802, ARG002 - gRPC's signature, as all below
        """Tell an execution with its trail."""
        return wire.execution_to_wire(self._check_open(request.execution_id))

    def ListExecutions(  # noqa: N802
        self,
        request: pb.ListExecutionsRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> pb.ListExecutionsResponse:
        """Tell a page of executions."""
        found, token = self._executions.list(
            self._query(request), after=request.page_token, most=page_size(request.page_size)
        )
        return pb.ListExecutionsResponse(executions=map(wire.execution_to_wire, found), next_page_token=token)

    def CloseCassette(  # noqa: N802
        self, request: pb.CloseCassetteRequest, context: grpc.ServicerContext
    ) -> pb.CloseCassetteResponse:
        """Save what was recorded for a test, and tell what its executions did."""
        owner = _owner(context)
        if owner is None:
            raise WorkerError(
                "name the test in the metadata lmtest-test, as its executions did.",
                reason=Reason.INVALID_ARGUMENT,
                field="lmtest-test",
            )
        reports = self._lms.close_owned(owner, failed=request.failed, keep_open=request.keep_open)
        return pb.CloseCassetteResponse(reports=map(report_to_wire, reports))

    def ListAdapters(  # noqa: N802
        self,
        request: pb.ListAdaptersRequest,  # noqa: ARG002
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> pb.ListAdaptersResponse:
        """Tell where executions can run."""
        return pb.ListAdaptersResponse(adapters=map(wire.adapter_to_wire, self._adapters.infos))

    def _ask(
        self, request: pb.ExecuteRequest, context: grpc.ServicerContext, where: str = "", *, owner: Owner | None
    ) -> Ask:
        ask = wire.ask_from_wire(
            request,
            default_timeout=self._default_timeout,
            asked_by=CALLER.get().name,
            where=where,
            owner=owner,
            refresh=_refreshes(context),
        )
        ask.check()  # as it was asked for, before the call's own deadline makes it less
        left = context.time_remaining()
        return ask if left is None else replace(ask, timeout=min(ask.timeout, max(left, 0.001)))

    def _query(self, request: pb.ListExecutionsRequest) -> ExecutionQuery:
        return ExecutionQuery(
            session=request.session or None,
            program_id=self._program_id(request.program, request.session) if request.program else None,
            statuses=wire.statuses_from_wire(request.statuses),
            since=_moment(request, "since"),
            until=_moment(request, "until"),
        )

    def _program_id(self, key: str, session: str) -> str:
        # An id is taken as it is: the executions of a program that was deleted are still there.
        return key if key.startswith("prog_") else self._shelf.find(key, session=session).id

    def _check_open(self, execution_id: str) -> Execution:
        execution = self._executions.get(execution_id)
        if not CALLER.get().opens_all:
            CALLER.get().check_session(execution.session)
        return execution


def _owner(context: grpc.ServicerContext) -> Owner | None:
    """The test that a call names, if its token may."""
    owner = owner_from_metadata(context.invocation_metadata() or (), asked_by=CALLER.get().name)
    if owner is not None:
        CALLER.get().check_cassettes()
    return owner


def _refreshes(context: grpc.ServicerContext) -> bool:
    """Whether a call is to record its cassette anew, if its token may."""
    asked = refresh_from_metadata(context.invocation_metadata() or ())
    if asked:
        CALLER.get().check_cassettes()
    return asked


def _moment(request: pb.ListExecutionsRequest, name: Literal["since", "until"]) -> datetime | None:
    try:
        return moment(getattr(request, name)) if request.HasField(name) else None
    except ValueError as error:
        raise WorkerError(f"{name}: {error}.", reason=Reason.INVALID_ARGUMENT, field=name) from error


def _batch_result(place: int, result: Execution | WorkerError) -> pb.BatchResult:
    if isinstance(result, WorkerError):
        return pb.BatchResult(index=place, error=to_detail(result))
    return pb.BatchResult(index=place, execution=wire.execution_to_wire(result))


def _cancellation(context: grpc.ServicerContext) -> Future[None]:
    """Done when the call ends, whoever ended it."""
    ended: Future[None] = Future()
    if not context.add_callback(lambda: cancel(ended)):
        cancel(ended)
    return ended
