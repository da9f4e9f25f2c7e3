"""Deadlines, cancellation and draining."""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc

from python_worker.client import Reason, connect
from python_worker.domain.execution import ExecutionStatus
from python_worker.domain.stage import Stage
from python_worker.v1 import worker_pb2 as pb
from python_worker.v1.worker_pb2_grpc import WorkerStub

from .calling import LONG_ENOUGH, SKY, is_refused, kept_statuses, refused, wait_until, with_program


def test_an_execution_that_takes_too_long_is_deadline_exceeded_and_its_answer_is_not_recorded(start_worker):
    release = threading.Event()
    worker = with_program(start_worker(SKY, on_call=release.wait))
    error = refused(worker.client.execute, "qa", {"question": "sky"}, timeout=LONG_ENOUGH)
    release.set()
    assert (error.reason, error.retryable, error.stage) == (Reason.TIMEOUT, True, Stage.ADAPTER_EXECUTION)
    assert "after it began" in str(error)
    assert worker.client.get_execution(error.execution_id).status is ExecutionStatus.TIMED_OUT
    assert worker.stop()
    assert worker.lms.endings == ["failed"]


def test_an_execution_still_in_the_queue_at_its_deadline_never_begins(start_worker):
    begun, release = threading.Event(), threading.Event()

    def hold():
        begun.set()
        release.wait()

    worker = with_program(start_worker(SKY, on_call=hold, threads=1))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(worker.client.execute, "qa", {"question": "sky"})
        begun.wait()
        error = refused(worker.client.execute, "qa", {"question": "sky"}, timeout=LONG_ENOUGH)
        release.set()
        assert first.result().status is ExecutionStatus.SUCCEEDED
    assert "in the queue" in str(error)
    assert len(worker.lms.engine.prompts) == 1


def test_the_deadline_of_the_call_itself_ends_the_execution(start_worker):
    release = threading.Event()
    worker = with_program(start_worker(SKY, on_call=release.wait))
    with connect(worker.target, deadline=LONG_ENOUGH) as hasty:
        assert refused(hasty.execute, "qa", {"question": "sky"}).reason is Reason.TIMEOUT
    # Before the model may answer: the client's clock may be ahead of the worker's.
    wait_until(lambda: kept_statuses(worker) == ["timed_out"])
    release.set()
    assert worker.stop()


def test_a_cancelled_call_leaves_a_cancelled_execution(start_worker):
    begun, release = threading.Event(), threading.Event()

    def hold():
        begun.set()
        release.wait()

    worker = with_program(start_worker(SKY, on_call=hold))
    with grpc.insecure_channel(worker.target) as channel:
        request = pb.ExecuteRequest(program="qa", inputs={"question": pb.Value(string="sky")})
        call = WorkerStub(channel).Execute.future(request, timeout=20)
        begun.wait()
        call.cancel()
        wait_until(lambda: kept_statuses(worker) == ["cancelled"])
    release.set()
    worker.stop()
    assert worker.lms.endings == ["failed"]


def test_a_worker_told_to_stop_refuses_new_calls_and_finishes_those_under_way(start_worker):
    begun, release = threading.Event(), threading.Event()

    def hold():
        begun.set()
        release.wait()

    worker = with_program(start_worker(SKY, on_call=hold))
    with ThreadPoolExecutor(2) as pool, connect(worker.target) as other:
        under_way = pool.submit(worker.client.execute, "qa", {"question": "sky"})
        begun.wait()
        stopping = pool.submit(worker.worker.stop)
        wait_until(lambda: is_refused(other))
        release.set()
        assert under_way.result().status is ExecutionStatus.SUCCEEDED
        assert stopping.result()
    worker.stopped = True
    worker.client.close()
