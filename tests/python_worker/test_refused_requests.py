"""Requests about programs that are refused, with the status and the detail that tell why."""

import math
import re
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from python_worker.client import Reason, WorkerError
from python_worker.domain.errors import Position
from python_worker.domain.stage import Stage
from python_worker.rpc.status import status_of
from python_worker.v1 import worker_pb2 as pb

from .calling import QA, refused, status, with_program

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "worker.md"


BEYOND = Timestamp(seconds=10**15)


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


@pytest.mark.parametrize("timeout", [0.0, -1.0, -100.0, 86_401.0, 1e9, 1e12, math.nan, math.inf])
def test_a_timeout_that_is_no_time_is_refused(start_worker, timeout):
    error = refused(with_program(start_worker()).client.execute, "qa", {"question": "sky"}, timeout=timeout)
    assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, "timeout")


def test_a_text_where_names_are_wanted_is_refused_with_the_list_of_it(start_worker):
    client = start_worker().client
    for field, call in (
        ("adapters", lambda: client.execute("qa", {}, adapters="mock")),
        ("tools", lambda: client.create_program("qa", signature="q -> a", module="ReAct", tools="mock")),
    ):
        error = refused(call)
        assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, field)
        assert "['mock']" in error.message


def test_a_value_of_no_kind_is_refused_by_its_path(start_worker):
    worker = with_program(start_worker())
    nothing = pb.Value(list=pb.List(items=[pb.Value(string="a"), pb.Value()]))
    code, detail = status(worker, "Execute", pb.ExecuteRequest(program="qa", inputs={"question": nothing}))
    assert (code, detail.reason, detail.field) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "invalid_argument",
        "question[1]",
    )


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("Execute", pb.ExecuteRequest(program="qa", inputs={"q": pb.Value(timestamp=BEYOND)}), "q"),
        ("ListExecutions", pb.ListExecutionsRequest(since=BEYOND), "since"),
        ("ListExecutions", pb.ListExecutionsRequest(until=BEYOND), "until"),
    ],
)
def test_a_time_beyond_the_calendar_is_refused_by_its_path(start_worker, method, request_, field):
    code, detail = status(start_worker(), method, request_)
    assert (code, detail.reason, detail.field) == (grpc.StatusCode.INVALID_ARGUMENT, "invalid_argument", field)


def test_a_timestamp_is_refused_where_no_type_holds_one(start_worker):
    worker = with_program(start_worker(), text="signature qa: :map facts -> :string answer")
    moment = datetime(2026, 11, 20, 12, tzinfo=UTC)
    error = refused(worker.client.execute, "qa", {"facts": {"born": [moment]}})
    assert (error.reason, error.field) == (Reason.VALIDATION_ERROR, "facts.born[0]")
    assert worker.client.get_execution(error.execution_id).inputs == {"facts": {"born": [moment]}}


@pytest.mark.parametrize("reason", [Reason.ACTION_REFUSED, Reason.TIMEOUT, Reason.CANCELLED, Reason.INTERNAL])
def test_what_is_no_fault_of_the_answer_has_its_own_status_at_the_stage_that_judges_the_answer(reason):
    judged = WorkerError("", reason=reason, stage=Stage.OUTPUT_VALIDATION)
    assert status_of(judged) is status_of(WorkerError("", reason=reason)) is not grpc.StatusCode.INTERNAL


def test_every_reason_has_the_status_the_documentation_tells():
    rows = re.findall(r"^\| ([A-Z_, ]+) \| (.+) \|$", DOCUMENTATION.read_text(), re.MULTILINE)
    told = {
        (name, reason) for names, text in rows for name in names.split(", ") for reason in re.findall("`(\\w+)`", text)
    }
    codes = {reason: status_of(WorkerError("", reason=reason)).name for reason in Reason}
    assert {(code, reason.value) for reason, code in codes.items()} <= told
