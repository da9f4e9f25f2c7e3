"""A part of the tests that play from one file, recorded anew: what the others recorded stays."""

import pytest

from lmtest.cassette.index import Index

ASK = """
import dspy, pytest

def ask(question):
    return dspy.Predict("question -> answer")(question=question).answer

"""
MODULE = """
pytestmark = pytest.mark.lmtest(scope="module")

@pytest.mark.parametrize("n", range(3))
def test_s(n): assert ask(f"{n}{WORD}") == "Paris"
def test_last(): assert ask(f"last{WORD}") == "Paris"
"""
CLASS = """
@pytest.mark.lmtest(scope="class")
class TestS:
    @pytest.mark.parametrize("n", range(3))
    def test_s(self, n): assert ask(f"{n}{WORD}") == "Paris"
    def test_last(self): assert ask(f"last{WORD}") == "Paris"
"""
NAMED = """
pytestmark = pytest.mark.lmtest("all")

@pytest.mark.parametrize("n", range(3))
def test_s(n): assert ask(f"{n}{WORD}") == "Paris"
def test_last(): assert ask(f"last{WORD}") == "Paris"
"""
SUITES = {"a module": MODULE, "a class": CLASS, "the session": MODULE.replace('"module"', '"session"'), "a name": NAMED}
OF_CLASS = "test_qa.py::TestS::"


@pytest.fixture
def recorded(suite, paris):
    """Record a suite, and change what each of its tests asks from then on."""

    def record(tests, word="", *how):
        suite.write(test_qa=f"{ASK}WORD = {word!r}\n{tests}")
        result = suite.run(*how, mode="record", provider=paris)
        assert result.green, result.output

    return record


def count(suite):
    (name,) = suite.cassettes
    return len(Index(suite.path / "cassettes" / name).entries)


PARTS = {
    "an id": ("test_qa.py::test_s[0]",),
    "-k": ("-k", "test_s and 0"),
    "--deselect": ("--deselect", "test_qa.py::test_last"),
    "several ids": ("test_qa.py::test_last", "test_qa.py::test_s[1]"),
    "an id under xdist": ("-n", "2", "test_qa.py::test_s"),
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_the_recordings_of_tests_that_do_not_run_stay(part, recorded, suite, paris):
    recorded(MODULE)

    again = suite.run(*part, mode="record", provider=paris)

    assert again.green, again.output
    assert count(suite) == 4, "each takes the place of what it had"
    assert suite.run("--lmtest-unused", "fail").outcomes == {"passed": 4}


@pytest.mark.parametrize("tests", SUITES.values(), ids=SUITES)
def test_so_they_do_in_a_file_of(tests, recorded, suite, paris):
    recorded(tests)
    name = "test_qa.py::TestS::test_s[0]" if tests is CLASS else "test_qa.py::test_s[0]"

    assert suite.run(name, mode="record", provider=paris).green

    assert count(suite) == 4
    assert suite.run().outcomes == {"passed": 4}


WHOLE = {
    "everything": (),
    "the module": ("test_qa.py",),
    "the directory": (".",),
    "under xdist": ("-n", "2"),
}


@pytest.mark.parametrize("how", WHOLE.values(), ids=WHOLE)
def test_a_run_of_all_of_them_replaces_the_file(how, recorded, suite):
    recorded(MODULE)
    recorded(MODULE, " anew", *how)
    assert count(suite) == 4


@pytest.mark.parametrize("tests", SUITES.values(), ids=SUITES)
def test_so_it_does_with_a_file_of(tests, recorded, suite):
    recorded(tests)
    recorded(tests, " anew")
    assert count(suite) == 4


def test_a_class_asked_for_by_its_id_is_whole(recorded, suite):
    recorded(CLASS)
    recorded(CLASS, " anew", "test_qa.py::TestS")
    assert count(suite) == 4


def test_a_part_of_a_session_is_a_module_too(recorded, suite, paris):
    suite.write(test_other=ASK + "WORD = ''\n" + SUITES["the session"].replace("{n}", "other {n}"))
    recorded(SUITES["the session"])
    assert count(suite) == 8

    assert suite.run("test_other.py", mode="record", provider=paris).green

    assert suite.run().outcomes == {"passed": 8}


def test_another_module_that_names_the_file_keeps_its_own(recorded, suite, paris):
    suite.write(test_other=ASK + "WORD = ''\n" + NAMED.replace("{n}", "other {n}"))
    recorded(NAMED)

    assert suite.run("test_other.py", mode="record", provider=paris).green

    assert suite.run().outcomes == {"passed": 8}


def test_a_test_that_is_skipped_this_time_keeps_its_recordings(recorded, suite, paris):
    skipped = 'def test_last(): assert ask(f"last'
    for tests in (MODULE, NAMED):
        recorded(tests)
        recorded(tests.replace(skipped, f"@pytest.mark.skipif(True, reason='no key')\n{skipped}"))
        recorded(tests.replace(skipped, f"@pytest.mark.skipif('1 == 1', reason='no key')\n{skipped}"))
        suite.write(test_qa=f"{ASK}WORD = ''\n{tests}")
        assert suite.run().outcomes == {"passed": 4}


def test_a_test_that_is_never_skipped_does_not_keep_the_old(recorded, suite):
    tests = MODULE.replace("def test_last", "@pytest.mark.skipif(False, reason='never')\ndef test_last")
    recorded(tests)
    recorded(tests, " anew")
    assert count(suite) == 4


def test_the_last_failed_are_a_part(recorded, suite, paris):
    recorded(MODULE)
    suite.write(test_qa=f"{ASK}WORD = ''\n{MODULE}".replace('== "Paris"', '== "Rome"', 1))
    assert suite.run().outcomes == {"passed": 1, "failed": 3}
    suite.write(test_qa=f"{ASK}WORD = ''\n{MODULE}")

    assert suite.run("--lf", mode="record", provider=paris).outcomes == {"passed": 3}

    assert suite.run().outcomes == {"passed": 4}


def test_a_test_that_is_gone_keeps_nothing(recorded, suite):
    recorded(NAMED)
    recorded(NAMED.partition("def test_last")[0], " anew")
    assert count(suite) == 3


def test_what_cannot_be_kept_is_told_before_anything_is_sent(recorded, suite, paris):
    recorded(MODULE)
    path = suite.path / "cassettes/test_qa.yaml"
    path.write_text(path.read_text()[:-40])
    before, asked = path.read_bytes(), len(paris.requests)

    result = suite.run("test_qa.py::test_last", mode="record", provider=paris)

    assert "the recordings of the others cannot be kept: " in result.output
    assert "Run all of them, or delete the file." in result.output
    assert (path.read_bytes(), len(paris.requests)) == (before, asked)
