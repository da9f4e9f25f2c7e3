"""A call is priced by the tier it was served in and by how long the provider keeps its cache, live and recorded."""

import json
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dspy
import pytest

import lmtest
from lmtest.cassette.index import Index
from lmtest.cassette.interaction import EventStream, Interaction, StreamedEvent
from lmtest.money.terms import Terms, asked, billed

TEXT = "[[ ## answer ## ]]\nParis\n\n[[ ## completed ## ]]"
CLAUDE = "anthropic/claude-sonnet-4-5"
qa = dspy.Predict("question -> answer", max_tokens=1000)


class OneAnswer(BaseHTTPRequestHandler):
    """Answers every request with the server's body, and keeps what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        body = self.server.answer
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if body.startswith(b"event") else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def answering(project):
    with ThreadingHTTPServer(("127.0.0.1", 0), OneAnswer) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def answering(body):
            server.answer = body if isinstance(body, bytes) else json.dumps(body).encode()
            server.url = f"http://127.0.0.1:{server.server_address[1]}"
            return server

        yield answering
        server.shutdown()


def openai_answer(tier):
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4.1",
        "service_tier": tier,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 100_000, "total_tokens": 1_100_000},
    }


USAGE = {
    "input_tokens": 0,
    "output_tokens": 0,
    "cache_read_input_tokens": 0,
    "cache_creation_input_tokens": 100_000,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 100_000},
}
ANTHROPIC_ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": TEXT}],
    "stop_reason": "end_turn",
    "usage": USAGE,
}


def record(lm, **options):
    with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="record", **options) as cassette:
        qa(question="What is the capital of France?")
    [call] = cassette.calls
    return call


@pytest.mark.parametrize("engine", ["litellm", "lm15"])
@pytest.mark.parametrize(("served", "usd"), [("priority", "4.9"), ("default", "2.8")])
def test_an_answer_is_priced_by_the_tier_that_served_it(answering, engine, served, usd):
    server = answering(openai_answer(served))
    lm = dspy.LM(
        "openai/gpt-4.1", engine=engine, api_base=f"{server.url}/v1", api_key="k" * 12, service_tier="priority"
    )

    call = record(lm)

    assert server.asked[0]["service_tier"] == "priority"
    assert call.cost == Decimal(usd)
    assert call.dspy_cost == pytest.approx(call.cost)


def test_a_request_for_priority_does_not_pass_a_budget_at_the_standard_price(answering):
    server = answering(openai_answer("priority"))
    lm = dspy.LM("openai/gpt-4.1", engine="litellm", api_base=f"{server.url}/v1", api_key="k" * 12)
    standard = {"limits": {"usd_per_run": "0.010"}}  # 1,000 tokens of output cost $0.008, and $0.014 by priority
    with pytest.raises(lmtest.BudgetExceeded, match=r"could cost \$0\.014"):
        record(lm.copy(service_tier="priority"), **standard)
    assert server.asked == []

    record(lm, **standard)


@pytest.mark.parametrize("engine", ["litellm", "lm15"])
def test_what_anthropic_caches_for_an_hour_has_its_own_rate(answering, engine):
    server = answering(ANTHROPIC_ANSWER)
    base = server.url if engine == "litellm" else f"{server.url}/v1"

    call = record(dspy.LM(CLAUDE, engine=engine, api_base=base, api_key="k" * 12))

    assert call.cost == Decimal("0.6")


def test_a_recording_can_be_priced_again(answering):
    server = answering(ANTHROPIC_ANSWER)
    record(dspy.LM(CLAUDE, engine="lm15", api_base=f"{server.url}/v1", api_key="k" * 12))

    index = Index(Path("qa.yaml"))
    [interaction] = [index.read(entry) for entry in index.entries]
    assert billed(interaction) == Terms(written_for_long=100_000)


@pytest.mark.parametrize("said", [None, "auto", "default", "STANDARD", "standard_only", "ON_DEMAND"])
def test_many_words_are_no_tier(said):
    assert asked({"config": {"service_tier": said}}) == Terms()


def test_geminis_word_for_a_tier_is_understood():
    assert asked({"config": {"service_tier": "SERVICE_TIER_PRIORITY"}}).tier == "priority"


def test_a_streams_end_says_what_it_was_billed_by():
    end = {"type": "end", "provider_data": {"service_tier": "flex", "usage": {"total_tokens": 1}}}
    events = tuple(StreamedEvent(at=0.0, event=event) for event in ({"type": "delta"}, end))
    request = {"model": "openai/gpt-5-mini", "config": {"service_tier": "priority"}}

    assert billed(Interaction(key="k", request=request, outcome=EventStream(events=events))).tier == "flex"
    assert billed(Interaction(key="k", request=request, outcome=EventStream(events=events[:1]))).tier == "priority"
