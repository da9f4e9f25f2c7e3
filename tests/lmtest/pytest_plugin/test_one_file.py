"""Tests that name the same file: each opens it for itself, and the run keeps what all of them recorded."""

import pytest

from lmtest.cassette.index import Index

SHARED = """
import dspy, pytest

def ask(question):
    return dspy.Predict("question -> answer")(question=question).answer

"""
SUITES = {
    "functions": """
@pytest.mark.lmtest("shared/qa")
def test_one(): assert ask("one") == "Paris"

@pytest.mark.lmtest("shared/qa")
def test_two(): assert ask("two") == "Paris"

@pytest.mark.lmtest("shared/qa")
def test_three(): assert ask("three") == "Paris"
""",
    "a class": """
@pytest.mark.lmtest("shared/qa")
class TestQA:
    def test_one(self): assert ask("one") == "Paris"
    def test_two(self): assert ask("two") == "Paris"
    def test_three(self): assert ask("three") == "Paris"
""",
    "parameters": """
@pytest.mark.lmtest("shared/qa")
@pytest.mark.parametrize("number", ["one", "two", "three"])
def test_it(number): assert ask(number) == "Paris"
""",
}
PARALLEL = pytest.param(("-n", "2"), id="under xdist")
HERE = pytest.param((), id="in one process")


def recordings(suite, name="shared/qa.yaml"):
    return len(Index(suite.path / "cassettes" / name).entries)


@pytest.mark.parametrize("how", [HERE, PARALLEL])
@pytest.mark.parametrize("tests", SUITES.values(), ids=SUITES)
def test_what_each_recorded_is_replayed(tests, how, suite, paris):
    suite.write(test_qa=SHARED + tests)
    assert suite.run(*how, mode="record", provider=paris).outcomes == {"passed": 3}
    assert suite.cassettes == ["shared/qa.yaml"]
    assert recordings(suite) == 3

    result = suite.run(*how, "--lmtest-unused", "fail")

    assert result.outcomes == {"passed": 3}
    assert result.green, "and none of the recordings is left unplayed"


@pytest.mark.parametrize("how", [HERE, PARALLEL])
def test_the_next_run_replaces_what_the_last_recorded(how, suite, paris):
    suite.write(test_qa=SHARED + SUITES["functions"])
    suite.run(*how, mode="record", provider=paris)
    suite.write(test_qa=SHARED + SUITES["functions"].replace('ask("', 'ask("not '))

    suite.run(*how, mode="record", provider=paris)

    assert recordings(suite) == 3
    assert suite.run(*how).outcomes == {"passed": 3}


def test_a_test_that_fails_takes_nothing_from_the_others(suite, paris):
    suite.write(test_qa=SHARED + SUITES["functions"].replace('"two") == "Paris"', '"two") == "Rome"'))

    assert suite.run(mode="record", provider=paris).outcomes == {"passed": 2, "failed": 1}

    assert recordings(suite) == 2


AGAIN = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    # As pytest-rerunfailures and pytest-repeat do it.
    for last in (False, True):
        reports = runtestprotocol(item, nextitem=nextitem if last else item, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    return True
"""


def test_a_test_that_is_run_again_is_recorded_once(suite, paris):
    suite.write(test_qa=SHARED + SUITES["functions"])
    with (suite.path / "conftest.py").open("a") as conftest:
        conftest.write(AGAIN)

    assert suite.run(mode="record", provider=paris).outcomes == {"passed": 3}

    assert recordings(suite) == 3


def test_a_refresh_runs_every_test_of_such_a_file(suite, paris):
    suite.write(test_qa=SHARED + SUITES["functions"])
    suite.run(mode="record", provider=paris)
    assert set(Index(suite.path / "cassettes/shared/qa.yaml").header.tests) == {
        f"test_qa.py::test_{number}" for number in ("one", "two", "three")
    }

    suite.run(mode="refresh", provider=paris)

    assert recordings(suite, "shared/qa.new.yaml") == 3


@pytest.mark.parametrize(("left", "told"), [("test_two", False), ("test_new", True)])
def test_such_a_file_is_nobodys_only_when_all_its_tests_are_gone(left, told, suite, paris):
    suite.write(test_qa=SHARED + SUITES["functions"])
    suite.run(mode="record", provider=paris)
    suite.write(test_qa=f"import pytest\n\n@pytest.mark.lmtest\ndef test_other(): pass\n\ndef {left}(): pass")

    output = suite.run().output

    assert ("cassettes/shared/qa.yaml" in output) is told


@pytest.mark.parametrize("arguments", [HERE, PARALLEL])
def test_the_cassette_of_a_session_names_the_tests_that_share_it(suite, paris, arguments):
    marked = SHARED + 'pytestmark = pytest.mark.lmtest("sess", scope="session")\n'
    suite.write(
        test_a=marked + '@pytest.mark.parametrize("n", "01")\ndef test_s(n): assert ask(f"a{n}") == "Paris"\n',
        test_b=marked + 'def test_b(): assert ask("b") == "Paris"\n',
    )

    assert suite.run(*arguments, mode="record", provider=paris).green

    owners = Index(suite.path / "cassettes/sess.yaml").header.tests
    assert sorted(owners) == ["test_a.py::test_s[0]", "test_a.py::test_s[1]", "test_b.py::test_b"]
