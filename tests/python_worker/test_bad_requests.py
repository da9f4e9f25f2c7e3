"""What a client in any language may get wrong: the status, the detail, and nothing changed."""

import grpc
import pytest

from python_worker.v1 import worker_pb2 as pb
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


def test_a_message_beyond_the_limit_is_resource_exhausted(start_worker):
    worker = start_worker(max_message_bytes=10_000)
    with grpc.insecure_channel(worker.target) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/python_worker.v1.State/GetVariable")(bytes(20_000), timeout=20)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
