"""Nothing of a test that did not pass, or of a worker that was killed, replaces what was recorded before."""

import threading

import pytest

from lmtest.cassette.index import Index

ONE = """
    import pytest

    @pytest.mark.lmtest
    def test_capital(worker):
        worker.execute("qa", {"question": "What is the capital of France?"})
"""
NAME = "test_qa/test_capital.yaml"


@pytest.fixture
def recorder(suite, host, provider):
    """A worker that has recorded the suite once, and can record it again."""
    suite.write(test_qa=ONE)
    worker = host("record", provider=provider)
    assert suite.run(mode="record", worker=worker).green
    return worker


@pytest.mark.parametrize(
    "failing",
    [
        ONE.replace("France", "Spain") + "        assert False\n",
        ONE.replace("(worker)", "(worker, late)").replace("France", "Spain")
        + """
    @pytest.fixture
    def late():
        yield
        assert False
""",
        ONE.replace("(worker)", "(early)")
        + """
    @pytest.fixture
    def early(worker):
        worker.execute("qa", {"question": "What is the capital of Spain?"})
        assert False
""",
    ],
    ids=["in the test", "in its teardown", "in its setup"],
)
def test_a_test_that_fails_leaves_the_old_recording(failing, suite, recorder):
    before = suite.file(NAME).read_bytes()
    suite.write(test_qa=failing)
    failed = suite.run(mode="record", worker=recorder)
    assert failed.code == 1
    assert suite.file(NAME).read_bytes() == before


def test_a_test_that_fails_in_its_teardown_leaves_no_recording_where_there_was_none(suite, host, provider):
    late = (
        ONE.replace("(worker)", "(worker, late)")
        + "\n    @pytest.fixture\n    def late():\n        yield\n        1 / 0\n"
    )
    suite.write(test_qa=late)
    assert suite.run(mode="record", worker=host("record", provider=provider)).code == 1
    assert suite.cassettes == []


def test_a_test_that_is_expected_to_fail_is_recorded_as_its_own_calls_are(suite, host, provider):
    suite.write(
        test_qa=ONE.replace("@pytest.mark.lmtest", "@pytest.mark.xfail\n    @pytest.mark.lmtest")
        + "        assert False\n"
    )
    assert suite.run(mode="record", worker=host("record", provider=provider)).outcomes == {"xfailed": 1}
    assert suite.cassettes == [NAME]


def test_what_a_fixtures_end_asks_of_the_worker_is_recorded_too(suite, host, provider):
    late = (
        ONE.replace("(worker)", "(worker, late)")
        + """
    @pytest.fixture
    def late(worker):
        yield
        worker.execute("qa", {"question": "What is the capital of Spain?"})
"""
    )
    suite.write(test_qa=late)
    worker = host("record", provider=provider)
    assert suite.run(mode="record", worker=worker).green
    assert suite.entries(NAME) == 2
    replayed = suite.run("--lmtest-unused=fail", mode="replay", worker=worker)
    assert replayed.green, replayed.output


def test_a_worker_that_is_killed_before_it_saved_leaves_the_old_file_and_fails_the_test(
    suite, serve, recorder, provider
):
    before = suite.file(NAME).read_bytes()
    worker = serve("record", provider=provider)
    suite.write(
        test_qa=ONE.replace("France", "Spain").replace("import pytest", "import os, signal, pytest")
        + '        os.kill(int(os.environ["SUITE_WORKER_PID"]), signal.SIGKILL)\n'
    )
    killed = suite.run(
        mode="record", worker=worker, environ={"SUITE_WORKER_PID": str(worker.process.pid)}, subprocess=True
    )
    assert killed.outcomes == {"failed": 1}
    assert "went away before the test had ended: what it recorded for it is lost" in killed.output
    assert suite.file(NAME).read_bytes() == before


def test_a_worker_that_is_stopped_says_what_it_does_not_save(suite, host, provider, caplog):
    worker = host("record", provider=provider)
    client = worker.client
    client._owned._metadata = (("lmtest-test", "a.js::left open"),)
    client.execute("qa", {"question": "Who?"})
    worker.stop()
    assert "a.js::left open has not ended: what was recorded for it is not saved" in caplog.text
    assert suite.cassettes == []


def test_two_workers_record_for_one_test_into_one_file(suite, serve, provider):
    suite.write(
        test_qa="""
        import os, pytest
        from python_worker.client import connect

        @pytest.mark.lmtest
        def test_capital(worker):
            worker.execute("qa", {"question": "What is the capital of France?"})
            with connect(os.environ["SECOND"]) as second:
                second.execute("qa", {"question": "And of Spain?"})
    """
    )
    workers = [serve("record", provider=provider) for _ in range(2)]
    second = {"SECOND": workers[1].target}
    recorded = suite.run(mode="record", worker=workers[0], environ=second, subprocess=True)
    assert recorded.green, recorded.output
    assert suite.entries(NAME) == 2
    for order in (workers, workers[::-1]):
        replayed = suite.run(
            "--lmtest-unused=fail", mode="replay", worker=order[0], environ={"SECOND": order[1].target}, subprocess=True
        )
        assert replayed.green, replayed.output


def test_tests_of_two_processes_share_a_worker(suite, serve, provider):
    suite.write(
        test_qa="""
        import pytest

        @pytest.mark.lmtest
        @pytest.mark.parametrize("number", range(8))
        def test_many(worker, number):
            worker.execute("qa", {"question": f"Question {number}?"})
    """
    )
    worker = serve("record", provider=provider)
    recorded = suite.run("-n", "2", mode="record", worker=worker, subprocess=True)
    assert recorded.outcomes == {"passed": 8}, recorded.output
    assert "8 calls in 8 tests (8 recorded), 8 cassettes" in recorded.output
    for number in range(8):
        assert Index(suite.file(f"test_qa/test_many[{number}].yaml")).header.tests == (
            f"test_qa.py::test_many[{number}]",
        )
    replayed = suite.run("-n", "2", "--lmtest-unused=fail", mode="replay", worker=worker, subprocess=True)
    assert replayed.outcomes == {"passed": 8}, replayed.output
    assert "8 played" in replayed.output


def test_executions_of_a_test_that_run_at_once_are_all_recorded(suite, host, provider):
    worker = host("record", provider=provider)
    client = worker.client
    client._owned._metadata = owner = (("lmtest-test", "a.js::at once"),)
    threads = [
        threading.Thread(target=client.execute, args=("qa", {"question": f"Question {number}?"}))
        for number in range(12)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    [report] = close(worker, owner).reports
    assert (report.calls, report.recorded) == (12, 12)
    [name] = suite.cassettes
    assert suite.entries(name) == 12


def close(worker, owner, **request):
    from python_worker.v1 import worker_pb2 as pb

    return worker.client._stub.CloseCassette(pb.CloseCassetteRequest(**request), metadata=owner, timeout=60)
