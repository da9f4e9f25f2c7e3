"""Who may serve tools, where tokens are asked for."""

import grpc
import pytest

from python_worker.client import Reason, WorkerError, connect
from python_worker.domain.access import Grant, Tokens
from python_worker.v1 import worker_pb2 as pb
from python_worker.v1.worker_pb2_grpc import WorkerStub
from python_worker.wire.errors import TRAILER

from ..calling import digest  # noqa: TID252 - tests are no installed package

TOKENS = Tokens({digest("root"): Grant(name="root"), digest("ada"): Grant(name="ada", sessions=("ada-*",))})


@pytest.fixture
def guarded(start):
    worker = start("mock", tokens=TOKENS)
    with connect(worker.target, token="root") as root:
        for session in ("ada-1", "bob-1"):
            root.session(session)
    return worker


def serve(worker, token, **options):
    with connect(worker.target, token=token) as client, client.serve_tools({"look": lambda: 1}, **options):
        return "served"


def reason(*args, **options):
    with pytest.raises(WorkerError) as caught:
        serve(*args, **options)
    return caught.value.reason


def test_a_token_for_everything_serves_everybody(guarded):
    assert serve(guarded, "root") == "served"


def test_a_token_of_sessions_serves_those_and_no_others_nor_everybody(guarded):
    assert serve(guarded, "ada", session="ada-1") == "served"
    assert reason(guarded, "ada", session="bob-1") is Reason.PERMISSION_DENIED
    assert reason(guarded, "ada") is Reason.PERMISSION_DENIED


@pytest.mark.parametrize("token", [None, "unknown"])
def test_without_a_token_that_is_known_nobody_serves(guarded, token):
    assert reason(guarded, token) is Reason.UNAUTHENTICATED


def test_a_second_registration_is_held_to_the_token_too(guarded):
    def messages():
        for session in ("ada-1", "bob-1"):
            tools = [pb.Tool(name="look")]
            yield pb.ToolClientMessage(register=pb.ToolClientMessage.Register(session=session, tools=tools))

    with grpc.insecure_channel(guarded.target) as channel:
        stream = WorkerStub(channel).ServeTools(messages(), metadata=[("authorization", "Bearer ada")], timeout=30)
        assert list(next(stream).registered.tools) == ["look"]
        with pytest.raises(grpc.RpcError) as caught:
            next(stream)
    detail = pb.ErrorDetail.FromString(dict(caught.value.trailing_metadata())[TRAILER])
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert detail.reason == Reason.PERMISSION_DENIED


def test_bytes_that_are_no_message_are_told_as_such(start):
    worker = start("mock")
    with grpc.insecure_channel(worker.target) as channel:
        call = channel.stream_stream("/python_worker.v1.Worker/ServeTools")
        with pytest.raises(grpc.RpcError) as caught:
            next(call(iter([b"\xff\xff\xff"]), timeout=30))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
