"""What lmtest stops in a worker is raised by its client as lmtest's own error, and fails the test that asked."""

import pickle

import pytest

import lmtest
from lmtest.cassette import codec
from lmtest.cassette.index import Index
from python_worker import client as worker_client
from python_worker.client import CassetteMiss, connect
from python_worker.domain.errors import Reason
from python_worker.v1 import worker_pb2 as pb

SUITE = """
    import pytest

    @pytest.mark.lmtest
    def test_capital(worker):
        worker.execute("qa", {"question": "What is the capital of France?"})
"""
SWALLOWED = SUITE.replace(
    'worker.execute("qa", {"question": "What is the capital of France?"})',
    """try:
            worker.execute("qa", {"question": "What is the capital of Spain?"})
        except Exception:
            pass""",
)


@pytest.fixture
def recorded(suite, host, provider):
    """A worker that has recorded the suite."""
    suite.write(test_qa=SUITE)
    worker = host("record", provider=provider)
    assert suite.run(mode="record", worker=worker).green
    return worker


def test_a_miss_names_the_word_and_the_command_in_the_test_that_asked(suite, recorded):
    suite.write(test_qa=SUITE.replace("France", "Spain"))
    missed = suite.run(mode="replay", worker=recorded)
    assert missed.outcomes == {"failed": 1}
    assert (
        "cassettes/test_qa/test_capital.yaml: this request to gemini/gemini-2.5-flash is not recorded" in missed.output
    )
    assert "What is the capital of [-France-]{+Spain+}?" in missed.output
    assert "LM_MODE=record pytest 'test_qa.py::test_capital'" in missed.output
    assert "(1 missed)" in missed.output


def test_a_miss_fails_the_test_though_its_code_swallowed_the_executions_error(suite, recorded):
    suite.write(test_qa=SWALLOWED)
    missed = suite.run(mode="replay", worker=recorded)
    assert missed.outcomes == {"failed": 1}
    assert "[-France-]{+Spain+}" in missed.output


def test_a_test_that_allows_misses_passes_and_they_are_counted(suite, recorded):
    suite.write(test_qa=SWALLOWED.replace("mark.lmtest", "mark.lmtest(allow_misses=True)"))
    missed = suite.run(mode="replay", worker=recorded)
    assert missed.green, missed.output
    assert "(1 missed)" in missed.output


def test_what_was_never_recorded_says_how_to_record_it(suite, host):
    suite.write(test_qa=SUITE)
    (suite.path / "cassettes").mkdir()
    missed = suite.run(mode="replay", worker=host("replay"))
    assert missed.outcomes == {"failed": 1}
    assert "there is no cassette cassettes/test_qa/test_capital.yaml to replay" in missed.output
    assert "LM_MODE=record pytest 'test_qa.py::test_capital'" in missed.output


def test_a_request_that_is_asked_more_often_than_it_was_recorded_fails_though_that_was_swallowed(suite, recorded):
    twice = """
    import pytest

    @pytest.mark.lmtest
    def test_capital(worker):
        for _ in range(2):
            try:
                worker.execute("qa", {"question": "What is the capital of France?"})
            except Exception:
                pass
    """
    suite.write(test_qa=twice)
    exhausted = suite.run(mode="replay", worker=recorded)
    assert exhausted.outcomes == {"failed": 1}
    assert "is recorded 1 time and was asked for once more" in exhausted.output


def test_a_recording_whose_image_is_gone_fails_though_that_was_swallowed(suite, recorded):
    file = suite.file("test_qa/test_capital.yaml")
    index = Index(file)
    interaction = index.read(index.entries[0])
    image = {"type": "image", "media_type": "image/png", "data": f"blob:{'0' * 64}.png"}
    interaction.outcome.response["message"]["parts"].append(image)
    file.write_text(codec.encode_header(index.header) + codec.encode(interaction))
    suite.write(test_qa=SWALLOWED.replace("Spain", "France"))
    altered = suite.run(mode="replay", worker=recorded)
    assert altered.outcomes == {"failed": 1}
    assert "this blob is missing" in altered.output


def test_a_spent_budget_fails_the_test_that_records_though_that_was_swallowed(suite, host, provider):
    suite.write(test_qa=SWALLOWED.replace("mark.lmtest", "mark.lmtest(limits={'usd_per_test': 0.0000001})"))
    worker = host("record", provider=provider)
    stopped = suite.run(mode="record", worker=worker)
    assert stopped.outcomes.get("failed") == 1, stopped.output
    assert "usd_per_test" in stopped.output
    assert suite.cassettes == []
    assert "1 refused" in stopped.output


def test_a_plain_script_gets_the_miss_with_what_is_nearest_and_how_it_differs(suite, host, provider):
    worker = host("record", provider=provider)
    ask = {"question": "What is the capital of France?"}
    owner = (("lmtest-test", "script.js::asks"),)
    with connect(worker.target) as client:
        client._owned._metadata = owner  # as a client in another language does
        client.execute("qa", ask)
        client._stub.CloseCassette(pb.CloseCassetteRequest(), metadata=owner)
    with connect(host("replay").target) as client:
        client._owned._metadata = owner
        with pytest.raises(lmtest.CassetteMiss) as caught:
            client.execute("qa", {"question": "What is the capital of Spain?"})
    miss = caught.value
    assert isinstance(miss, CassetteMiss)
    assert miss.reason is Reason.CASSETTE_MISS
    assert (miss.path.name, miss.command) == ("asks.yaml", "LM_MODE=record pytest 'script.js::asks'")
    [near] = miss.nearest
    assert ["[-France-]{+Spain+}" in each.change for each in near.differences] == [True]
    again = pickle.loads(pickle.dumps(miss))
    assert (type(again), str(again), again.nearest) == (type(miss), str(miss), miss.nearest)


@pytest.mark.parametrize("kind", ["CassetteMiss", "CassetteExhausted", "CassetteNotFound", "CassetteTampered"])
def test_each_kind_is_lmtests_and_the_clients(kind):
    assert issubclass(getattr(worker_client, kind), (getattr(lmtest, kind), worker_client.WorkerError))


def test_a_rate_that_has_no_room_is_raised_as_lmtests_error(host, provider, monkeypatch):
    monkeypatch.setenv("LMTEST_MAX_WAIT", "0")
    worker = host("live", provider=provider)
    limits = worker_client.SessionLimits(requests_per_minute=1)
    session = worker.client.session("one", lm=worker_client.SessionLM(limits=limits))
    worker.client.execute("qa", {"question": "One?"}, session=session.id)
    with pytest.raises(lmtest.RateLimited) as caught:
        worker.client.execute("qa", {"question": "Two?"}, session=session.id)
    assert caught.value.retry_after > 0


@pytest.mark.parametrize(
    "ask",
    [
        "list(worker.stream('qa', {'question': 'Streamed?'}))",
        "list(worker.batch([Order('qa', {'question': 'In a batch?'})]))",
        "asyncio.run(awaited())",
    ],
)
def test_streams_batches_and_asyncio_fail_the_test_too(ask, suite, recorded):
    suite.write(
        test_qa=f"""
        import asyncio, os, pytest
        from python_worker.client import Order, connect_async

        async def awaited():
            async with connect_async(os.environ["SUITE_WORKER"]) as client:
                await client.execute("qa", {{"question": "Awaited?"}})

        @pytest.mark.lmtest
        def test_capital(worker):
            try:
                {ask}
            except Exception:
                pass
    """
    )
    missed = suite.run(mode="replay", worker=recorded)
    assert missed.outcomes == {"failed": 1}
    assert "is not recorded" in missed.output


def test_a_client_that_is_no_tests_fails_none(suite, recorded):
    suite.write(
        test_qa="""
        import os, pytest
        from python_worker.client import SessionLM, connect

        @pytest.mark.lmtest
        def test_apart():
            with connect(os.environ["SUITE_WORKER"], as_test=False) as client:
                session = client.session(lm=SessionLM(mode="replay"))
                with pytest.raises(Exception, match="there is no cassette"):
                    client.execute("qa", {"question": "Apart?"}, session=session.id)
    """
    )
    assert suite.run(mode="replay", worker=recorded).green


def test_the_trail_of_a_missed_execution_tells_the_nearest_recordings_too(suite, recorded):
    suite.write(test_qa=SWALLOWED)
    assert suite.run(mode="replay", worker=recorded).code == 1
    failed = next(each for each in recorded.client.list_executions() if each.error)
    stop = recorded.client.get_execution(failed.id).error.stop
    assert (stop.kind, len(stop.nearest)) == ("CassetteMiss", 1)


def test_a_long_miss_reaches_the_client_cut_and_is_whole_in_the_trail(suite, host, provider):
    ask = """
    import pytest

    @pytest.mark.lmtest
    def test_long(worker):
        worker.execute("qa", {"question": WORDS})
    """
    words = " ".join(f"word{number}" for number in range(300))
    suite.write(test_qa=ask.replace("WORDS", repr(words)))
    worker = host("record", provider=provider)
    assert suite.run(mode="record", worker=worker).green
    suite.write(test_qa=ask.replace("WORDS", repr(words.replace("word", "other"))))
    missed = suite.run(mode="replay", worker=worker)
    assert "is not recorded" in missed.output
    assert "[-" in missed.output
    failed = next(each for each in worker.client.list_executions() if each.error)
    changes = [each.change for each in worker.client.get_execution(failed.id).error.stop.nearest[0].differences]
    assert any("other299" in each for each in changes)
