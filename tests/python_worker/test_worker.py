"""A worker as its clients see it: a real server on loopback, a real database, scripted models."""

import itertools
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import grpc
import pytest
import sqlalchemy as sa
from dspy.lm15 import AuthError, RateLimitError
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import lmtest
from python_worker.client import Reason, WorkerError, connect
from python_worker.domain.errors import Position
from python_worker.domain.execution import ExecutionStatus, Stage, StageStatus
from python_worker.rpc.status import status_of
from python_worker.store import AuditLog, tables
from python_worker.v1 import worker_pb2 as pb
from python_worker.v1.worker_pb2_grpc import WorkerStub
from python_worker.wire.errors import TRAILER

QA = "signature qa: :string question -> :string answer, :confidence_score confidence"
SKY = {"sky": {"answer": "blue", "confidence": 0.9}}
STAGES = list(Stage)
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "worker.md"


def with_program(worker, module="Predict", text=QA):
    worker.client.create_signature(text)
    worker.client.create_program("qa", signature="qa", module=module)
    return worker


def refused(call, *args, **options):
    with pytest.raises(WorkerError) as caught:
        call(*args, **options)
    return caught.value


def status(worker, method, request):
    """The status and the detail of a call that fails, as a client without our library reads them."""
    with grpc.insecure_channel(worker.target) as channel, pytest.raises(grpc.RpcError) as caught:
        getattr(WorkerStub(channel), method)(request, timeout=20)
    trailer = dict(caught.value.trailing_metadata())[TRAILER]
    return caught.value.code(), pb.ErrorDetail.FromString(trailer)


def stages(execution):
    return [(record.stage, record.status) for record in execution.stages]


# ---- what succeeds


def test_an_execution_answers_and_leaves_five_stages_in_order_on_either_database(database, start_worker):
    worker = with_program(start_worker(SKY, database=database))
    execution = worker.client.execute("qa", {"question": "What colour is the sky?"})
    assert execution.outputs == {"answer": "blue", "confidence": 0.9}
    assert stages(execution) == [(stage, StageStatus.OK) for stage in STAGES]
    assert worker.client.get_execution(execution.id) == execution
    assert AuditLog(database).verify() == (2 + 7, [])  # the signature, the program, the execution


def test_chain_of_thought_answers_its_reasoning_too(start_worker):
    worker = with_program(start_worker({"sky": {"reasoning": "Rayleigh.", **SKY["sky"]}}), "ChainOfThought")
    outputs = worker.client.execute("qa", {"question": "sky"}).outputs
    assert outputs == {"reasoning": "Rayleigh.", "answer": "blue", "confidence": 0.9}


def test_the_model_calls_are_listed_under_the_stage_that_made_them(start_worker):
    worker = with_program(start_worker(SKY))
    records = worker.client.execute("qa", {"question": "sky"}).stages
    (call,) = records[2].calls
    assert (call.hit, call.model, call.input_tokens, call.output_tokens, call.cost) == (
        "mock",
        "scripted/model",
        12,
        3,
        None,
    )
    assert [record.calls for record in records if record.stage is not Stage.ADAPTER_EXECUTION] == [()] * 4


def test_values_of_every_type_go_there_and_back(start_worker):
    text = (
        "signature qa: :map m, :list(:list(:integer)) l, :boolean b, :optional(:float) f, :string question "
        "-> :reasoning_chain steps, :map m2, :optional(:integer) n"
    )
    answer = {"steps": '[{"step": "1", "reasoning": "r"}]', "m2": '{"a": [1, 2.5, null, "ü"]}', "n": "null"}
    worker = with_program(start_worker({"sky": answer}), text=text)
    inputs = {"m": {"a": {"b": [None, True, 1.5, "é"]}}, "l": [[1], []], "b": False, "f": None, "question": "sky"}
    execution = worker.client.execute("qa", inputs)
    assert execution.inputs == inputs
    assert execution.outputs == {
        "steps": [{"step": "1", "reasoning": "r"}],
        "m2": {"a": [1, 2.5, None, "ü"]},
        "n": None,
    }


def test_a_program_keeps_its_settings_and_the_models_get_them(start_worker):
    worker = start_worker(SKY)
    worker.client.create_signature(QA)
    made = worker.client.create_program("qa", signature="qa", model="openai/x", temperature=0.0, max_tokens=9)
    worker.client.execute("qa", {"question": "sky"})
    assert worker.client.get_program("qa") == worker.client.get_program(made.id) == made
    assert worker.lms.configs == [made.config]


def test_a_signature_tells_its_fields(start_worker):
    worker = with_program(start_worker())
    with grpc.insecure_channel(worker.target) as channel:
        signature = WorkerStub(channel).GetSignature(pb.GetSignatureRequest(signature="qa"), timeout=20)
    assert [(field.name, field.type) for field in signature.outputs] == [
        ("answer", ":string"),
        ("confidence", ":confidence_score"),
    ]


def test_what_was_created_outlives_the_worker(database, start_worker):
    first = with_program(start_worker(SKY, database=database))
    execution = first.client.execute("qa", {"question": "sky"})
    first.stop()
    second = start_worker(SKY, database=database)
    assert second.client.get_execution(execution.id) == execution
    assert second.client.execute("qa", {"question": "sky"}).outputs == execution.outputs


def test_many_clients_at_once_each_get_their_own_answer_in_one_unbroken_chain(database, start_worker):
    answers = {f"<{number}>": {"answer": str(number), "confidence": 1} for number in range(20)}
    worker = with_program(start_worker(answers, database=database))
    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(lambda n: worker.client.execute("qa", {"question": f"<{n}>"}), range(20)))
    assert [execution.outputs["answer"] for execution in found] == [str(number) for number in range(20)]
    assert all(len(execution.stages[2].calls) == 1 for execution in found)
    assert AuditLog(database).verify() == (2 + 20 * 7, [])


# ---- what is refused


def test_a_broken_signature_is_invalid_argument_with_the_position(start_worker):
    request = pb.CreateSignatureRequest(text="signature qa:\n  :strng question -> :string answer")
    code, detail = status(start_worker(), "CreateSignature", request)
    assert (code, detail.reason, detail.field) == (grpc.StatusCode.INVALID_ARGUMENT, "syntax_error", "text")
    assert (detail.position.line, detail.position.column, detail.retryable) == (2, 3, False)


def test_the_client_raises_the_error_as_the_worker_did(start_worker):
    error = refused(start_worker().client.create_signature, "signature qa")
    assert (error.reason, error.position) == (Reason.SYNTAX_ERROR, Position(line=1, column=13))


def test_a_name_that_is_taken_already_exists(start_worker):
    worker = with_program(start_worker())
    code, detail = status(worker, "CreateSignature", pb.CreateSignatureRequest(text=QA))
    assert (code, detail.reason) == (grpc.StatusCode.ALREADY_EXISTS, "already_exists")
    assert refused(worker.client.create_program, "qa", signature="qa").reason is Reason.ALREADY_EXISTS


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("GetSignature", pb.GetSignatureRequest(signature="nope"), "signature"),
        ("GetProgram", pb.GetProgramRequest(program="nope\0"), "program"),
        ("Execute", pb.ExecuteRequest(program="nope"), "program"),
        ("GetExecution", pb.GetExecutionRequest(execution_id="exec_\0"), "execution_id"),
        ("CreateProgram", pb.CreateProgramRequest(name="p", signature="nope", module="Predict"), "signature"),
    ],
)
def test_what_is_not_there_is_not_found_by_field_on_either_database(start_worker, database, method, request_, field):
    code, detail = status(start_worker(database=database), method, request_)
    assert (code, detail.reason, detail.field) == (grpc.StatusCode.NOT_FOUND, "not_found", field)


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a" * 101, "a\0b"])
def test_a_program_name_that_could_leave_its_folder_is_refused(start_worker, name):
    worker = with_program(start_worker())
    error = refused(worker.client.create_program, name, signature="qa")
    assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, "name")


def test_an_unknown_module_is_refused_with_those_there_are(start_worker):
    error = refused(with_program(start_worker()).client.create_program, "p", signature="qa", module="Predicct")
    assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, "module")
    assert "Predict, ChainOfThought" in str(error)


@pytest.mark.parametrize("timeout", [0.0, -1.0, 86_401.0, 1e9])
def test_a_timeout_that_is_no_time_is_refused(start_worker, timeout):
    error = refused(with_program(start_worker()).client.execute, "qa", {"question": "sky"}, timeout=timeout)
    assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, "timeout")


def test_a_value_of_no_kind_is_refused_by_its_path(start_worker):
    worker = with_program(start_worker())
    nothing = pb.Value(list=pb.List(items=[pb.Value(string="a"), pb.Value()]))
    code, detail = status(worker, "Execute", pb.ExecuteRequest(program="qa", inputs={"question": nothing}))
    assert (code, detail.reason, detail.field) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "invalid_argument",
        "question[1]",
    )


def test_a_timestamp_is_refused_where_no_type_holds_one(start_worker):
    worker = with_program(start_worker(), text="signature qa: :map facts -> :string answer")
    moment = datetime(2026, 11, 20, 12, tzinfo=UTC)
    error = refused(worker.client.execute, "qa", {"facts": {"born": [moment]}})
    assert (error.reason, error.field) == (Reason.VALIDATION_ERROR, "facts.born[0]")
    assert worker.client.get_execution(error.execution_id).inputs == {"facts": {"born": ["2026-11-20T12:00:00+00:00"]}}


def test_every_reason_has_the_status_the_documentation_tells():
    rows = re.findall(r"^\| ([A-Z_, ]+) \| (.+) \|$", DOCUMENTATION.read_text(), re.MULTILINE)
    told = {
        (name, reason) for names, text in rows for name in names.split(", ") for reason in re.findall("`(\\w+)`", text)
    }
    codes = {reason: status_of(WorkerError("", reason=reason)).name for reason in Reason}
    assert {(code, reason.value) for reason, code in codes.items()} <= told


# ---- how an execution fails


def test_an_invalid_input_never_reaches_the_model_and_is_on_record(start_worker):
    worker = with_program(start_worker(SKY))
    error = refused(worker.client.execute, "qa", {"question": 3, "colour": "blue"})
    assert (error.reason, error.stage) == (Reason.VALIDATION_ERROR, Stage.INPUT_VALIDATION)
    assert [problem.field for problem in error.problems] == ["question", "colour"]
    assert worker.lms.engine.prompts == []
    kept = worker.client.get_execution(error.execution_id)
    assert kept.status is ExecutionStatus.FAILED
    assert kept.inputs == {"question": 3, "colour": "blue"}
    assert stages(kept) == [(STAGES[0], StageStatus.OK), (STAGES[1], StageStatus.FAILED)]


def test_an_answer_out_of_bounds_fails_at_output_validation_and_is_kept(start_worker):
    worker = with_program(start_worker({"sky": {"answer": "blue", "confidence": 1.5}}))
    request = pb.ExecuteRequest(program="qa", inputs={"question": pb.Value(string="sky")})
    code, detail = status(worker, "Execute", request)
    assert (code, detail.reason, detail.field) == (
        grpc.StatusCode.INTERNAL,
        "constraint_violation",
        "confidence",
    )
    assert detail.stage == pb.STAGE_OUTPUT_VALIDATION
    kept = worker.client.get_execution(detail.execution_id)
    assert "1.5" in kept.raw_answer
    assert kept.outputs == {}
    assert stages(kept)[2:] == [(STAGES[2], StageStatus.OK), (STAGES[3], StageStatus.FAILED)]


def test_an_answer_that_does_not_parse_fails_at_output_validation_and_is_kept(start_worker):
    worker = with_program(start_worker({"sky": "I would rather not say."}))
    error = refused(worker.client.execute, "qa", {"question": "sky"})
    assert (error.reason, error.stage) == (Reason.UNPARSABLE_ANSWER, Stage.OUTPUT_VALIDATION)
    kept = worker.client.get_execution(error.execution_id)
    assert kept.raw_answer == "I would rather not say."
    assert len(kept.stages[2].calls) == 2  # DSPy asks once more, in JSON


def test_an_answer_no_message_can_carry_fails_at_result_serialization(start_worker):
    worker = with_program(start_worker({"sky": {"n": 2**70}}), text="signature qa: :string question -> :integer n")
    error = refused(worker.client.execute, "qa", {"question": "sky"})
    assert (error.reason, error.field, error.stage) == (Reason.UNSERIALIZABLE, "n", Stage.RESULT_SERIALIZATION)


def test_an_answer_with_text_no_database_takes_is_kept_as_far_as_it_goes(database, start_worker):
    worker = with_program(start_worker({"sky": "nul \0 and half a pair \ud83d"}, database=database))
    error = refused(worker.client.execute, "qa", {"question": "sky"})
    assert worker.client.get_execution(error.execution_id).raw_answer == "nul � and half a pair �"


@pytest.mark.parametrize(
    ("failure", "reason", "code", "retryable"),
    [
        (lmtest.CassetteMiss("not recorded"), "cassette_miss", "FAILED_PRECONDITION", False),
        (lmtest.CassetteExhausted("asked again"), "cassette_miss", "FAILED_PRECONDITION", False),
        (lmtest.CassetteTampered("edited"), "cassette_unusable", "FAILED_PRECONDITION", False),
        (lmtest.RateLimited("full", retry_after=1.5), "rate_limited", "RESOURCE_EXHAUSTED", True),
        (
            lmtest.BudgetExceeded("spent", spent=Decimal(1), limit=Decimal(1), estimate=None),
            "budget_exceeded",
            "RESOURCE_EXHAUSTED",
            False,
        ),
        (lmtest.NetworkBlocked("offline"), "configuration", "FAILED_PRECONDITION", False),
        (RateLimitError("slow down", status=429), "provider_failure", "UNAVAILABLE", True),
        (AuthError("no such key", status=401), "provider_refusal", "FAILED_PRECONDITION", False),
        (ZeroDivisionError("a bug"), "internal", "UNKNOWN", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_failures_of_the_model_are_told_apart(start_worker, failure, reason, code, retryable):
    worker = with_program(start_worker({"sky": failure}))
    request = pb.ExecuteRequest(program="qa", inputs={"question": pb.Value(string="sky")})
    found, detail = status(worker, "Execute", request)
    assert (found.name, detail.reason, detail.retryable) == (code, reason, retryable)
    assert detail.stage == pb.STAGE_ADAPTER_EXECUTION
    assert stages(worker.client.get_execution(detail.execution_id))[-1] == (STAGES[2], StageStatus.FAILED)


def test_a_rate_limit_tells_when_to_come_back(start_worker):
    worker = with_program(start_worker({"sky": lmtest.RateLimited("full", retry_after=1.5)}))
    assert refused(worker.client.execute, "qa", {"question": "sky"}).retry_after == 1.5


def test_a_cassette_that_is_not_there_is_told_before_any_call(start_worker):
    def missing():
        raise lmtest.CassetteNotFound("there is no qa/1.yaml")

    worker = with_program(start_worker(SKY, on_scope=missing))
    assert refused(worker.client.execute, "qa", {"question": "sky"}).reason is Reason.CASSETTE_NOT_FOUND
    assert worker.lms.engine.prompts == []


def test_an_error_too_long_for_its_trailer_is_cut_there_and_whole_in_the_execution(start_worker):
    worker = with_program(start_worker({"sky": lmtest.CassetteMiss("é" * 20_000)}))
    error = refused(worker.client.execute, "qa", {"question": "sky"})
    assert error.reason is Reason.CASSETTE_MISS
    assert str(error).endswith("(cut; GetExecution has it whole)")
    assert worker.client.get_execution(error.execution_id).error.message == "é" * 20_000


def test_problems_too_many_for_the_trailer_are_cut_there_and_whole_in_the_execution(start_worker):
    worker = with_program(start_worker())
    error = refused(worker.client.execute, "qa", {f"field_{number}": "é" * 300 for number in range(100)})
    assert error.reason is Reason.VALIDATION_ERROR
    assert len(worker.client.get_execution(error.execution_id).error.problems) == 101


# ---- time


def test_an_execution_that_takes_too_long_is_deadline_exceeded_and_its_answer_is_not_recorded(start_worker):
    release = threading.Event()
    worker = with_program(start_worker(SKY, on_call=release.wait))
    error = refused(worker.client.execute, "qa", {"question": "sky"}, timeout=0.2)
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
        error = refused(worker.client.execute, "qa", {"question": "sky"}, timeout=0.2)
        release.set()
        assert first.result().status is ExecutionStatus.SUCCEEDED
    assert "in the queue" in str(error)
    assert len(worker.lms.engine.prompts) == 1


def test_the_deadline_of_the_call_itself_ends_the_execution(start_worker):
    release = threading.Event()
    worker = with_program(start_worker(SKY, on_call=release.wait))
    with connect(worker.target, deadline=0.3) as hasty:
        assert refused(hasty.execute, "qa", {"question": "sky"}).reason is Reason.TIMEOUT
    release.set()
    worker.stop()
    assert kept_statuses(worker) == ["timed_out"]


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


# ---- the standard services


def test_the_standard_health_service_says_serving(start_worker):
    with grpc.insecure_channel(start_worker().target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for service in ("", "python_worker.v1.Worker"):
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=20)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("reflection", [True, False])
def test_reflection_is_on_by_setting_only(start_worker, reflection):
    with grpc.insecure_channel(start_worker(reflection=reflection).target) as channel:
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        answers = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([ask]), timeout=20)
        if not reflection:
            with pytest.raises(grpc.RpcError) as caught:
                next(answers)
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
            return
        names = {service.name for service in next(answers).list_services_response.service}
    assert "python_worker.v1.Worker" in names


def test_a_port_that_is_taken_is_a_sentence(start_worker):
    taken = start_worker().worker.port
    error = refused(start_worker, port=taken)
    assert error.reason is Reason.CONFIGURATION
    assert f"port {taken} on 127.0.0.1 cannot be had" in str(error)


def test_a_worker_that_is_not_there_is_unavailable_and_worth_another_try():
    with connect("127.0.0.1:1", deadline=5) as client:
        error = refused(client.get_program, "qa")
    assert (error.reason, error.retryable) == (Reason.UNAVAILABLE, True)


def kept_statuses(worker):
    with worker.database.read() as connection:
        return list(connection.scalars(sa.select(tables.executions.c.status)))


def is_refused(client):
    try:
        client.get_program("qa")
    except WorkerError as error:
        return error.reason is Reason.UNAVAILABLE
    return False


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    for _ in itertools.count():
        if condition():
            return
        assert time.monotonic() < end, f"not within {seconds} s"
