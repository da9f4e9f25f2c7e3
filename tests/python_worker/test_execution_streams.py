"""Executions that are heard while they run, and many at once."""

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Lock

import grpc
import pytest

import lmtest
from lmtest.http.server import StandIn
from python_worker.client import AsyncClient, Client, Order, Reason, Started, Token, WorkerError, connect_async
from python_worker.domain.execution import Execution, ExecutionStatus
from python_worker.domain.stage import Stage
from python_worker.runtime import LmtestLMs
from python_worker.v1 import worker_pb2 as pb
from python_worker.v1.worker_pb2_grpc import WorkerStub

from ..streamed import whole  # noqa: TID252 - tests are no installed package
from .calling import SKY, refused, status, wait_until, with_program
from .conftest import RunningWorker

ASKED = {"question": "sky"}
THINKING = {"sky": {"reasoning": "Light is scattered.", "answer": "deep blue", "confidence": 0.9}}


def heard(worker, *arguments):
    """What a stream told: the tokens joined by field, and the result."""
    started, *events, result = worker.client.stream(*arguments)
    assert isinstance(started, Started)
    assert started.execution_id == result.id
    texts = {}
    for token in events:
        assert isinstance(token, Token)
        texts.setdefault(token.field, []).append(token.text)
    return {field: whole(pieces) for field, pieces in texts.items()}, result


# ---- streams


def test_a_stream_tells_that_it_started_the_tokens_by_field_and_the_result(start_worker):
    worker = with_program(start_worker(THINKING), "ChainOfThought")
    texts, result = heard(worker, "qa", ASKED)
    assert texts == {"reasoning": "Light is scattered.", "answer": "deep blue", "confidence": "0.9"}
    assert result.outputs == {"reasoning": "Light is scattered.", "answer": "deep blue", "confidence": 0.9}
    assert worker.client.get_execution(result.id) == result
    assert len(result.stages[2].calls) == 1


def test_the_last_token_of_a_field_says_so_and_each_says_whose_it_is(start_worker):
    worker = with_program(start_worker(THINKING), "ChainOfThought")
    tokens = [event for event in worker.client.stream("qa", ASKED) if isinstance(event, Token)]
    assert {token.predictor for token in tokens} == {"predict"}
    for field in ("reasoning", "answer", "confidence"):
        assert [token.last for token in tokens if token.field == field].count(True) <= 1


@pytest.mark.parametrize("first", ["execute", "stream"])
def test_a_stream_plays_what_an_execution_recorded_and_the_other_way_round(first, tmp_path, database, monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "any-key")
    monkeypatch.setenv("LMTEST_LEDGER", "off")
    answered = []
    with StandIn() as provider:
        for mode in (lmtest.Mode.RECORD, lmtest.Mode.REPLAY):
            lms = LmtestLMs(
                mode=mode,
                cassette_dir=tmp_path / "c",
                model="gemini/gemini-2.5-flash",
                api_base=f"{provider.url}/v1beta",
            )
            worker = RunningWorker(database, lms)
            try:
                if mode is lmtest.Mode.RECORD:
                    with_program(worker)
                if (mode is lmtest.Mode.RECORD) == (first == "execute"):
                    result = worker.client.execute("qa", {"question": "why?"})
                else:
                    texts, result = heard(worker, "qa", {"question": "why?"})
                    assert texts["answer"] == result.outputs["answer"]
            finally:
                worker.stop()
            answered.append(result)
        assert len(provider.requests) == 1
    assert answered[0].outputs == answered[1].outputs
    (live,), (played,) = (execution.stages[2].calls for execution in answered)
    assert (live.hit, played.hit, live.key) == ("live", "cassette", played.key)


def test_made_up_answers_are_heard_too(start_worker, tmp_path, database):
    lms = LmtestLMs(mode=lmtest.Mode.MOCK, cassette_dir=tmp_path, model="gemini/gemini-2.5-flash")
    worker = with_program(RunningWorker(database, lms))
    try:
        texts, result = heard(worker, "qa", {"question": "why?"})
    finally:
        worker.stop()
    assert texts["answer"] == result.outputs["answer"]


def test_an_error_ends_the_stream_as_it_ends_the_call(start_worker):
    worker = with_program(start_worker({"sky": {"answer": "blue", "confidence": 1.5}}))
    request = pb.ExecuteRequest(program="qa", inputs={"question": pb.Value(string="sky")})
    code, detail = status(worker, "Execute", request)
    with grpc.insecure_channel(worker.target) as channel, pytest.raises(grpc.RpcError) as caught:
        list(WorkerStub(channel).ExecuteStream(request, timeout=20))
    assert caught.value.code() is code
    error = refused(list, worker.client.stream("qa", ASKED))
    assert (error.reason.value, error.field, error.stage) == (detail.reason, detail.field, Stage.OUTPUT_VALIDATION)
    assert worker.client.get_execution(error.execution_id).status is ExecutionStatus.FAILED


def test_whoever_leaves_a_stream_cancels_its_execution(start_worker):
    begun, release = Event(), Event()

    def hold():
        begun.set()
        release.wait(60)

    worker = with_program(start_worker(SKY, on_call=hold))
    stream = worker.client.stream("qa", ASKED)
    started = next(stream)
    assert begun.wait(60)
    stream.close()
    wait_until(lambda: worker.client.get_execution(started.execution_id).status is ExecutionStatus.CANCELLED)
    release.set()


# ---- batches


def test_a_batch_answers_each_in_its_place_and_one_that_fails_ends_no_other(start_worker):
    answers = {f"<{number}>": {"answer": str(number), "confidence": 1} for number in range(20)}
    answers["<7>"] = {"answer": "7", "confidence": 7}
    worker = with_program(start_worker(answers))
    orders = [Order("qa", {"question": f"<{number}>"}) for number in range(20)]
    found = dict(worker.client.batch([*orders, Order("none", {})], parallel=3))
    assert sorted(found) == list(range(21))
    assert (found[7].reason, found[20].reason) == (Reason.CONSTRAINT_VIOLATION, Reason.NOT_FOUND)
    assert worker.client.get_execution(found[7].execution_id).status is ExecutionStatus.FAILED
    good = {place: each for place, each in found.items() if isinstance(each, Execution)}
    assert {place: each.outputs["answer"] for place, each in good.items()} == {
        number: str(number) for number in range(20) if number != 7
    }


def test_a_batch_runs_as_many_at_once_as_it_was_told_and_no_more(start_worker):
    pair, lock, at_once = Barrier(2), Lock(), [0, 0]

    def count():
        with lock:
            at_once[0] += 1
            at_once[1] = max(at_once)
        pair.wait(timeout=30)
        with lock:
            at_once[0] -= 1

    worker = with_program(start_worker(SKY, on_call=count))
    results = list(worker.client.batch([Order("qa", ASKED)] * 12, parallel=2))
    assert all(isinstance(each, Execution) for _, each in results)
    assert at_once[1] == 2


def test_results_come_as_they_end(start_worker):
    release = Event()
    worker = with_program(start_worker(SKY | {"sea": {"answer": "green", "confidence": 1}}))
    engine = worker.lms.engine
    engine._on_call = lambda: release.wait(60) if "sky" in engine.prompts[-1] else None
    orders = [Order("qa", {"question": "sky"}), Order("qa", {"question": "sea"})]
    results = worker.client.batch(orders, parallel=2)
    place, first = next(results)
    assert (place, first.outputs["answer"]) == (1, "green")
    release.set()
    assert [place for place, _ in results] == [0]


def test_whoever_leaves_a_batch_cancels_what_runs_and_what_has_not_begun(start_worker):
    begun, release = Event(), Event()

    def hold():
        begun.set()
        release.wait(60)

    worker = with_program(start_worker(SKY, on_call=hold))
    results = worker.client.batch([Order("qa", ASKED)] * 10, parallel=1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(next, results)
        assert begun.wait(60)
        (running,) = worker.client.list_executions()
        assert worker.client.cancel(running.id).status is ExecutionStatus.CANCELLED
        assert first.result()[1].reason is Reason.CANCELLED
        results.close()
        wait_until(lambda: not list(worker.client.list_executions(statuses=[ExecutionStatus.RUNNING])))
        release.set()
    assert 1 <= len(list(worker.client.list_executions())) < 10


@pytest.mark.parametrize(
    ("batch", "ending"),
    [
        (pb.ExecuteBatchRequest(requests=[pb.ExecuteRequest()] * 1001), ("limit", "requests")),
        (pb.ExecuteBatchRequest(requests=[pb.ExecuteRequest()], parallel=-1), ("invalid_argument", "parallel")),
        (
            pb.ExecuteBatchRequest(requests=[pb.ExecuteRequest(inputs={"q": pb.Value()})]),
            ("invalid_argument", "requests[0].q"),
        ),
    ],
)
def test_a_batch_that_cannot_be_run_is_refused_whole(start_worker, batch, ending):
    worker = start_worker()
    with grpc.insecure_channel(worker.target) as channel, pytest.raises(grpc.RpcError) as caught:
        list(WorkerStub(channel).ExecuteBatch(batch, timeout=20))
    detail = pb.ErrorDetail.FromString(dict(caught.value.trailing_metadata())["python_worker-error-bin"])
    assert (detail.reason, detail.field) == ending


# ---- asyncio


@pytest.mark.parametrize("method", ["execute", "stream"])
def test_both_clients_take_what_an_order_takes_as_keywords(method):
    order = inspect.signature(Order).parameters
    for client in (Client, AsyncClient):
        taken = dict(inspect.signature(getattr(client, method)).parameters)
        assert (taken.pop("self").kind, taken) == (inspect.Parameter.POSITIONAL_ONLY, order)


def test_an_option_that_there_is_none_of_is_a_type_error(start_worker):
    with pytest.raises(TypeError, match="timout"):
        start_worker().client.execute("qa", ASKED, timout=3)


@pytest.mark.asyncio
async def test_the_asyncio_client_does_what_its_twin_does(start_worker):
    worker = await asyncio.to_thread(lambda: with_program(start_worker(SKY)))
    async with connect_async(worker.target) as client:
        execution = await client.execute("qa", ASKED, timeout=30)
        assert await client.get_execution(execution.id) == await client.cancel(execution.id) == execution
        events = [event async for event in client.stream("qa", ASKED)]
        assert (type(events[0]), events[-1].outputs) == (Started, execution.outputs)
        results = [each async for each in client.batch([Order("qa", ASKED)] * 3)]
        assert sorted(place for place, _ in results) == [0, 1, 2]
        assert len([each async for each in client.list_executions(program="qa")]) == 5
        assert (await client.adapters())[0].name == "inline"
        with pytest.raises(WorkerError) as caught:
            await client.execute("qa", {"question": 3})
    assert caught.value.reason is Reason.VALIDATION_ERROR
