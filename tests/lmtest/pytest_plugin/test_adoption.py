"""Recordings of a test that was renamed, or of a file that was moved: found at the miss, and taken along unpaid."""

import re
import shlex

import pytest
from click.testing import CliRunner

from lmtest.cassette.index import Index
from lmtest.cli import cli

ASK = """
import dspy, pytest

pytestmark = pytest.mark.lmtest

def ask(*questions):
    for each in questions:
        dspy.Predict("question -> answer")(question=each)

"""


@pytest.fixture
def recorded(suite, provider):
    def record(before, **options):
        suite.write(test_qa=ASK + before)
        result = suite.run(mode="record", provider=provider, **options)
        assert result.green, result.output

    return record


def told(output):
    """The commands that a run says take recordings along."""
    return list(dict.fromkeys(re.findall(r"lmtest (mv (?!OLD).*)", output)))


def run(command):
    result = CliRunner().invoke(cli, shlex.split(command))
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("def test_old(): ask('one')", "def test_new(): ask('one')"),
        (
            "class TestOld:\n    def test_it(self): ask('one')",
            "class TestNew:\n    def test_it(self): ask('one')",
        ),
        (
            "@pytest.mark.parametrize('it', ['fr one'])\ndef test_it(it): ask(it)",
            "@pytest.mark.parametrize('it', [pytest.param('fr one', id='fr')])\ndef test_that(it): ask(it)",
        ),
        (
            "@pytest.mark.lmtest(scope='class')\nclass TestOld:\n    def test_it(self): ask('one')",
            "@pytest.mark.lmtest(scope='class')\nclass TestNew:\n    def test_it(self): ask('one')",
        ),
        (
            "def test_it(): ask('one')",
            "@pytest.mark.lmtest('mine/it')\ndef test_it(): ask('one')",
        ),
    ],
    ids=["a test", "a class", "parameters", "a shared cassette", "another cassette"],
)
def test_the_miss_names_what_holds_the_request_and_the_command_that_takes_it_along(suite, recorded, before, after):
    recorded(before)
    (old,) = suite.cassettes
    suite.write(test_qa=ASK + after)

    missed = suite.run()
    assert not missed.green
    assert "holds this very request" in missed.output
    (command,) = told(missed.output)
    run(command)

    again = suite.run("--lmtest-unused", "fail")
    assert again.green, again.output
    assert old not in suite.cassettes


@pytest.mark.parametrize(
    "how", [(), ("test_qa.py::test_new",), ("-n", "2")], ids=["a whole run", "a test alone", "under xdist"]
)
def test_a_renamed_test_is_told_by_its_file_in_every_run(suite, recorded, how):
    recorded("def test_old(): ask('one')\ndef test_other(): ask('two')")
    suite.write(test_qa=ASK + "def test_new(): ask('one')\ndef test_other(): ask('two')")

    output = suite.run(*how).output

    assert "its test test_qa.py::test_old is gone" in output
    assert told(output) == [
        "mv cassettes/test_qa/test_old.yaml cassettes/test_qa/test_new.yaml --test test_qa.py::test_new"
    ]


def test_a_moved_file_is_taken_along_whole(suite, recorded):
    recorded("def test_a(): ask('one')\ndef test_b(): ask('two')")
    (suite.path / "deeper").mkdir()
    (suite.path / "test_qa.py").rename(suite.path / "deeper" / "test_moved.py")

    missed = suite.run()
    assert told(missed.output) == ["mv cassettes/test_qa cassettes/deeper/test_moved"]
    run(told(missed.output)[0])

    again = suite.run("--lmtest-unused", "fail")
    assert again.green, again.output
    path = suite.path / "cassettes/deeper/test_moved/test_a.yaml"
    assert Index(path).header.tests == ("deeper/test_moved.py::test_a",)
    assert not (suite.path / "cassettes/test_qa").exists()


def test_a_test_that_is_there_keeps_its_recordings(suite, recorded):
    recorded("def test_old(): ask('one')")
    suite.write(test_qa=ASK + "def test_old(): ask('one')\ndef test_new(): ask('one')")

    output = suite.run().output

    assert "there is no cassette cassettes/test_qa/test_new.yaml to replay. Record it: " in output
    assert told(output) == []


def test_a_cassette_of_another_test_is_named_as_such(suite, recorded):
    recorded("def test_a(): ask('one')")
    suite.write(test_qa=ASK + "@pytest.mark.lmtest('test_qa/test_a')\ndef test_b(): ask('two')")

    output = suite.run().output

    assert "cassettes/test_qa/test_a.yaml is the cassette of test_qa.py::test_a, not of test_qa.py::test_b." in output


def test_the_summary_does_not_only_offer_to_delete(suite, recorded):
    recorded("def test_old(): ask('one')")
    suite.write(test_qa=ASK + "def test_new(): pass")

    output = suite.run().output

    assert "to delete what no test uses: pytest --lmtest-prune" in output
    assert "to take along what a test had under another name: lmtest mv OLD NEW" in output


def test_the_commands_of_a_miss_work_where_pytest_was_run(suite, recorded, provider, monkeypatch):
    recorded("def test_old(): ask('one')")
    suite.write(test_qa=ASK + "def test_new(): ask('one')\ndef test_other(): ask('two')")
    suite.ini()
    below = suite.path / "below"
    below.mkdir()
    monkeypatch.chdir(below)

    output = suite.run("..").output
    (command,) = told(output)
    assert command.startswith("mv ../cassettes/test_qa/test_old.yaml ../cassettes/test_qa/test_new.yaml")
    run(command)
    records = set(re.findall(r"[Rr]ecord it: LM_MODE=record pytest '(.*?)'", output))
    assert records == {"../test_qa.py::test_new", "../test_qa.py::test_other"}

    assert suite.run("../test_qa.py::test_other", mode="record", provider=provider).green
    again = suite.run("..")
    assert again.green, again.output
