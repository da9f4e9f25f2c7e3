"""What tests of a whole worker share: a program to call, and what became of a call."""

import hashlib
import itertools
import time

import grpc
import pytest
import sqlalchemy as sa

from python_worker.client import Reason, WorkerError
from python_worker.domain.stage import Stage
from python_worker.store import tables
from python_worker.v1 import worker_pb2 as pb
from python_worker.v1.worker_pb2_grpc import StateStub, WorkerStub
from python_worker.wire.errors import TRAILER

QA = "signature qa: :string question -> :string answer, :confidence_score confidence"
SKY = {"sky": {"answer": "blue", "confidence": 0.9}}
STAGES = list(Stage)
LONG_ENOUGH = 1.5
"""Seconds of a deadline that is to pass while a program runs: a busy machine has begun it by then."""


def with_program(worker, module="Predict", text=QA):
    worker.client.create_signature(text)
    worker.client.create_program("qa", signature="qa", module=module)
    return worker


def refused(call, *args, **options):
    with pytest.raises(WorkerError) as caught:
        call(*args, **options)
    return caught.value


def digest(token):
    """As a list of tokens has it."""
    return hashlib.sha256(token.encode()).hexdigest()


def status(worker, method, request):
    """The status and the detail of a call that fails, as a client without our library reads them."""
    with grpc.insecure_channel(worker.target) as channel, pytest.raises(grpc.RpcError) as caught:
        getattr(WorkerStub(channel), method)(request, timeout=20)
    trailer = dict(caught.value.trailing_metadata())[TRAILER]
    return caught.value.code(), pb.ErrorDetail.FromString(trailer)


def stages(execution):
    return [(record.stage, record.status) for record in execution.stages]


def kept_statuses(worker):
    with worker.database.read() as connection:
        return list(connection.scalars(sa.select(tables.executions.c.status)))


def is_refused(client):
    try:
        client.get_program("qa")
    except WorkerError as error:
        return error.reason is Reason.UNAVAILABLE
    return False


def watchers(worker):
    """How many streams the worker has open on session 'ada'."""
    with grpc.insecure_channel(worker.target) as channel:
        return StateStub(channel).GetSession(pb.GetSessionRequest(session="ada"), timeout=20).watchers


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    for _ in itertools.count():
        if condition():
            return
        assert time.monotonic() < end, f"not within {seconds} s"
