"""A test that talks to a worker owns what the worker plays and records for it."""

import json
import re

from lmtest.cassette.index import Index
from lmtest.testing import ScriptedProvider, fields

SUITE = """
    import pytest

    pytestmark = pytest.mark.lmtest

    def test_capital(worker):
        assert worker.execute("qa", {"question": "What is the capital of France?"}).outputs["answer"] == "Paris"

    def test_twice(worker):
        for question in ["And of Spain?", "And of Italy?"]:
            worker.execute("qa", {"question": question})
"""


def test_what_a_worker_records_is_in_the_tests_own_cassette_and_replays_off_the_network(suite, serve, provider):
    suite.write(test_qa=SUITE)
    recorded = suite.run(mode="record", worker=serve("record", provider=provider), subprocess=True)
    assert recorded.green, recorded.output
    assert suite.cassettes == ["test_qa/test_capital.yaml", "test_qa/test_twice.yaml"]
    header = Index(suite.file("test_qa/test_twice.yaml")).header
    assert (header.tests, suite.entries("test_qa/test_twice.yaml")) == (("test_qa.py::test_twice",), 2)
    assert "mode record: 3 calls in 2 tests (3 recorded), 2 cassettes" in recorded.output

    replayed = suite.run(mode="replay", worker=serve("replay"), subprocess=True)
    assert replayed.green, replayed.output
    assert "mode replay: 3 calls in 2 tests (3 played), 2 cassettes" in replayed.output
    assert "unplayed" not in replayed.output
    assert {(row.test, row.hit) for row in suite.rows()} == {
        ("test_qa.py::test_capital", "live"),
        ("test_qa.py::test_capital", "cassette"),
        ("test_qa.py::test_twice", "live"),
        ("test_qa.py::test_twice", "cassette"),
    }


def test_reports_and_junit_count_a_workers_calls_as_the_tests(suite, host, provider):
    suite.write(test_qa=SUITE)
    worker = host("record", provider=provider)
    assert suite.run(mode="record", worker=worker).green
    told = suite.run("--lmtest-report", "told.json", "--junitxml", "junit.xml", mode="replay", worker=worker)
    assert told.green, told.output
    tests = {each["test"]: each for each in json.loads((suite.path / "told.json").read_text())["tests"]}
    assert [tests[f"test_qa.py::{name}"]["played"] for name in ("test_capital", "test_twice")] == [1, 2]
    assert '<property name="lmtest_played" value="2"' in (suite.path / "junit.xml").read_text()


def test_what_neither_the_test_nor_its_worker_asks_for_any_more_is_unplayed_and_pruned(suite, host, provider):
    suite.write(test_qa=SUITE)
    worker = host("record", provider=provider)
    assert suite.run(mode="record", worker=worker).green
    suite.write(test_qa=SUITE.replace('"And of Spain?", ', ""))
    left = suite.run("--lmtest-unused=fail", mode="replay", worker=worker)
    assert left.code == 1
    assert "unplayed: 1 recording in cassettes/test_qa/test_twice.yaml, not asked for by test_qa.py::test_twice" in (
        left.output
    )
    assert suite.run("--lmtest-prune", mode="replay", worker=worker).green
    assert suite.entries("test_qa/test_twice.yaml") == 1
    assert suite.run("--lmtest-unused=fail", mode="replay", worker=worker).green


def test_calls_of_the_test_itself_and_of_its_worker_are_in_one_file_and_unplayed_where_both_leave_them(
    suite, host, provider
):
    own = """
        import dspy, pytest

        @pytest.mark.lmtest
        def test_both(worker):
            dspy.Predict("question -> answer")(question="The test's own?")
            worker.execute("qa", {"question": "The worker's?"})
    """
    suite.write(test_qa=own)
    worker = host("record", provider=provider)
    recorded = suite.run(mode="record", worker=worker, provider=provider)
    assert recorded.green, recorded.output
    assert (suite.cassettes, suite.entries("test_qa/test_both.yaml")) == (["test_qa/test_both.yaml"], 2)
    assert "2 calls in 1 test (2 recorded), 1 cassette" in recorded.output
    replayed = suite.run("--lmtest-unused=fail", mode="replay", worker=worker)
    assert replayed.green, replayed.output
    assert "2 calls in 1 test (2 played), 1 cassette" in replayed.output


def test_what_is_recorded_anew_replaces_what_an_earlier_run_recorded(suite, host, provider):
    suite.write(test_qa=SUITE)
    worker = host("record", provider=provider)
    assert suite.run(mode="record", worker=worker).green
    suite.write(test_qa=SUITE.replace("Spain", "Malta"))
    assert suite.run(mode="record", worker=worker).green
    assert suite.entries("test_qa/test_twice.yaml") == 2
    assert b"Spain" not in suite.file("test_qa/test_twice.yaml").read_bytes()


def test_the_kth_asking_gets_the_kth_recording_in_whatever_execution_it_is(suite, host):
    suite.write(
        test_qa="""
        import pytest

        @pytest.mark.lmtest
        def test_dice(worker):
            rolled = [worker.execute("qa", {"question": "Roll."}).outputs["answer"] for _ in range(3)]
            assert rolled == ["one", "two", "three"]
    """
    )
    with ScriptedProvider([fields(answer=each) for each in ("one", "two", "three")]) as dice:
        worker = host("record", provider=dice)
        assert suite.run(mode="record", worker=worker).green
    replayed = suite.run(mode="replay", worker=worker)
    assert replayed.green, replayed.output


def test_a_worker_in_its_own_mode_is_told_none_where_nobody_said_one(suite, host, provider):
    suite.write(test_qa=SUITE)
    assert suite.run(worker=host("record", provider=provider)).green, "the worker records, the test replays by default"
    assert suite.cassettes == ["test_qa/test_capital.yaml", "test_qa/test_twice.yaml"]


def test_an_offline_worker_refuses_a_test_that_records(suite, host):
    suite.write(test_qa=SUITE)
    refused = suite.run(mode="record", worker=host("replay"))
    assert refused.outcomes["failed"] == 2
    assert "off the network, and test_qa.py::test_capital asks for record. Start a worker with --lm-mode record" in (
        refused.output
    )


def test_streams_batches_and_asyncio_belong_to_the_test_too(suite, host, provider):
    suite.write(
        test_qa="""
        import asyncio, os
        import pytest
        from python_worker.client import Order, connect_async

        pytestmark = pytest.mark.lmtest

        def test_stream(worker):
            *_, last = worker.stream("qa", {"question": "Streamed?"})
            assert last.outputs["answer"] == "Paris"

        def test_batch(worker):
            orders = [Order("qa", {"question": f"Number {number}?"}) for number in range(3)]
            assert sorted(place for place, result in worker.batch(orders)) == [0, 1, 2]

        def test_async():
            async def ask():
                async with connect_async(os.environ["SUITE_WORKER"]) as client:
                    return await client.execute("qa", {"question": "Awaited?"})

            assert asyncio.run(ask()).outputs["answer"] == "Paris"
    """
    )
    worker = host("record", provider=provider)
    assert suite.run(mode="record", worker=worker).green
    names = ("stream", "batch", "async")
    assert [suite.entries(f"test_qa/test_{name}.yaml") for name in names] == [1, 3, 1]
    replayed = suite.run("--lmtest-unused=fail", mode="replay", worker=worker)
    assert replayed.green, replayed.output


def test_tests_that_share_a_cassette_play_on_from_each_other(suite, host):
    suite.write(
        test_qa="""
        import pytest

        @pytest.mark.lmtest(scope="class")
        class TestDice:
            def test_first(self, worker):
                assert worker.execute("qa", {"question": "Roll."}).outputs["answer"] == "one"

            def test_second(self, worker):
                assert worker.execute("qa", {"question": "Roll."}).outputs["answer"] == "two"
    """
    )
    with ScriptedProvider([fields(answer=each) for each in ("one", "two")]) as dice:
        worker = host("record", provider=dice)
        recorded = suite.run(mode="record", worker=worker)
    assert recorded.green, recorded.output
    assert "2 calls in 2 tests (2 recorded), 1 cassette" in recorded.output
    assert (suite.cassettes, suite.entries("test_qa/TestDice.yaml")) == (["test_qa/TestDice.yaml"], 2)
    replayed = suite.run("--lmtest-unused=fail", mode="replay", worker=worker)
    assert replayed.green, replayed.output
    assert "2 calls in 2 tests (2 played), 1 cassette" in replayed.output


def test_a_refresh_leaves_the_cassette_and_writes_beside_it(suite, host, provider):
    suite.write(test_qa=SUITE)
    assert suite.run(mode="record", worker=host("record", provider=provider)).green
    before = suite.file("test_qa/test_capital.yaml").read_bytes()
    refreshed = suite.run(mode="refresh", worker=host("record", provider=provider))
    assert refreshed.green, refreshed.output
    assert suite.file("test_qa/test_capital.yaml").read_bytes() == before
    assert suite.entries("test_qa/test_twice.new.yaml") == 2


FIXTURE = """
    import os, subprocess, sys
    import pytest
    from python_worker.client import connect

    @pytest.fixture(scope="module")
    def mine(tmp_path_factory):
        command = [sys.executable, "-m", "python_worker", "serve", "--port", "0", "--api-base", os.environ["BASE"]]
        command += ["--data-dir", str(tmp_path_factory.mktemp("worker"))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            client = connect("127.0.0.1:" + process.stdout.readline().removeprefix("GRPC_READY:").strip())
            client.create_program("qa", signature="signature qa: :string question -> :string answer")
            yield client
            process.terminate()

    @pytest.mark.lmtest
    def test_first(mine):
        mine.execute("qa", {"question": "First?"})

    @pytest.mark.lmtest
    def test_last(mine):
        mine.execute("qa", {"question": "Last?"})
"""


def test_a_worker_that_a_fixture_ends_has_saved_what_it_recorded_for_the_last_test_too(suite, provider):
    suite.write(test_qa=FIXTURE)
    environ = {"BASE": f"{provider.url}/v1beta", "GEMINI_API_KEY": "a-key"}
    recorded = suite.run(mode="record", environ=environ, subprocess=True)
    assert recorded.green, recorded.output
    assert suite.cassettes == ["test_qa/test_first.yaml", "test_qa/test_last.yaml"]
    replayed = suite.run("--lmtest-unused=fail", mode="replay", environ={"BASE": "http://127.0.0.1:1"}, subprocess=True)
    assert replayed.green, replayed.output
    assert "2 calls in 2 tests (2 played), 2 cassettes" in replayed.output


def test_a_client_that_is_no_tests_and_a_test_without_a_cassette_leave_the_workers_own_names(suite, host, provider):
    suite.write(
        test_qa="""
        import os, pytest
        from python_worker.client import connect

        @pytest.mark.lmtest
        def test_apart():
            with connect(os.environ["SUITE_WORKER"], as_test=False) as client:
                client.execute("qa", {"question": "Apart?"})

        def test_unmarked(worker):
            worker.execute("qa", {"question": "Unmarked?"})
    """
    )
    assert suite.run(mode="record", worker=host("record", provider=provider)).green
    assert [name.partition("/")[0] for name in suite.cassettes] == ["qa", "qa"]


def test_what_a_test_ignores_scrubs_and_redacts_holds_for_its_worker(suite, host, provider):
    asks = """
        import pytest

        @pytest.mark.lmtest(scrub=["order \\\\d+"], redact=["Ada"])
        def test_order(worker):
            worker.execute("qa", {"question": "Where is order 17 of Ada?"})
    """
    suite.write(test_qa=asks)
    worker = host("record", provider=provider)
    assert suite.run(mode="record", worker=worker).green
    assert b"Ada" not in suite.file("test_qa/test_order.yaml").read_bytes()
    suite.write(test_qa=asks.replace("order 17", "order 18"))
    replayed = suite.run(mode="replay", worker=worker)
    assert replayed.green, replayed.output


def test_what_only_some_of_the_tests_of_a_file_record_leaves_what_the_others_recorded(suite, host, provider):
    suite.write(
        test_qa="""
        import pytest

        pytestmark = pytest.mark.lmtest("shared")

        def test_a(worker):
            worker.execute("qa", {"question": "Of a?"})

        def test_b(worker):
            worker.execute("qa", {"question": "Of b?"})
    """
    )
    worker = host("record", provider=provider)
    assert suite.run(mode="record", worker=worker).green
    assert suite.entries("shared.yaml") == 2
    assert suite.run("test_qa.py::test_a", mode="record", worker=worker).green
    assert suite.entries("shared.yaml") == 2
    assert Index(suite.file("shared.yaml")).header.tests == ("test_qa.py::test_a", "test_qa.py::test_b")


def test_a_workers_recording_that_is_too_old_fails_the_test(suite, host, provider):
    suite.write(test_qa=SUITE)
    worker = host("record", provider=provider)
    assert suite.run(mode="record", worker=worker).green
    file = suite.file("test_qa/test_capital.yaml")
    file.write_text(re.sub(r"recorded_at: .*", "recorded_at: '2020-01-01T00:00:00Z'", file.read_text()))
    old = suite.run("-o", "lmtest_max_age=30d", "-o", "lmtest_on_expiry=fail", mode="replay", worker=worker)
    assert old.outcomes["passed"] == 1
    assert "test_capital.yaml is stale" in old.output


def test_a_fixture_that_outlives_the_test_and_asks_a_worker_is_told(suite, host, provider):
    suite.write(
        test_qa="""
        import os, pytest
        from python_worker.client import connect

        @pytest.fixture(scope="module")
        def warm():
            with connect(os.environ["SUITE_WORKER"]) as client:
                client.execute("qa", {"question": "Warm?"})
                yield client

        @pytest.mark.lmtest
        def test_one(warm):
            warm.execute("qa", {"question": "One?"})
    """
    )
    recorded = suite.run(mode="record", worker=host("record", provider=provider))
    assert recorded.green
    assert "the fixture 'warm' of scope 'module' made 1 call, recorded into this test's cassette" in recorded.output
