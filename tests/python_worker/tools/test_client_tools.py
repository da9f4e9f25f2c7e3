"""Tools that clients serve: a real stream, real cassettes, and programs that call them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import grpc

import lmtest
from python_worker.client import Reason
from python_worker.domain.execution import ExecutionStatus
from python_worker.domain.stage import Stage
from python_worker.v1 import worker_pb2 as pb
from python_worker.v1.worker_pb2_grpc import WorkerStub

from ..calling import refused  # noqa: TID252 - tests are no installed package
from .conftest import script, step
from .serving import RawClient, answering, prompts, uses, weather

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
