"""A test that talks to a worker owns what the worker records for it."""

import json

import pytest

from lmtest.cassette.index import Index

SUITE = """
    import pytest

    pytestmark = pytest.mark.lmtest

    def test_capital(worker):
        assert worker.execute("qa", {"question": "What is the capital of France?"}).outputs["answer"] == "Paris"

    def test_twice(worker):
        for question in ("And of Spain?", "And of Italy?"):
            worker.execute("qa", {"question": question})
"""


def test_what_a_worker_records_is_in_the_tests_own_cassette_and_names_it(suite, serve, provider):
    suite.write(test_qa=SUITE)
    recorded = suite.run(mode="record", worker=serve("record", provider=provider))
    assert recorded.green, recorded.output
    assert suite.cassettes == ["test_qa/test_capital.yaml", "test_qa/test_twice.yaml"]
    index = Index(suite.path / "cassettes" / "test_qa" / "test_twice.yaml")
    assert (index.header.tests, len(index.entries)) == (("test_qa.py::test_twice",), 2)
    assert "mode record: 3 calls in 2 tests (3 recorded), 2 cassettes" in recorded.output

    replayed = suite.run(mode="replay", worker=serve("replay"))
    assert replayed.green, replayed.output
    assert "mode replay: 3 calls in 2 tests (3 played), 2 cassettes" in replayed.output
    assert "unplayed" not in replayed.output
    assert {(row.test, row.hit) for row in suite.rows()} == {
        ("test_qa.py::test_capital", "live"),
        ("test_qa.py::test_capital", "cassette"),
        ("test_qa.py::test_twice", "live"),
        ("test_qa.py::test_twice", "cassette"),
    }
