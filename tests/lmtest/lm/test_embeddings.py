"""Embeddings are recorded, played back and made up, and a program cannot tell by whom."""

import asyncio
import contextlib
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

import dspy
import litellm
import numpy as np
import pytest

import lmtest
from lmtest.cassette import library
from lmtest.cassette.compare import compare
from lmtest.cassette.index import Index
from lmtest.cassette.redact import of_process
from lmtest.cassette.verify import verify
from lmtest.money.ledger import Ledger
from lmtest.report.terminal import comparison, conversation

from .embedding_server import HANG, MODEL, PRICE, EmbeddingServer, vector

CITIES = ["Paris is the capital of France", "Rome is the capital of Italy", "Bern is in Switzerland"]


@pytest.fixture
def server():
    with EmbeddingServer() as answering:
        yield answering


@pytest.fixture
def gone():
    """An embedder where nobody listens and no key is given, as in CI."""
    return dspy.Embedder(MODEL, api_base="http://127.0.0.1:9/v1")


def called(embedder, texts, **options):
    return embedder(texts, **options)


def awaited(embedder, texts, **options):
    return asyncio.run(embedder.acall(texts, **options))


BOTH = pytest.mark.parametrize("ask", [called, awaited])


def record(server, *asked, path="a.yaml", mode="record", **options):
    with lmtest.use_cassette(path, mode=mode, **options) as cassette:
        found = [server.embedder()(texts) for texts in asked]
    return found, cassette


def replay(path="a.yaml", mode="replay", **options):
    return lmtest.use_cassette(path, mode=mode, **options)


# ── recorded and played ──────────────────────────────────────────────────────────────────────────────────────────────


@BOTH
def test_what_is_recorded_is_played_to_the_last_bit_without_the_provider(server, gone, ask):
    with lmtest.use_cassette("a.yaml", mode="record"):
        many, one = ask(server.embedder(), CITIES), ask(server.embedder(), "Paris")
    assert many.dtype == one.dtype == np.float32
    assert many.tobytes() == np.array([vector(text) for text in CITIES], dtype=np.float32).tobytes()
    with replay() as cassette:
        assert ask(gone, CITIES).tobytes() == many.tobytes()
        assert ask(gone, "Paris").tobytes() == one.tobytes()
    assert [call.hit for call in cassette.calls] == ["cassette"] * 2
    assert cassette.unplayed == ()
    assert len(server.requests) == 2


def test_a_replay_imports_no_litellm(server):
    record(server, "Paris")
    code = f"""
import sys, dspy, lmtest
with lmtest.use_cassette("a.yaml", mode="replay"):
    dspy.Embedder({MODEL!r})("Paris")
assert "litellm.main" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_sync_recording_is_played_to_who_awaits_it(server, gone):
    [recorded], _ = record(server, CITIES)
    with replay():
        assert awaited(gone, CITIES).tobytes() == recorded.tobytes()


def test_a_replay_costs_nothing_and_says_what_it_saved(server, gone, project):
    record(server, CITIES)
    with replay():
        gone(CITIES)
    row = list(Ledger(project / ".lmtest" / "ledger.sqlite3"))[-1]
    assert (row.hit, row.cost, row.model, row.usage.input_tokens) == ("cassette", 0, MODEL, 6)
    assert row.would_cost == 6 * type(row.would_cost)(PRICE)


def test_the_key_is_over_model_texts_and_settings_and_over_no_credential(server, gone):
    with lmtest.use_cassette("a.yaml", mode="record"):
        server.embedder()("Paris", dimensions=4)
    with replay():
        assert gone("Paris", dimensions=4, api_key="another", timeout=3, max_retries=7).shape == (4,)
    for embedder, text, options in (
        (gone, "Lyon", {"dimensions": 4}),
        (gone, "Paris", {"dimensions": 5}),
        (gone, "Paris", {}),
        (dspy.Embedder("openai/text-embedding-3-large"), "Paris", {"dimensions": 4}),
    ):
        with pytest.raises(lmtest.CassetteMiss), replay():
            embedder(text, **options)


def test_a_miss_names_the_nearest_text(server, gone):
    record(server, "the capital of France")
    with pytest.raises(lmtest.CassetteMiss, match=r"embed\[0\]: the capital of \[-France-\]\{\+Spain\+\}"), replay():
        gone("the capital of Spain")


def test_a_miss_that_the_program_caught_is_told_by_its_next_model_call_and_at_the_end(server, gone, lm):
    record(server, "Paris")
    with pytest.raises(lmtest.CassetteMiss, match="Lyon"), replay():
        with contextlib.suppress(lmtest.CassetteMiss):
            gone("Lyon")
        with pytest.raises(lmtest.CassetteMiss, match="Lyon"), dspy.context(lm=lm):
            dspy.Predict("question -> answer")(question="Why?")


def test_what_dspy_has_cached_does_not_stand_in_for_a_recording(server, gone):
    text = uuid.uuid4().hex
    server.embedder()(text)
    with pytest.raises(lmtest.CassetteNotFound), replay():
        gone(text)


@pytest.mark.parametrize("ignored", ["config.user", "$.config.user"])
def test_what_is_declared_not_to_matter_does_not(server, gone, ignored):
    with lmtest.use_cassette("a.yaml", mode="record", ignore=(ignored,), scrub=("uuid",)):
        server.embedder()(f"Paris {uuid.uuid4()}", user="ann")
    with replay(ignore=(ignored,), scrub=("uuid",)):
        gone(f"Paris {uuid.uuid4()}", user="bob")


def test_a_secret_is_in_no_file(server, gone, project, monkeypatch):
    monkeypatch.setenv("SEARCH_API_KEY", "s3cr3t-of-the-search")
    record(server, "find s3cr3t-of-the-search")
    text = (project / "a.yaml").read_text()
    assert "s3cr3t" not in text
    assert "a-key-for-the-server" not in text
    with replay():
        gone("find s3cr3t-of-the-search")


def test_auto_asks_for_what_is_not_recorded(server, gone, project):
    record(server, "Paris")
    with replay(mode="auto") as cassette:
        server.embedder()("Paris")
        server.embedder()("Lyon")
    assert [call.hit for call in cassette.calls] == ["cassette", "live"]
    with replay():
        gone("Paris")
        gone("Lyon")


def test_a_failure_is_played_as_litellm_s_error_where_failures_are_recorded(gone):
    with EmbeddingServer(401, 500, 500, 500, 429, 429, 429) as server:
        with lmtest.use_cassette("a.yaml", mode="record", record_failures=True):
            for text, error in (
                ("a", litellm.AuthenticationError),
                ("b", litellm.InternalServerError),
                ("c", litellm.RateLimitError),
            ):
                with pytest.raises(error):
                    server.embedder()(text)
    assert len(Index(library.Path("a.yaml")).entries) == 3  # what was sent again is not asked for in a replay
    with replay(record_failures=True):
        with pytest.raises(litellm.AuthenticationError, match=r"^litellm\.AuthenticationError: [^:]+: .* says 401"):
            gone("a")
        with pytest.raises(litellm.InternalServerError, match="says 500"):
            gone("b")
        with pytest.raises(litellm.RateLimitError, match="says 429"):
            gone("c")


def test_one_that_was_given_up_is_played_as_that(gone):
    async def impatient(embedder, arrived=None):
        asking = asyncio.ensure_future(embedder.acall("Paris"))
        if arrived:
            await asyncio.to_thread(arrived, 1)
        asking.cancel()
        await asking

    with EmbeddingServer(HANG) as server, lmtest.use_cassette("a.yaml", mode="record"):
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(impatient(server.embedder(), server.wait_for))
    with pytest.raises(lmtest.CassetteMiss, match="given up before its answer came"), replay():
        gone("Paris")


@pytest.mark.parametrize("vectors", [[[0.5], [0.5, 1.0]], [[None]], [[1e300]]])
def test_what_no_cassette_can_hold_is_refused_and_paid_for(project, vectors):
    data = [{"object": "embedding", "index": place, "embedding": each} for place, each in enumerate(vectors)]
    body = {"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 7, "total_tokens": 7}}
    with EmbeddingServer(body) as server, pytest.raises(lmtest.ConfigurationError, match="a cassette cannot hold"):
        with lmtest.use_cassette("a.yaml", mode="record"), contextlib.suppress(lmtest.ConfigurationError):
            server.embedder()("Paris")
    [row] = Ledger(project / ".lmtest" / "ledger.sqlite3")
    assert (row.outcome, row.usage.input_tokens) == ("ok", 7)
    assert not (project / "a.yaml").exists()


# ── batches ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_text_is_found_in_whatever_batch_it_was_sent(server, gone):
    record(server, CITIES[:2], CITIES[2:])
    with replay() as cassette:
        found = gone(list(reversed(CITIES)))
        assert found.tobytes() == np.array([vector(text) for text in reversed(CITIES)], dtype=np.float32).tobytes()
        assert cassette.unplayed == ()
        assert gone(CITIES[0]).tobytes() == np.array(vector(CITIES[0]), dtype=np.float32).tobytes()
    whole, part = cassette.calls
    assert (whole.worth, whole.usage.input_tokens) == (6 * type(whole.worth)(PRICE), 6)
    assert 0 < part.worth < 4 * type(whole.worth)(PRICE)


def test_a_batch_with_a_text_that_is_not_recorded_is_missed_as_a_whole(server, gone):
    record(server, CITIES[:2])
    with pytest.raises(lmtest.CassetteMiss), replay():
        gone(CITIES)
    with replay(mode="auto"):
        server.embedder()(CITIES)
    assert server.requests[-1]["input"] == CITIES


def test_a_text_may_be_asked_for_more_often_than_it_was_recorded(server, gone):
    [recorded], _ = record(server, "Paris")
    with replay():
        assert [gone("Paris").tobytes() for _ in range(3)] == [recorded.tobytes()] * 3


def test_vectors_that_are_not_as_many_as_the_texts_are_played_for_their_batch_alone(gone):
    data = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
    one = {"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}
    with EmbeddingServer(one) as server:
        record(server, CITIES)
    with replay():
        assert gone(CITIES).tolist() == [[0.5]]
    with pytest.raises(lmtest.CassetteMiss), replay():
        gone(CITIES[0])


def test_the_same_text_asked_of_another_model_or_otherwise_is_not_put_together(server, gone):
    record(server, CITIES)
    with pytest.raises(lmtest.CassetteMiss), replay():
        gone(CITIES[0], dimensions=4)


# ── programs ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def retrieved(embedder, queries, threads=1):
    search = dspy.retrievers.Embeddings(corpus=CITIES, embedder=embedder, k=1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            return [each.passages for each in pool.map(search, queries)]
    finally:
        search.search_fn.close()


def test_a_retriever_replays_though_it_gathers_queries_by_chance(server, gone):
    queries = [f"query {number}" for number in range(12)]
    with lmtest.use_cassette("a.yaml", mode="record"):
        one_by_one = retrieved(server.embedder(), queries)
    with replay():
        assert retrieved(gone, queries, threads=6) == one_by_one


def test_the_nearest_examples_are_the_same_in_a_replay(server, gone):
    examples = [dspy.Example(question=text, answer="?").with_inputs("question") for text in CITIES]

    def nearest(embedder):
        return dspy.KNN(2, examples, embedder)(question="Where is Rome?")

    with lmtest.use_cassette("a.yaml", mode="record"):
        recorded = nearest(server.embedder())
    with replay():
        assert nearest(gone) == recorded


def test_a_program_that_searches_and_asks_is_one_recording(server, gone, provider, lm, unreachable_lm):
    def answered(embedder, asked):
        with dspy.context(lm=asked):
            [passages] = retrieved(embedder, ["Which is the capital of Italy?"])
            return dspy.Predict("context, question -> answer")(context=passages, question="Which is it?").answer

    with lmtest.use_cassette("a.yaml", mode="record") as cassette:
        recorded = answered(server.embedder(), lm)
    assert [call.model for call in cassette.calls] == [MODEL, MODEL, lm.model]
    with replay():
        assert answered(gone, unreachable_lm) == recorded


# ── made up ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@BOTH
def test_mock_makes_vectors_up_of_length_one_and_of_the_dimensions_that_are_asked_for(gone, project, ask):
    with lmtest.use_cassette(mode="mock") as cassette:
        known, asked = ask(gone, CITIES), ask(gone, CITIES, dimensions=256)
        unknown = ask(dspy.Embedder("ollama/some-embedding"), CITIES)
        again = ask(gone, CITIES)
    assert (known.shape, asked.shape, unknown.shape) == ((3, 1536), (3, 256), (3, 768))
    assert np.allclose(np.linalg.norm(known, axis=1), 1)
    assert known.tobytes() == again.tobytes()
    assert len({row.tobytes() for row in known}) == 3
    assert [(call.hit, call.cost) for call in cassette.calls] == [("mock", 0)] * 4


def test_mock_is_the_same_on_every_machine(gone):
    with lmtest.use_cassette(mode="mock"):
        assert np.allclose(gone("Paris", dimensions=4), PARIS, atol=1e-6)


PARIS = [-0.194744, 0.042451, 0.979808, -0.015774]


def test_mock_finds_the_passage_with_the_words_of_the_query(gone):
    with lmtest.use_cassette(mode="mock"):
        found = retrieved(gone, ["What is the capital of France?", "Is it in Switzerland?"])
    assert found == [[CITIES[0]], [CITIES[2]]]


# ── files and commands ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_file_says_what_was_asked_and_the_blob_beside_it_holds_the_vectors(server, project):
    record(server, CITIES[:2])
    text = (project / "a.yaml").read_text()
    assert f"  model: {MODEL}\n  embed:\n    - {CITIES[0]}\n    - {CITIES[1]}\nreply:\n" in text
    assert "    count: 2\n    dimensions: 8\n" in text
    [blob] = (project / "blobs").iterdir()
    assert blob.suffix == ".float32"
    assert blob.read_bytes() == np.array([vector(each) for each in CITIES[:2]], dtype="<f4").tobytes()
    assert f"blob:{blob.name}" in text


def test_a_blob_that_was_altered_is_named(server, gone, project):
    record(server, "Paris")
    [blob] = (project / "blobs").iterdir()
    blob.write_bytes(bytes(32))
    with pytest.raises(lmtest.CassetteTampered, match=blob.name), replay():
        gone("Paris")
    assert any(blob.name in str(finding) for finding in verify(project / "a.yaml", of_process(())))


def test_what_was_edited_by_hand_is_refused_with_what_to_do(server, gone, project):
    record(server, "Paris")
    path = project / "a.yaml"
    for before, after in (
        ("    count: 1", "    count: 2"),
        ("    count: 1", "    count: one"),
        ("  vectors:", "  vector:"),
    ):
        whole = path.read_text()
        path.write_text(whole.replace(before, after))
        with pytest.raises(lmtest.CassetteFormatError, match="LM_MODE=record"), replay():
            gone("Paris")
        path.write_text(whole)


def test_commands_show_list_and_compare_it(server, project):
    record(server, CITIES[:2])
    record(server, CITIES[:1], path="b.yaml")
    index = Index(project / "a.yaml")
    shown = conversation((index.line(entry), index.read(entry)) for entry in index.entries)
    assert CITIES[0] in shown
    assert "2 of 8 dimensions [blob:" in shown
    assert library.shelve(project / "a.yaml").models == (MODEL,)
    told = comparison(compare(project / "a.yaml", project / "b.yaml"))
    assert CITIES[0] in told
    assert list(verify(project / "a.yaml", of_process(()))) == []
