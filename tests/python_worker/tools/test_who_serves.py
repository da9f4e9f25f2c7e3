"""Who may serve which tools to whom, and what becomes of it when a client or a worker comes and goes."""

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import grpc
import pytest

from python_worker.client import Reason, WorkerError, connect
from python_worker.client.aio import connect_async
from python_worker.domain.execution import ExecutionStatus
from python_worker.v1 import worker_pb2 as pb

from ..calling import refused  # noqa: TID252 - tests are no installed package
from .conftest import script, step
from .serving import RawClient, answering, prompts, uses, wait_until, weather


def test_a_name_that_is_served_already_is_refused_and_free_again_when_its_client_ends(start):
    worker = start("mock")
    with worker.client.serve_tools([weather]):
        error = refused(worker.client.serve_tools, [weather])
        assert error.reason is Reason.ALREADY_EXISTS
        assert "a tool 'weather' is served to everybody already" in error.message
    wait_until_free(worker, "weather")


def wait_until_free(worker, name):
    """The worker hears of a client's end when the stream is gone."""
    wait_until(lambda: worker.client.serve_tools({name: weather}).close())


def test_a_sessions_own_tool_goes_before_everybodys_and_no_other_session_sees_it(start):
    steps = script(step("weather", city="Rome"))
    worker = start("record", steps * 2)
    worker.agent("weather")
    ada, bob = worker.client.session("ada"), worker.client.session("bob")
    with (
        worker.client.serve_tools({"weather": answering("everybody's")}),
        worker.client.serve_tools({"weather": answering("Ada's")}, session="ada"),
    ):
        worker.ask(session=ada.id)
        worker.ask(session=bob.id, question="And there?")
    assert "Ada's" in prompts(worker)[1]
    assert "everybody's" in prompts(worker)[4]


def test_a_session_that_is_not_there_has_no_tools(start):
    worker = start("mock")
    assert refused(worker.client.serve_tools, [weather], session="nobody").reason is Reason.NOT_FOUND


def test_many_executions_call_at_once_and_each_gets_its_own_answer(start):
    together = threading.Barrier(4)

    def echo(word: str) -> str:
        together.wait(30)
        return f"heard {word}"

    words = ["one", "two", "three", "four"]
    worker = start("mock", threads=4)
    with worker.client.serve_tools([echo], threads=4), ThreadPoolExecutor(4) as pool:
        broker = worker.worker._tool_broker
        calls = [
            pool.submit(broker.call, "", "echo", {"word": word}, execution_id=word, timeout=30, ended=Future())
            for word in words
        ]
        assert [call.result(timeout=30) for call in calls] == [f"heard {word}" for word in words]


def test_no_more_clients_serve_than_may(start):
    worker = start("mock", max_tool_clients=1)
    with worker.client.serve_tools([weather]):
        error = refused(worker.client.serve_tools, {"other": weather})
    assert error.reason is Reason.LIMIT
    assert "--max-tool-clients" in error.message


@pytest.mark.parametrize(
    ("tool", "told"),
    [
        (pb.Tool(name="not a name"), "cannot name a tool"),
        (pb.Tool(name="finish"), "ReAct has one of that name"),
        (pb.Tool(name="a", parameters="[1]"), "are no JSON object: it is a list"),
        (pb.Tool(name="a", parameters="{"), "are no JSON object"),
        (pb.Tool(name="a", parameters='{"type": "array"}'), "is of type 'array'"),
        (pb.Tool(name="a", parameters='{"type": "nothing"}'), "is no schema that this worker takes"),
        (pb.Tool(name="a", parameters='{"properties": {"b": {"$ref": "http://x.y/z"}}}'), "leads outside of it"),
        (
            pb.Tool(name="a", parameters='{"properties": {"b": {"pattern": "("}}}'),
            "is no schema that this worker takes",
        ),
        (pb.Tool(name="a", timeout={"seconds": -1}), "it must be more than 0"),
    ],
)
def test_a_tool_that_cannot_be_is_refused_with_its_field(start, tool, told):
    with RawClient(start("mock").target) as raw:
        raw.send(pb.ToolClientMessage(register=pb.ToolClientMessage.Register(tools=[tool])))
        code, detail = raw.error()
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert told in detail.message
    assert detail.field.startswith("tools")


def test_an_answer_before_anything_is_registered_is_told_to_register_first(start):
    with RawClient(start("mock").target) as client:
        client.send(pb.ToolClientMessage(answer=pb.ToolClientMessage.Answer(call_id="call_1", error="none")))
        code, detail = client.error()
    assert (code, detail.reason) == (grpc.StatusCode.INVALID_ARGUMENT, Reason.INVALID_ARGUMENT)
    assert "an answer to 'call_1' before any tool is registered: send register first" in detail.message


def test_a_message_of_no_kind_is_refused(start):
    with RawClient(start("mock").target) as raw:
        raw.send(pb.ToolClientMessage())
        code, detail = raw.error()
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "neither register nor answer" in detail.message


# ---- coming and going


def test_a_worker_that_stops_ends_the_streams_at_once_and_the_client_serves_the_next_one(start, tmp_path):
    worker = start("mock", grace=3600.0)
    port = worker.worker.port
    with connect(worker.target) as client, client.serve_tools([weather]):
        assert start.stop(worker)  # without waiting out the grace
        again = start("mock", port=port)
        again.agent("weather")
        assert wait_until(again.ask).status is ExecutionStatus.SUCCEEDED


def test_asyncio_serves_the_next_worker_too(start):
    worker = start("mock", grace=3600.0)
    port = worker.worker.port

    async def serve():
        async with connect_async(worker.target) as client, client.serve_tools([weather]):
            await asyncio.to_thread(start.stop, worker)
            again = await asyncio.to_thread(start, "mock", port=port)
            again.agent("weather")
            return await asyncio.to_thread(wait_until, again.ask)

    assert asyncio.run(serve()).status is ExecutionStatus.SUCCEEDED


def test_asyncio_serves_functions_and_coroutine_functions(start):
    async def later(city: str) -> str:
        """Later."""
        await asyncio.sleep(0)
        return f"later in {city}"

    worker = start("record", script(step("later", city="Rome"), step("weather", city="Oslo")))
    worker.agent("later", "weather")

    async def serve():
        async with connect_async(worker.target) as client, client.serve_tools([later, weather]):
            return await asyncio.to_thread(worker.ask)

    execution = asyncio.run(serve())
    assert uses(execution) == [("later", "client", ""), ("weather", "client", "")]
    assert "later in Rome" in prompts(worker)[1]
    assert "Oslo: 20 C" in prompts(worker)[2]


def test_asyncio_is_told_why_it_may_not_serve(start):
    worker = start("mock")

    async def serve():
        async with connect_async(worker.target) as client, client.serve_tools([weather]):
            pytest.fail("it serves")

    with worker.client.serve_tools([weather]), pytest.raises(WorkerError) as caught:
        asyncio.run(serve())
    assert caught.value.reason is Reason.ALREADY_EXISTS
