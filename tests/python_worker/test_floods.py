"""More executions than can run or wait: they are refused at once, and everything else is answered meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from python_worker.client import Order, Reason, WorkerError
from python_worker.domain.execution import ExecutionStatus
from python_worker.v1 import worker_pb2 as pb

from .calling import SKY, refused, status, wait_until, with_program
from .held import Held

ASKED = {"question": "sky"}
REQUEST = pb.ExecuteRequest(program="qa", inputs={"question": pb.Value(string="sky")})
ALIVE = health_pb2.HealthCheckResponse


def health(worker, service=""):
    with grpc.insecure_channel(worker.target) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        return health_pb2_grpc.HealthStub(channel).Check(request, timeout=20).status


def attempt(call, *arguments):
    try:
        return call(*arguments)
    except WorkerError as error:
        return error


@pytest.fixture
def hold(start_worker):
    """Start a worker with few threads of every kind, whose programs are held; all it has room for are under way."""
    held, pool = Held(), ThreadPoolExecutor(100)

    def start(*, room, **settings):
        worker = with_program(
            start_worker(SKY, on_call=held, threads=1, max_watchers=1, max_tool_clients=1, **settings)
        )
        inside = [pool.submit(worker.client.execute, "qa", ASKED) for _ in range(room)]
        wait_until(lambda: len([*worker.client.list_executions()]) == room)
        return worker, inside, pool, held

    yield start
    held.let_go()
    pool.shutdown()


def test_what_comes_when_no_more_may_wait_is_refused_at_once_and_says_so(hold):
    worker, _, _, _ = hold(room=3, max_waiting=2)
    code, detail = status(worker, "Execute", REQUEST)
    assert (code.name, detail.reason, detail.retryable) == ("RESOURCE_EXHAUSTED", "limit", True)
    assert detail.message == (
        "the worker is full: 1 executions under way, 2 waiting of at most 2. Try again later; --max-waiting of the "
        "worker lets more wait, --threads lets more run."
    )
    assert detail.execution_id == ""


def test_a_stream_and_a_batch_are_refused_likewise(hold):
    worker, _, _, _ = hold(room=1, max_waiting=0)
    for call in (
        lambda: list(worker.client.stream("qa", ASKED)),
        lambda: list(worker.client.batch([Order(program="qa", inputs=ASKED)] * 2)),
    ):
        error = refused(call)
        assert (error.reason, error.retryable) == (Reason.LIMIT, True)
        assert "--max-waiting" in str(error)


def test_a_batch_needs_room_for_as_many_as_it_runs_at_once(start_worker):
    held = Held()
    worker = with_program(start_worker(SKY, on_call=held, threads=4, max_waiting=0))
    with ThreadPoolExecutor(1) as pool:
        inside = pool.submit(worker.client.execute, "qa", ASKED)
        held.begun.wait()
        orders = [Order(program="qa", inputs=ASKED)] * 5
        error = refused(list, worker.client.batch(orders))
        held.let_go()
        assert inside.result().status is ExecutionStatus.SUCCEEDED
    assert "this batch runs 4 at once" in str(error)
    assert len(list(worker.client.batch(orders))) == 5


def test_health_and_everything_else_is_answered_under_a_flood(hold):
    worker, inside, pool, held = hold(room=3, max_waiting=2)
    flood = [pool.submit(attempt, worker.client.execute, "qa", ASKED) for _ in range(60)]
    assert health(worker) == ALIVE.SERVING
    assert worker.client.get_program("qa").name == "qa"
    assert {each.result().reason for each in flood} == {Reason.LIMIT}
    held.let_go()
    assert {each.result().status for each in inside} == {ExecutionStatus.SUCCEEDED}
    assert worker.client.execute("qa", ASKED).status is ExecutionStatus.SUCCEEDED


def test_a_stream_that_its_client_left_gives_back_its_place(start_worker):
    held = Held()
    worker = with_program(start_worker(SKY, on_call=held, threads=1, max_waiting=0))
    with closing(worker.client.stream("qa", ASKED, timeout=60)) as events:
        next(events)
        held.begun.wait()
    held.let_go()
    wait_until(lambda: not isinstance(attempt(worker.client.execute, "qa", ASKED), WorkerError))


def test_health_says_not_serving_while_the_database_does_not_answer(outage, start_worker):
    worker = start_worker(database=outage.database)
    outage.begin()
    wait_until(lambda: health(worker) == ALIVE.NOT_SERVING)
    assert {health(worker, f"python_worker.v1.{name}") for name in ("Worker", "State")} == {ALIVE.NOT_SERVING}
    outage.end()
    wait_until(lambda: health(worker) == ALIVE.SERVING)
    worker.stop()
