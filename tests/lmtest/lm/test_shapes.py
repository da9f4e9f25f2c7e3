"""A call costs what its provider reports, by the list, whichever engine carried it and however it was answered."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import dspy
import pytest

import lmtest
from lmtest.cassette.index import Index
from lmtest.cassette.interaction import Usage
from lmtest.lm.estimate import received_tokens
from lmtest.money.ledger import Ledger
from lmtest.money.prices import price_of

from .bodies import TEXT, chat, messages, wire
from .loopback import Handler, Loopback
from .recordings import run
from .shapes import AT, SHAPES, bill

# LiteLLM writes an object where its own type has a number, as Perplexity's cost is one.
pytestmark = pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")


class Answering(Handler):
    """Answers every request with the server's bodies: whole, or as a stream."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        asked = self.asked()
        whole, frames = self.owner.bodies
        if asked.get("stream") or "streamGenerateContent" in self.path:
            self.send(wire(frames), "text/event-stream")
        else:
            self.send(whole)


@pytest.fixture(scope="module")
def server():
    with Loopback(Answering) as server:
        yield server


class Recorder:
    """Asks a model once, of a provider with the bodies that it is given.

    Attributes:
        lm: The model that was asked last.
        program: The program that asked it.
        cassette: The cassette it was recorded in.
    """

    def __init__(self, server):
        self.server = server

    def __call__(self, model, bodies, *, engine, streamed=False, path="asked.yaml", **asks):
        self.server.bodies = bodies
        place = {"gemini": "/v1beta", "anthropic": "/v1" if engine == "lm15" else ""}.get(
            model.partition("/")[0], "/v1"
        )
        usual = {"api_base": f"{self.server.url}{place}", "api_key": "k" * 12, "cache": False, "num_retries": 0}
        lm = self.lm = dspy.LM(model, engine=engine, temperature=1.0, max_tokens=16_000, **usual, **asks)

        class Ask(dspy.Module):
            def forward(self, prompt):
                return dspy.Prediction(answer=lm(prompt))

            async def aforward(self, prompt):
                return dspy.Prediction(answer=await lm.acall(prompt))

        self.program = Ask()
        with lmtest.use_cassette(path, mode="record") as self.cassette:
            if streamed == "awaited":
                run(self.awaited())
            elif streamed:
                list(dspy.streamify(self.program, async_streaming=False)(prompt="Where?"))
            else:
                self.program(prompt="Where?")
        [call] = self.cassette.calls
        index = Index(Path(path))
        [recorded] = [index.read(entry) for entry in index.entries]
        return call, recorded

    async def awaited(self):
        async for _ in dspy.streamify(self.program, is_async_program=True)(prompt="Where?"):
            pass


@pytest.fixture
def record(server):
    return Recorder(server)


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


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("engine", ["lm15", "litellm"])
def test_what_no_provider_counted_is_estimated_and_never_free(record, project, monkeypatch, engine, streamed):
    monkeypatch.setenv("LMTEST_USD_PER_RUN", "0.05")
    bodies = chat(None, model="gpt-4o-mini")

    call, recorded = record("openai/gpt-4o-mini", bodies, engine=engine, streamed=streamed)

    assert (call.estimated, call.cost, call.usage) == (True, None, Usage())
    assert price_of(recorded, at=AT) is None
    [row] = Ledger(project / ".lmtest" / "ledger.sqlite3")
    assert (row.outcome, row.cost, row.usage) == ("estimated", None, Usage())
    # 16,000 tokens of output at $0.60 a million, and the few of the question.
    assert Decimal("0.0096") < Decimal("0.05") - lmtest.budget_left("openai/gpt-4o-mini") < Decimal("0.0097")


@pytest.mark.parametrize("engine", ["lm15", "litellm"])
def test_a_stream_that_is_awaited_is_counted_alike(record, engine):
    shape = SHAPES["anthropic: a stream's end has the output alone"]
    call, _ = record(shape.model, shape.bodies, engine=engine, streamed="awaited")
    assert call.cost == shape.usd

    bodies = chat(None, model="gpt-4o-mini")
    call, _ = record("openai/gpt-4o-mini", bodies, engine=engine, streamed="awaited", path="uncounted.yaml")
    assert call.estimated


def test_a_program_reads_the_count_that_litellm_made_up_and_reads_it_again_in_a_replay(record):
    record("openai/gpt-4o-mini", chat(None, model="gpt-4o-mini"), engine="litellm", streamed=True)
    told = record.lm.history[-1]["usage"]
    with lmtest.use_cassette("asked.yaml", mode="replay") as cassette:
        list(dspy.streamify(record.program, async_streaming=False)(prompt="Where?"))

    assert told["completion_tokens"] > 0
    assert record.lm.history[-1]["usage"] == told
    assert [(call.usage, call.worth, call.estimated) for call in cassette.played] == [(Usage(), None, False)]


def test_a_stream_of_litellms_whose_usage_is_asked_for_is_counted_or_said_not_to_be(record):
    usage = {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29}
    with dspy.context(track_usage=True):
        for number, (said, usd) in enumerate(((usage, bill((19, "0.15"), (10, "0.6"))), (None, None))):
            bodies = chat(said, model="gpt-4o-mini")
            call, _ = record("openai/gpt-4o-mini", bodies, engine="litellm", streamed=True, path=f"{number}.yaml")
            assert call.cost == usd


def test_a_stream_of_anthropics_that_is_cut_costs_the_input_it_began_with_and_what_was_received(record):
    usage = {"input_tokens": 100_000, "output_tokens": 500, "cache_read_input_tokens": 50_000}
    whole, frames = messages(usage, model="claude-sonnet-4-5")
    received = received_tokens([{"delta": {"type": "text", "text": TEXT}}], "anthropic/claude-sonnet-4-5")

    with pytest.raises(dspy.LMError):
        record("anthropic/claude-sonnet-4-5", (whole, frames[:3]), engine="lm15", streamed=True)

    [call] = record.cassette.calls
    assert (call.usage.input_tokens, call.usage.cache_read_tokens, call.usage.output_tokens) == (100_000, 50_000, None)
    assert call.cost == bill((100_000, "3"), (50_000, "0.3"), (received, "15"))
