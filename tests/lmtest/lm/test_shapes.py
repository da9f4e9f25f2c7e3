"""A call costs what its provider reports, by the list, whichever engine carried it and however it was answered."""

import json
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dspy
import pytest

import lmtest
from lmtest.cassette.index import Index
from lmtest.money.prices import price_of

from .bodies import chat, messages, wire
from .shapes import AT, SHAPES, bill

# LiteLLM writes an object where its own type has a number, as Perplexity's cost is one.
pytestmark = pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")


class Answering(BaseHTTPRequestHandler):
    """Answers every request with the server's bodies: whole, or as a stream."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        whole, frames = self.server.bodies
        if asked.get("stream") or "streamGenerateContent" in self.path:
            self.send(wire(frames), "text/event-stream")
        else:
            self.send(json.dumps(whole).encode(), "application/json")

    def send(self, content, kind):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def record(server):
    """Ask a model once, of a provider with these bodies: the call, and what was recorded of it."""

    def record(model, bodies, *, engine, streamed=False, **asks):
        server.bodies = bodies
        seller = model.partition("/")[0]
        path = {"gemini": "/v1beta", "anthropic": "/v1" if engine == "lm15" else ""}.get(seller, "/v1")
        base = f"http://127.0.0.1:{server.server_address[1]}{path}"
        usual = {"api_base": base, "api_key": "k" * 12, "cache": False, "num_retries": 0}
        lm = dspy.LM(model, engine=engine, temperature=1.0, max_tokens=16_000, **usual, **asks)

        class Ask(dspy.Module):
            def forward(self, prompt):
                return dspy.Prediction(answer=lm(prompt))

        with lmtest.use_cassette("asked.yaml", mode="record") as cassette:
            if streamed:
                list(dspy.streamify(Ask(), async_streaming=False)(prompt="Where?"))
            else:
                Ask()(prompt="Where?")
        [call] = cassette.calls
        index = Index(Path("asked.yaml"))
        [recorded] = [index.read(entry) for entry in index.entries]
        return call, recorded

    return record


WAYS = [
    pytest.param(shape, engine, streamed, id=f"{name}, {engine}, {'streamed' if streamed else 'whole'}")
    for name, shape in SHAPES.items()
    for engine in shape.engines
    for streamed in (False, True)
    # In whole bodies nothing counts on.
    if streamed or "a stream's end counts on" not in name
]


@pytest.mark.parametrize(("shape", "engine", "streamed"), WAYS)
def test_a_call_costs_what_its_provider_reports(record, shape, engine, streamed):
    call, recorded = record(shape.model, shape.bodies, engine=engine, streamed=streamed, **shape.asks)

    assert price_of(recorded, at=AT).usd == shape.usd
    assert call.cost == recorded.cost == price_of(recorded, at=datetime.fromisoformat(recorded.recorded_at)).usd
