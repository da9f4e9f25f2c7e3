"""Executions that fail: at which stage, for what reason, and what is kept."""

from decimal import Decimal

import grpc
import pytest
from dspy.lm15 import AuthError, RateLimitError

import lmtest
from python_worker.client import Reason
from python_worker.domain.execution import ExecutionStatus
from python_worker.domain.stage import Stage, StageStatus
from python_worker.v1 import worker_pb2 as pb

from .calling import SKY, STAGES, refused, stages, status, with_program


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


def test_a_key_in_the_address_that_a_provider_was_called_at_is_told_to_nobody(start_worker):
    failure = RateLimitError("429 for http://127.0.0.1/v1beta/models/m:generateContent?key=hunter2hunter2", status=429)
    worker = with_program(start_worker({"sky": failure}))
    error = refused(worker.client.execute, "qa", {"question": "sky"})
    assert "generateContent?key=<redacted>" in error.message
    assert "hunter2" not in worker.client.get_execution(error.execution_id).error.message


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
