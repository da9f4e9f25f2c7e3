"""Tools that clients serve: a real stream, real cassettes, and programs that call them."""

import asyncio
import json
import queue
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, date, datetime

import grpc
import pytest

import lmtest
from python_worker.client import Reason, WorkerError, connect
from python_worker.client.aio import connect_async
from python_worker.domain.execution import ExecutionStatus
from python_worker.domain.stage import Stage
from python_worker.v1 import worker_pb2 as pb
from python_worker.v1.worker_pb2_grpc import WorkerStub
from python_worker.wire.errors import TRAILER

from .conftest import script, step


def weather(city: str, unit: str = "C") -> str:
    """Tell the weather of a city."""
    if city == "Atlantis":
        raise ValueError("it sank")
    return f"{city}: 20 {unit}"


def answering(text):
    def weather(city: str) -> str:
        assert text, "it was called"
        return text

    return weather


def refused(call, *args, **options):
    with pytest.raises(WorkerError) as caught:
        call(*args, **options)
    return caught.value


def uses(execution):
    [record] = [record for record in execution.stages if record.stage is Stage.ADAPTER_EXECUTION]
    return [(use.tool, use.hit, use.error) for use in record.tools]


def prompts(worker):
    return [json.dumps(request) for request in worker.provider.requests]


# ---- what succeeds


def test_a_program_calls_a_tool_that_a_client_serves_and_the_model_reads_its_answer(start):
    worker = start("record", script(step("weather", city="Rome"), answer="20"))
    worker.agent("weather")
    with worker.client.serve_tools([weather]):
        execution = worker.ask()
    assert execution.outputs["answer"] == "20"
    assert uses(execution) == [("weather", "client", "")]
    assert "Tell the weather of a city." in prompts(worker)[0]
    assert "Rome: 20 C" in prompts(worker)[1]
    assert worker.client.get_execution(execution.id).stages == execution.stages


def test_what_was_recorded_with_the_client_is_replayed_without_it_by_another_worker_off_the_network(start):
    recorder = start("record", script(step("weather", city="Rome"), step("weather", city="Atlantis"), answer="20"))
    recorder.agent("weather")
    with recorder.client.serve_tools([weather]):
        recorded = recorder.ask()
    recorder.provider.close()
    start.stop(recorder)

    player = start("replay")
    with lmtest.block_network():
        played = player.ask()
    assert played.outputs == recorded.outputs
    assert uses(recorded) == [("weather", "client", ""), ("weather", "client", uses(recorded)[1][2])]
    assert [(tool, hit) for tool, hit, _ in uses(played)] == [("weather", "cassette")] * 2
    assert "ValueError: it sank" in uses(played)[1][2]


def test_a_replay_needs_no_database_of_the_recording_either(start, tmp_path):
    recorder = start("record", script(step("weather", city="Rome")))
    recorder.agent("weather")
    with recorder.client.serve_tools([weather]):
        recorded = recorder.ask()
    start.stop(recorder)
    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "cassettes").rename(tmp_path / "two" / "cassettes")
    player = start("replay", folder="two")
    player.agent("weather")
    assert player.ask().outputs == recorded.outputs


def test_a_replay_is_answered_from_the_cassette_though_a_client_serves(start):
    recorder = start("record", script(step("weather", city="Rome")))
    recorder.agent("weather")
    with recorder.client.serve_tools([weather]):
        recorder.ask()
    start.stop(recorder)
    player = start("replay")
    with player.client.serve_tools({"weather": answering(None)}):
        assert [hit for _, hit, _ in uses(player.ask())] == ["cassette"]


def test_a_tool_asked_otherwise_than_recorded_is_a_miss_that_names_it(start, tmp_path):
    recorder = start("record", script(step("weather", city="Rome")))
    recorder.agent("weather")
    with recorder.client.serve_tools([weather]):
        recorder.ask()
    start.stop(recorder)
    [cassette] = (tmp_path / "one" / "cassettes" / "agent").glob("*.yaml")
    documents = cassette.read_text().split("---\n")
    cassette.write_text("---\n".join(each for each in documents if "tool: weather" not in each))
    error = refused(start("replay").ask)
    assert error.reason is Reason.CASSETTE_MISS
    assert "this call of the tool 'weather' is not recorded" in error.message


def test_mock_mode_makes_the_tools_answers_up_too(start):
    worker = start("mock")
    worker.agent("weather")
    with worker.client.serve_tools({"weather": answering(None)}):
        execution = worker.ask()
    assert execution.status is ExecutionStatus.SUCCEEDED
    assert {hit for _, hit, _ in uses(execution)} <= {"mock"}


def test_values_of_every_kind_may_be_answered(start):
    given = {
        "at": datetime(2026, 11, 20, 12, tzinfo=UTC),
        "on": date(2026, 11, 20),
        "n": [1, 2.5, None, True],
    }
    worker = start("record", script(step("look")))
    worker.agent("look")
    with worker.client.serve_tools({"look": lambda: given}):
        worker.ask()
    assert "2026-11-20T12:00:00" in prompts(worker)[1]


def test_arguments_are_converted_to_what_the_function_is_annotated_with(start):
    seen = []

    def on(day: date, most: int) -> list[str]:
        seen.append((day, most))
        return ["a"]

    worker = start("record", script(step("on", day="2026-11-20", most=3)))
    worker.agent("on")
    with worker.client.serve_tools([on]):
        worker.ask()
    assert seen == [(date(2026, 11, 20), 3)]


# ---- what the model is told went wrong


def test_what_a_tool_raises_is_an_observation_without_a_traceback(start):
    worker = start("record", script(step("weather", city="Atlantis"), answer="unknown"))
    worker.agent("weather")
    with worker.client.serve_tools([weather]):
        assert worker.ask().outputs["answer"] == "unknown"
    assert "Execution error in weather: ValueError: it sank" in prompts(worker)[1]
    assert "Traceback" not in prompts(worker)[1]


def test_arguments_that_break_the_schema_never_reach_the_client(start):
    seen = []

    def find(most: int) -> str:
        seen.append(most)

    worker = start("record", script(step("find", most="many"), step("find", all=True)))
    worker.agent("find")
    with worker.client.serve_tools([find]):
        worker.ask()
    assert seen == []
    assert "invalid arguments: most: 'many' is not of type 'integer'" in prompts(worker)[1]
    assert "'most' is a required property" in prompts(worker)[2]


# ---- what ends the run


def test_a_tool_that_nobody_serves_ends_the_run_before_any_model_is_asked(start):
    worker = start("record", script())
    worker.agent("weather")
    with worker.client.serve_tools({"other": lambda: None}):
        error = refused(worker.ask)
    assert (error.reason, error.retryable, error.stage) == (Reason.TOOL_FAILURE, True, Stage.ADAPTER_EXECUTION)
    assert "tool 'weather': no client serves it now (served: other)" in error.message
    assert worker.provider.requests == []


def test_a_tool_that_takes_too_long_ends_the_run_and_its_client_is_told(start, gate, tmp_path):
    worker = start("record", script(step("wait")))
    worker.agent("wait")
    with worker.client.serve_tools({"wait": gate.wait}, timeout=0.2):
        error = refused(worker.ask)
        gate.set()
    assert error.reason is Reason.TOOL_FAILURE
    assert "tool 'wait': no answer in 0.2 s" in error.message
    assert list((tmp_path / "one" / "cassettes").glob("**/*.yaml")) == []


def test_a_client_that_vanishes_in_the_middle_of_a_call_ends_the_run_at_once(start):
    worker = start("record", script(step("wait")))
    worker.agent("wait")
    with RawClient(worker.target) as raw, ThreadPoolExecutor(1) as pool:
        raw.register("wait")
        run = pool.submit(refused, worker.ask, timeout=60)
        raw.next_call()
        raw.vanish()
        error = run.result(timeout=30)
    assert error.reason is Reason.TOOL_FAILURE
    assert "the client that serves it went away before it answered" in error.message
    assert [record.stage for record in worker.client.get_execution(error.execution_id).stages][-1] is (
        Stage.ADAPTER_EXECUTION
    )


def test_an_execution_that_is_given_up_cancels_its_call(start):
    worker = start("record", script(step("wait")))
    worker.agent("wait")
    with RawClient(worker.target) as raw, grpc.insecure_channel(worker.target) as channel:
        raw.register("wait")
        request = pb.ExecuteRequest(program="agent", inputs={"question": pb.Value(string="Where?")})
        run = WorkerStub(channel).Execute.future(request, timeout=60)
        call = raw.next_call()
        run.cancel()
        assert raw.next().cancelled.call_id == call.call_id
        raw.answer(call, pb.Value(string="too late"))  # is not heard, and ends nothing
        raw.register("another")


# ---- who serves what


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


def wait_until(call):
    """Try until it succeeds."""
    end = time.monotonic() + 60
    while True:
        try:
            return call()
        except WorkerError:
            if time.monotonic() > end:
                raise
        threading.Event().wait(0.02)


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


class RawClient:
    """A client without our library: a stream, by hand."""

    def __init__(self, target, token=None):
        self._outbox = queue.SimpleQueue()
        self._channel = grpc.insecure_channel(target)
        metadata = [("authorization", f"Bearer {token}")] if token else None
        self._stream = WorkerStub(self._channel).ServeTools(iter(self._outbox.get, None), timeout=60, metadata=metadata)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.vanish()

    def send(self, message):
        self._outbox.put(message)

    def register(self, name, session=""):
        tools = [pb.Tool(name=name)]
        self.send(pb.ToolClientMessage(register=pb.ToolClientMessage.Register(session=session, tools=tools)))
        assert list(self.next().registered.tools) == [name]

    def answer(self, call, value):
        self.send(pb.ToolClientMessage(answer=pb.ToolClientMessage.Answer(call_id=call.call_id, value=value)))

    def next(self):
        return next(self._stream)

    def next_call(self):
        return self.next().call

    def error(self):
        with pytest.raises(grpc.RpcError) as caught:
            self.next()
        trailer = dict(caught.value.trailing_metadata())[TRAILER]
        return caught.value.code(), pb.ErrorDetail.FromString(trailer)

    def vanish(self):
        self._outbox.put(None)
        self._channel.close()
