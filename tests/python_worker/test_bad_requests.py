"""What a client in any language may get wrong: the status, the detail, and nothing changed."""

import grpc
import pytest

from python_worker.client import Reason, WorkerError, connect
from python_worker.v1 import worker_pb2 as pb
from python_worker.v1.worker_pb2_grpc import StateStub
from python_worker.wire.errors import TRAILER

SESSION = {"session": "ada"}
TENSOR = pb.Tensor(dtype="float32", shape=[2, 2], data=bytes(12))


@pytest.fixture
def worker(start_worker):
    worker = start_worker()
    worker.client.session("ada")["x"] = 1
    return worker


def status(worker, method, data):
    """How a call with these bytes ends."""
    with grpc.insecure_channel(worker.target) as channel, pytest.raises(grpc.RpcError) as caught:
        call = channel.unary_unary(f"/python_worker.v1.State/{method}")
        call(data if isinstance(data, bytes) else data.SerializeToString(), timeout=20)
    trailer = dict(caught.value.trailing_metadata())[TRAILER]
    detail = pb.ErrorDetail.FromString(trailer)
    return caught.value.code().name, detail.reason, detail.field


@pytest.mark.parametrize(
    ("method", "request_", "ending"),
    [
        (
            "SetVariable",
            pb.SetVariableRequest(**SESSION, variable="x"),
            ("INVALID_ARGUMENT", "invalid_argument", "value"),
        ),
        (
            "SetVariable",
            pb.SetVariableRequest(**SESSION, variable="x", value=pb.Value(tensor=TENSOR)),
            ("INVALID_ARGUMENT", "invalid_argument", "value"),
        ),
        (
            "SetVariable",
            pb.SetVariableRequest(**SESSION, variable="x", value=pb.Value(string="one")),
            ("INVALID_ARGUMENT", "validation_error", "x"),
        ),
        (
            "SetVariable",
            pb.SetVariableRequest(**SESSION, variable="x", value=pb.Value(integer=2), expected_version=7),
            ("ABORTED", "stale_version", "expected_version"),
        ),
        ("GetVariable", pb.GetVariableRequest(**SESSION, variable="y"), ("NOT_FOUND", "not_found", "variable")),
        ("GetVariable", pb.GetVariableRequest(variable="x"), ("NOT_FOUND", "not_found", "session")),
        ("GetVariable", pb.GetVariableRequest(**SESSION, variable="\0"), ("NOT_FOUND", "not_found", "variable")),
        (
            "RegisterVariable",
            pb.RegisterVariableRequest(**SESSION, name="x", value=pb.Value(integer=1)),
            ("ALREADY_EXISTS", "already_exists", "name"),
        ),
        (
            "ListVariables",
            pb.ListVariablesRequest(**SESSION, page_size=-1),
            ("INVALID_ARGUMENT", "invalid_argument", "page_size"),
        ),
        (
            "GetVariables",
            pb.GetVariablesRequest(**SESSION, variables=["x"] * 1_000_000),
            ("RESOURCE_EXHAUSTED", "limit", "variables"),
        ),
        # Field 2 of a GetVariableRequest, of two bytes that are no UTF-8; then bytes that are no message at all.
        ("GetVariable", b"\n\x03ada\x12\x02\xc3\x28", ("INVALID_ARGUMENT", "invalid_argument", "")),
        ("GetVariable", b"\xff\xff\xff", ("INVALID_ARGUMENT", "invalid_argument", "")),
    ],
)
def test_a_bad_request_ends_with_its_status_and_detail_and_changes_nothing(worker, method, request_, ending):
    before = worker.client.session("ada").info().position
    assert status(worker, method, request_) == ending
    assert worker.client.session("ada").info().position == before
    assert worker.client.session("ada")["x"] == 1


def test_a_request_beyond_the_limit_is_resource_exhausted_with_a_detail(start_worker):
    worker = start_worker(max_message_bytes=10_000)
    request = pb.GetVariableRequest(session="a" * 15_000)
    assert status(worker, "GetVariable", request) == ("RESOURCE_EXHAUSTED", "limit", "")


def test_a_request_far_beyond_the_limit_is_not_even_received(start_worker):
    worker = start_worker(max_message_bytes=10_000)
    with grpc.insecure_channel(worker.target) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/python_worker.v1.State/GetVariable")(bytes(30_000), timeout=20)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_an_answer_beyond_the_limit_is_resource_exhausted_with_a_detail(start_worker):
    worker = start_worker(max_message_bytes=10_000)
    session = worker.client.session("ada")
    for name in "xyz":
        session[name] = "a" * 5_000
    request = pb.GetVariablesRequest(**SESSION, variables=["x", "y", "z"])
    assert status(worker, "GetVariables", request) == ("RESOURCE_EXHAUSTED", "limit", "")
    with session.watch("x", include_initial=True) as watching:
        assert next(watching).new == "a" * 5_000


def test_the_client_does_not_send_what_would_be_refused(worker):
    with connect(worker.target, max_message_bytes=10_000) as client:
        with pytest.raises(WorkerError, match=r"the request has 20,\d+ bytes, and a message at most 10,000") as caught:
            client.session("ada")["x"] = "a" * 20_000
    assert caught.value.reason is Reason.LIMIT


def test_an_item_that_is_no_value_refuses_itself_where_the_batch_is_not_atomic(worker):
    items = [
        pb.SetVariablesRequest.Item(variable="x", value=pb.Value(integer=2)),
        pb.SetVariablesRequest.Item(variable="x"),
        pb.SetVariablesRequest.Item(variable="y", value=pb.Value(tensor=TENSOR), register=True),
        pb.SetVariablesRequest.Item(variable="z", value=pb.Value(integer=3), register=True),
    ]
    with grpc.insecure_channel(worker.target) as channel:
        request = pb.SetVariablesRequest(**SESSION, items=items)
        results = StateStub(channel).SetVariables(request, timeout=20).results
    assert [result.WhichOneof("outcome") for result in results] == ["variable", "error", "error", "variable"]
    assert [(each.error.reason, each.error.field) for each in results[1:3]] == [
        ("invalid_argument", "items[1].value"),
        ("invalid_argument", "items[2].value"),
    ]
    assert dict(worker.client.session("ada")) == {"x": 2, "z": 3}


def test_an_item_that_is_no_value_refuses_an_atomic_batch(worker):
    items = [
        pb.SetVariablesRequest.Item(variable="x", value=pb.Value(integer=2)),
        pb.SetVariablesRequest.Item(variable="x"),
    ]
    request = pb.SetVariablesRequest(**SESSION, items=items, atomic=True)
    assert status(worker, "SetVariables", request) == ("INVALID_ARGUMENT", "invalid_argument", "items[1].value")
    assert worker.client.session("ada")["x"] == 1
