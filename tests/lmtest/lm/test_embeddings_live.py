"""An embedding that is answered live passes every limit, and is a row of the ledger."""

import asyncio
import contextlib
import contextvars
import threading
import uuid
from decimal import Decimal

import dspy
import litellm
import numpy as np
import openai
import pytest

import lmtest
from lmtest.lm import outside
from lmtest.lm.billing import run_id
from lmtest.money.ledger import Ledger

from .embedding_server import CUT, HANG, MODEL, PRICE, EmbeddingServer, vector

PRICE = Decimal(PRICE)
LIVE = ["live", "record", "auto", "refresh"]


@pytest.fixture
def server():
    with EmbeddingServer() as answering:
        yield answering


def rows(project):
    return [row for row in Ledger(project / ".lmtest" / "ledger.sqlite3") if row.hit == "live"]


def called(embedder, texts):
    return embedder(texts)


def awaited(embedder, texts):
    return asyncio.run(embedder.acall(texts))


BOTH = pytest.mark.parametrize("ask", [called, awaited])


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", LIVE)
@BOTH
def test_it_is_a_row_with_its_tokens_and_its_price(server, project, ask, mode):
    with lmtest.use_cassette("a.yaml", mode=mode, test="test_a.py::test_it", execution="job-7") as cassette:
        found = ask(server.embedder(), ["Paris", "Lyon"])
    assert np.array_equal(found, np.array([vector("Paris"), vector("Lyon")], dtype=np.float32))
    [row] = rows(project)
    assert (row.model, row.mode, row.test, row.execution) == (MODEL, mode, "test_a.py::test_it", "job-7")
    assert (row.run, row.outcome, row.provider) == (run_id(), "ok", "litellm")
    assert (row.usage.input_tokens, row.usage.output_tokens, row.usage.total_tokens) == (4, 0, 4)
    assert row.cost == 4 * PRICE == cassette.cost
    assert row.latency > 0
    assert row.price_version.startswith("genai-prices ")


def test_each_batch_is_a_request_and_a_row(server, project):
    with lmtest.use_cassette(mode="live"):
        server.embedder(batch_size=2)(["one", "two", "three"])
    assert [request["input"] for request in server.requests] == [["one", "two"], ["three"]]
    assert [row.usage.input_tokens for row in rows(project)] == [4, 2]


def test_what_dspy_has_cached_is_asked_inside_a_cassette_and_costs_nothing_outside(server, project):
    embedder, text = server.embedder(), uuid.uuid4().hex
    embedder(text)
    embedder(text)
    asyncio.run(embedder.acall(text))
    assert len(server.requests) == 2  # DSPy keeps those that are awaited apart
    with lmtest.use_cassette(mode="live") as cassette:
        embedder(text)
        asyncio.run(embedder.acall(text))
    assert len(server.requests) == 4
    assert len(rows(project)) == len(cassette.calls) == 2


def test_a_function_of_ones_own_embeds_in_every_mode_and_is_no_call(project):
    embedder = dspy.Embedder(lambda texts: [[float(len(text))] for text in texts], caching=False)
    for mode in ("live", "record", "mock"):
        with lmtest.use_cassette("own.yaml", mode=mode) as cassette:
            assert embedder("four").tolist() == [4.0]
        assert cassette.calls == ()
    assert rows(project) == []


def test_tokens_that_nobody_counted_are_held_at_their_estimate(project):
    uncounted = {"object": "list", "model": "m", "data": [{"embedding": [0.5], "index": 0, "object": "embedding"}]}
    with EmbeddingServer(uncounted) as server, lmtest.use_cassette(mode="live"):
        server.embedder()("Paris")
    [row] = rows(project)
    assert (row.outcome, row.cost) == ("estimated", None)


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@BOTH
def test_what_the_budget_does_not_hold_is_not_sent(server, project, ask):
    with (
        pytest.raises(lmtest.BudgetExceeded) as caught,
        lmtest.use_cassette("a.yaml", mode="record", limits={"usd_per_run": "0.000001"}),
    ):
        ask(server.embedder(), "a long text " * 1000)
    assert server.requests == []
    assert rows(project) == []
    assert caught.value.estimate >= 3_000 * PRICE
    assert "output tokens" not in str(caught.value)
    assert not (project / "a.yaml").exists()


def test_what_is_set_aside_is_the_texts_at_the_price_of_input(server, project):
    with lmtest.use_cassette(mode="live", limits={"usd_per_run": "0.000001"}) as cassette:  # 50 tokens
        server.embedder()("Paris")
        spent = cassette.cost
        with pytest.raises(lmtest.BudgetExceeded) as caught:
            server.embedder()("word " * 200)
    assert (caught.value.spent, spent) == (2 * PRICE, 2 * PRICE)


def test_a_model_without_a_price_is_refused_where_somebody_set_a_budget(server):
    with (
        pytest.raises(lmtest.BudgetExceeded, match="unknown"),
        lmtest.use_cassette(mode="live", limits={"usd_per_month": 1}),
    ):
        server.embedder("openai/no-such-embedding")("Paris")
    assert server.requests == []


@BOTH
@pytest.mark.parametrize(
    "limits", [{"requests_per_minute": 1}, {"tokens_per_minute": 40}, {f"{MODEL}": {"requests_per_minute": 1}}]
)
def test_a_rate_holds_it(server, ask, limits):
    with lmtest.use_cassette(mode="live", limits={**limits, "max_wait": 0}):
        ask(server.embedder(), "Paris is the capital of France")
        with pytest.raises(lmtest.RateLimited):
            ask(server.embedder(), "Lyon is no capital of anything")
    assert len(server.requests) == 1


def test_no_more_are_under_way_at_once_than_may_be():
    with (
        EmbeddingServer(HANG) as server,
        lmtest.use_cassette(mode="live", limits={"max_concurrency": 1, "max_wait": 0}),
    ):
        context = contextvars.copy_context()
        one = threading.Thread(target=context.run, args=(_quietly, server.embedder(), "one"))
        one.start()
        server.wait_for(1)
        with pytest.raises(lmtest.RateLimited):
            server.embedder()("two")
        server.closing.set()
        one.join()


def _quietly(embedder, text):
    with contextlib.suppress(Exception):
        embedder(text, max_retries=1)


def test_limits_of_lms_and_embeddings_are_one(server, provider, lm):
    with dspy.context(lm=lm), lmtest.use_cassette(mode="live", limits={"requests_per_minute": 1, "max_wait": 0}):
        server.embedder()("Paris")
        with pytest.raises(lmtest.RateLimited):
            dspy.Predict("question -> answer")(question="Why?")
    assert provider.requests == []


# ── failures ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@BOTH
def test_each_request_of_one_that_fails_is_a_row_and_the_error_is_litellm_s(project, ask):
    with EmbeddingServer(500, 500, 500) as server, lmtest.use_cassette(mode="live") as cassette:
        with pytest.raises(litellm.InternalServerError, match="the script says 500"):
            ask(server.embedder(), "Paris")
    assert len(server.requests) == 3
    assert [(row.outcome, row.cost) for row in rows(project)] == [("server", 0)] * 3
    assert [call.failed for call in cassette.calls] == ["server"] * 3


AGAIN = pytest.mark.parametrize("first", [408, 409, 429, 503, CUT])


@BOTH
@AGAIN
def test_what_is_sent_again_is_a_row_of_its_own(project, ask, first):
    with EmbeddingServer(first) as server, lmtest.use_cassette(mode="live"):
        found = ask(server.embedder(), "Paris")
    assert np.array_equal(found, np.array(vector("Paris"), dtype=np.float32))
    assert len(server.requests) == 2
    assert [row.outcome == "ok" for row in rows(project)] == [False, True]


@BOTH
@AGAIN
def test_what_is_sent_again_passes_the_limits_again(ask, first):
    limits = {"requests_per_minute": 1, "max_wait": 0}
    with EmbeddingServer(first) as server, lmtest.use_cassette(mode="live", limits=limits):
        with pytest.raises(lmtest.RateLimited):
            ask(server.embedder(), "Paris")
    assert len(server.requests) == 1


def test_what_is_refused_for_good_is_sent_once(project):
    with EmbeddingServer(401) as server, lmtest.use_cassette(mode="live"):
        with pytest.raises(openai.AuthenticationError):
            server.embedder()("Paris")
    assert len(server.requests) == 1
    assert [(row.outcome, row.cost) for row in rows(project)] == [("auth", 0)]


def test_how_often_it_is_sent_again_is_the_caller_s_to_say(project):
    with EmbeddingServer(500, 500, 500) as server, lmtest.use_cassette(mode="live"):
        with pytest.raises(litellm.InternalServerError):
            server.embedder(max_retries=1)("Paris")
    assert len(server.requests) == 2


def test_a_client_that_asks_again_by_itself_is_not_asked_again(project):
    with EmbeddingServer(500, 500, 500) as server, lmtest.use_cassette(mode="live"):
        with pytest.raises(litellm.InternalServerError):
            server.embedder("mistral/mistral-embed")("Paris")
    assert len(server.requests) == 3  # LiteLLM tells that client nothing of retries
    assert len(rows(project)) == 1


def test_a_timeout_may_be_charged_and_is_held_at_its_worst(project):
    with EmbeddingServer(HANG, HANG) as server:
        with lmtest.use_cassette(mode="live", limits={"usd_per_run": "0.0000015"}):  # 75 tokens
            with pytest.raises(litellm.Timeout):
                server.embedder(timeout=0.3, max_retries=1)("word " * 20)
            with pytest.raises(lmtest.BudgetExceeded):
                server.embedder()("word " * 20)
    assert len(server.requests) == 2
    assert [(row.outcome, row.cost) for row in rows(project)] == [("timeout", None)] * 2


def test_one_that_was_given_up_is_booked_and_held_at_its_worst(project):
    async def give_up(server):
        asking = asyncio.ensure_future(server.embedder().acall("word " * 20))
        await asyncio.to_thread(server.wait_for, 1)
        asking.cancel()
        await asking

    with EmbeddingServer(HANG) as server:
        with lmtest.use_cassette(mode="live", limits={"usd_per_run": "0.000001"}):
            with pytest.raises(asyncio.CancelledError):
                asyncio.run(give_up(server))
            with pytest.raises(lmtest.BudgetExceeded):
                server.embedder()("word " * 20)
    assert [(row.outcome, row.cost) for row in rows(project)] == [("abandoned", None)]


def test_one_that_hangs_in_a_thread_is_booked_when_its_cassette_closes(project):
    with EmbeddingServer(HANG) as server:
        with lmtest.use_cassette(mode="live"):
            hanging = threading.Thread(target=contextvars.copy_context().run, args=(_quietly, server.embedder(), "one"))
            hanging.start()
            server.wait_for(1)
        assert [(row.outcome, row.cost) for row in rows(project)] == [("abandoned", None)]
        server.closing.set()
        hanging.join()
        assert len(server.requests) == 1  # what failed then is not sent again
    assert len(rows(project)) == 1


def test_a_stop_ends_it(project):
    stop = lmtest.Stop()
    with EmbeddingServer(HANG) as server, lmtest.use_cassette(mode="live", stop=stop):

        async def stopped():
            asking = asyncio.ensure_future(server.embedder().acall("Paris"))
            await asyncio.to_thread(server.wait_for, 1)
            stop.now()
            await asking

        with pytest.raises(lmtest.Stopped, match="hung up on"):
            asyncio.run(stopped())
        with pytest.raises(lmtest.Stopped, match="not sent"):
            server.embedder()("Lyon")
    assert len(server.requests) == 1


def test_in_a_thread_it_gets_what_is_left_of_the_time(project):
    with EmbeddingServer(HANG) as server, lmtest.use_cassette(mode="live", stop=lmtest.Stop(after=0.3)):
        with pytest.raises((lmtest.Stopped, litellm.Timeout)):
            server.embedder()("Paris")
    assert [row.outcome for row in rows(project)] == ["timeout"]


# ── the wire ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@BOTH
@pytest.mark.parametrize(
    "options", [{}, {"dimensions": 4, "user": "u"}, {"extra_headers": {"x-a": "b"}}, {"timeout": 5, "max_retries": 1}]
)
def test_recording_changes_nothing_on_the_wire(ask, options):
    steps = [500]
    with EmbeddingServer(*steps) as alone:
        ask(alone.embedder(caching=False, **options), ["Paris", "Lyon"])
    with EmbeddingServer(*steps) as recorded, lmtest.use_cassette("a.yaml", mode="record"):
        ask(recorded.embedder(caching=False, **options), ["Paris", "Lyon"])
    assert len(alone.requests) == 2
    assert recorded.requests == alone.requests
    assert [_but_the_port(each) for each in recorded.headers] == [_but_the_port(each) for each in alone.headers]


def _but_the_port(headers):
    return {name.lower(): value for name, value in headers.items() if name.lower() != "host"}


def test_what_litellm_writes_into_its_arguments_is_no_part_of_the_next_call(server):
    embedder = server.embedder(metadata={"team": "search"})
    with lmtest.use_cassette("a.yaml", mode="record"):
        embedder("Paris")
        embedder("Lyon")
    with lmtest.use_cassette("a.yaml", mode="replay") as cassette:
        embedder("Paris")
        embedder("Lyon")
    assert len(cassette.played) == 2


# ── outside every cassette ───────────────────────────────────────────────────────────────────────────────────────────


def test_outside_every_cassette_it_is_refused_with_the_words_for_lms(server):
    refused = []
    before = outside.answer(lambda: outside.Refusal("{} was not sent".format, refused.append))
    try:
        embedder = server.embedder()
        for ask in (called, awaited):
            with pytest.raises(lmtest.NetworkBlocked, match=f"{MODEL} was not sent"):
                ask(embedder, "Paris")
        assert dspy.Embedder(lambda texts: [[1.0] for _ in texts])("own").tolist() == [1.0]
    finally:
        outside.answer(before)
    assert server.requests == []
    assert len(refused) == 2


def test_outside_every_cassette_it_is_booked_but_where_dspy_s_cache_has_it(server, project):
    live = outside.Live("test_a.py::test_it")
    before = outside.answer(lambda: live.scope)
    try:
        text = uuid.uuid4().hex
        for _ in range(2):
            server.embedder()(text)
    finally:
        outside.answer(before)
        live.close()
    assert [(row.test, row.mode, row.cost) for row in rows(project)] == [("test_a.py::test_it", "live", 2 * PRICE)]
