"""What tests of tools that clients serve share: tools, what became of their calls, and a client by hand."""

import json
import queue
import threading
import time

import grpc
import pytest

from python_worker.client import WorkerError
from python_worker.domain.stage import Stage
from python_worker.v1 import worker_pb2 as pb
from python_worker.v1.worker_pb2_grpc import WorkerStub
from python_worker.wire.errors import TRAILER


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


def uses(execution):
    [record] = [record for record in execution.stages if record.stage is Stage.ADAPTER_EXECUTION]
    return [(use.tool, use.hit, use.error) for use in record.tools]


def prompts(worker):
    return [json.dumps(request) for request in worker.provider.requests]


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
