"""macOS and Windows take names that differ in case alone for one file."""

from textwrap import dedent

import pytest

from lmtest import disk
from lmtest.cassette.library import find
from lmtest.cassette.naming import file_name

ASK = """
    import dspy, enum, pytest

    pytestmark = pytest.mark.lmtest

    def ask(text="Who?"):
        dspy.Predict("question -> answer")(question=text)

"""
LETTERS = """
    @pytest.mark.parametrize("letter", ["A", "a", "b"])
    def test_x(letter): ask(letter)
"""


BY_NAME = "@pytest.mark.parametrize(('a', 'b'), [pytest.param('X', 1, id='one'), pytest.param('x', 1, id='two')])"


@pytest.fixture
def record(suite, provider):
    def record(text, *arguments):
        suite.write(test_qa=dedent(ASK) + dedent(text))
        result = suite.run(*arguments, mode="record", provider=provider)
        assert result.green, result.output
        return suite.cassettes

    return record


def apart(test, parameters=""):
    return f"test_qa/{file_name(test, parameters, apart=True)}"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (LETTERS, [apart("test_x", "A"), apart("test_x", "a"), "test_qa/test_x[b].yaml"]),
        ("def test_a(): ask()\ndef test_A(): ask()\ndef test_B(): ask()",
         [apart("test_a"), apart("test_A"), "test_qa/test_B.yaml"]),
        ("class TestA:\n    def test_x(self): ask()\nclass Testa:\n    def test_x(self): ask()",
         [apart("TestA.test_x"), apart("Testa.test_x")]),
        ("@pytest.mark.lmtest(scope='class')\nclass TestA:\n    def test_x(self): ask()\ndef testa(): ask()",
         [apart("TestA"), apart("testa")]),
        (f"{BY_NAME}\ndef test_x(a, b): ask()", [apart("test_x", "a=X,b=1"), apart("test_x", "a=x,b=1")]),
    ],
    ids=["parameters", "tests", "classes", "a class and a test", "parameters by name"],
)  # fmt: skip
def test_what_differs_in_case_alone_is_told_apart_by_a_hash_and_nothing_else_is(text, names, record):
    assert record(text) == sorted(names)
    assert len({name.casefold() for name in names}) == len(names)


def test_a_test_that_is_asked_for_alone_has_the_same_name(record, suite):
    names = record(LETTERS)
    assert record(LETTERS, "test_qa.py::test_x[A]") == names
    assert suite.run("test_qa.py::test_x[a]", mode="replay").green


@pytest.fixture
def from_before(record, suite):
    """Cassettes as an earlier version named them, on a system where that made two files."""
    for name in record(LETTERS)[:2]:
        path = suite.path / "cassettes" / name
        path.rename(path.with_name(f"{path.name.partition(']')[0]}].yaml"))
    assert suite.cassettes == ["test_qa/test_x[A].yaml", "test_qa/test_x[a].yaml", "test_qa/test_x[b].yaml"]
    return suite


def test_a_cassette_under_its_old_name_is_found_and_is_no_orphan(from_before):
    assert from_before.run("--lmtest-unused=fail", mode="replay").green


def test_another_tests_cassette_under_that_name_is_not(from_before):
    # As it is where both names are one file, and the other test's recording came last.
    directory = from_before.path / "cassettes" / "test_qa"
    (directory / "test_x[A].yaml").replace(directory / "test_x[a].yaml")
    result = from_before.run("-k", "x[a]", mode="replay")

    assert not result.green
    assert "there is no cassette" in result.output


def test_what_is_recorded_anew_has_the_new_name_and_the_old_one_can_be_pruned(from_before, record):
    names = record(LETTERS)
    assert {apart("test_x", "A"), apart("test_x", "a")} < set(names)
    assert from_before.run("--lmtest-prune", mode="replay").green
    assert from_before.cassettes == sorted({apart("test_x", "A"), apart("test_x", "a"), "test_qa/test_x[b].yaml"})


BESIDE = """
    @pytest.mark.parametrize("letter", ["A", "a"])
    def test_x(letter, lmtest_use_cassette):
        with lmtest_use_cassette("judge"):
            ask(letter)
"""


def test_a_cassette_beside_one_that_had_another_name_is_found(record, suite):
    for name in record(BESIDE):
        path = suite.path / "cassettes" / name
        path.rename(path.with_name(f"{path.name.partition(']')[0]}].judge.yaml"))
    assert suite.cassettes == ["test_qa/test_x[A].judge.yaml", "test_qa/test_x[a].judge.yaml"]
    assert suite.run(mode="replay").green


NAMED = """
    @pytest.mark.lmtest("Shared/QA")
    def test_one(): ask("one")

    @pytest.mark.lmtest("shared/qa")
    def test_two(): ask("two")
"""


def test_a_file_that_tests_name_in_different_case_is_one_where_case_does_not_matter(record, suite, monkeypatch):
    monkeypatch.setattr(disk, "_IGNORES_CASE", True)
    [name] = record(NAMED, "-p", "no:randomly")
    assert name == "Shared/QA.yaml"
    assert suite.run("--lmtest-unused=fail", mode="replay").green
    assert suite.run("--lmtest-prune", mode="replay").green
    assert suite.run(mode="replay").green


def test_it_is_two_elsewhere(record):
    assert record(NAMED) == ["Shared/QA.yaml", "shared/qa.yaml"]


def test_a_path_is_spelled_as_the_disk_has_it(tmp_path, monkeypatch):
    (tmp_path / "Shared").mkdir()
    (tmp_path / "Shared" / "QA.yaml").touch()
    asked = tmp_path / "shared" / "qa.YAML"

    assert disk.spelled(asked) == asked
    monkeypatch.setattr(disk, "_IGNORES_CASE", True)
    assert disk.spelled(asked) == tmp_path / "Shared" / "QA.yaml"
    assert disk.spelled(tmp_path / "Shared" / "QA.yaml") == tmp_path / "Shared" / "QA.yaml"
    assert disk.spelled(tmp_path / "SHARED" / "new.yaml") == tmp_path / "Shared" / "new.yaml"


def test_a_cassettes_suffix_may_be_in_any_case(tmp_path):
    (tmp_path / "QA.YAML").touch()

    assert [path.name for path in find([tmp_path])] == ["QA.YAML"]
