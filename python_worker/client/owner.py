"""The running test as the owner of a client's executions, which closes its cassette at the end."""

from __future__ import annotations

import contextlib
import functools
from typing import Any

import grpc

import lmtest
from python_worker.client.channel import OPTIONS
from python_worker.client.errors import CallStopped, Unavailable, from_rpc
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.owner import Owner
from python_worker.v1 import worker_pb2 as pb
from python_worker.v1.worker_pb2_grpc import WorkerStub
from python_worker.wire.owner import owner_to_metadata
from python_worker.wire.reports import report_fields

Metadata = tuple[tuple[str, str | bytes], ...]

_PATIENCE = 60.0
"""Seconds that saving may take: another process may have the file."""


class Ownership:
    """What a client says of the test that runs in its process.

    Args:
        target: The worker's address.
        metadata: What the client's calls have anyway.
        credentials: For a worker with TLS.
        as_test: Whether executions are the running test's.

    Attributes:
        channel: The client's connection while it is open; else the cassette is closed by one of its own.
    """

    def __init__(
        self,
        target: str,
        metadata: Metadata | None,
        *,
        credentials: grpc.ChannelCredentials | None,
        as_test: bool,
    ) -> None:
        self._target = target
        self._metadata = metadata or ()
        self._credentials = credentials
        self._as_test = as_test
        self.channel: grpc.Channel | None = None
        self._told: tuple[Any, Metadata] | None = None

    def of_call(self) -> Metadata | None:
        """What an execution is called with now; the test will close its cassette here.

        Raises:
            BudgetExceeded: What workers told of the test's run has used up its budget.
        """
        test = lmtest.running_test() if self._as_test else None
        if test is None:
            return self._metadata or None
        test.admit()
        if self._told is None or self._told[0] is not test:
            self._told = test, (*self._metadata, *owner_to_metadata(_owner(test)))
        metadata = self._told[1]
        test.asked += 1
        test.openings.setdefault(
            (self._target, self._metadata), functools.partial(self._close, metadata, keep_open=bool(test.shares))
        )
        return metadata

    def noted(self, error: WorkerError) -> WorkerError:
        """Have the running test know what stopped a call of its own, whatever its program does with the error."""
        if isinstance(error, CallStopped) and self._as_test and (test := lmtest.running_test()) is not None:
            test.noted.append(error)
        return error

    def _close(self, metadata: Metadata, failed: str, *, keep_open: bool) -> list[lmtest.CassetteReport]:
        with contextlib.ExitStack() as opened:
            channel = self.channel or opened.enter_context(self._connected())
            try:
                told = WorkerStub(channel).CloseCassette(
                    pb.CloseCassetteRequest(failed=failed, keep_open=keep_open), timeout=_PATIENCE, metadata=metadata
                )
            except grpc.RpcError as error:
                raise _unclosed(error, self._target) from error
        return [lmtest.CassetteReport(**report_fields(each)) for each in told.reports]

    def _connected(self) -> grpc.Channel:
        if self._credentials is None:
            return grpc.insecure_channel(self._target, options=OPTIONS)
        return grpc.secure_channel(self._target, self._credentials, options=OPTIONS)


def _owner(test: Any) -> Owner:
    return Owner(
        test=test.test,
        cassette=test.cassette,
        mode=test.mode,
        run=test.run,
        sample=test.sample,
        command=test.command,
        allow_misses=test.allow_misses,
        keep_others=test.keeps_others(),
        shares=test.shares,
        to=test.to,
        options=test.options(),
    )


def _unclosed(error: grpc.RpcError, target: str) -> Exception:
    told = from_rpc(error)
    if not isinstance(told, Unavailable) and told.reason is not Reason.TIMEOUT:
        return told
    return lmtest.LMTestError(
        f"the worker at {target} went away before the test had ended: what it recorded for it is lost, and nobody "
        f"knows what it left unplayed ({told.message}). Start it in a fixture, which outlives the test's own code."
    )
