"""What cassettes are called, and where they are."""

from textwrap import dedent

import pytest

from lmtest.cassette.naming import LONGEST, file_name

ASK = """
    import dspy, enum, pytest

    pytestmark = pytest.mark.lmtest

    def ask():
        dspy.Predict("question -> answer")(question="Who?")

"""


@pytest.fixture
def recorded(suite, provider):
    """The names of the cassettes that a test module records."""

    def record(text, *arguments):
        suite.write(test_qa=dedent(ASK) + dedent(text))
        result = suite.run(*arguments, mode="record", provider=provider)
        assert result.green, result.output
        return suite.cassettes

    return record


def test_a_cassette_is_named_after_module_class_and_test(recorded):
    text = """
    class TestQA:
        class TestDeep:
            def test_it(self): ask()

    def test_that(): ask()
    """
    assert recorded(text) == ["test_qa/TestQA.TestDeep.test_it.yaml", "test_qa/test_that.yaml"]


def test_one_parameter_stands_by_its_id(recorded):
    text = """
    @pytest.mark.parametrize("city", ["Paris", pytest.param(object(), id="an-object")])
    def test_it(city): ask()
    """
    assert recorded(text) == ["test_qa/test_it[Paris].yaml", "test_qa/test_it[an-object].yaml"]


TWO = """
    class Size(enum.Enum):
        BIG = 1

    @pytest.mark.parametrize("{}", [{}])
    @pytest.mark.parametrize("{}", [{}])
    def test_it(city, size): ask()
"""


@pytest.mark.parametrize("order", [("city", "'Paris'", "size", "Size.BIG"), ("size", "Size.BIG", "city", "'Paris'")])
def test_several_parameters_stand_by_name_so_that_their_order_does_not_matter(order, recorded):
    assert recorded(TWO.format(*order)) == ["test_qa/test_it[city=Paris,size=BIG].yaml"]


def test_parameters_that_have_no_text_of_their_own_stand_by_their_ids(recorded):
    text = """
    @pytest.mark.parametrize(("a", "b"), [pytest.param(object(), 1, id="first")])
    def test_it(a, b): ask()
    """
    assert recorded(text) == ["test_qa/test_it[first].yaml"]


def test_names_are_short_and_safe_and_still_differ():
    names = {file_name("test_it", parameter) for parameter in ("a/b", "a:b", "ä", "é", "x" * 500, "x" * 501)}
    assert len(names) == 6
    assert all(name.isascii() and len(name) <= LONGEST + 20 and "/" not in name for name in names)


@pytest.mark.parametrize("given", ["'shared/qa'", "cassette='shared/qa.yaml'"])
def test_a_marker_names_the_cassette(given, recorded):
    assert recorded(f"@pytest.mark.lmtest({given})\ndef test_it(): ask()") == ["shared/qa.yaml"]


def test_a_fixture_names_the_cassettes(recorded):
    text = """
    @pytest.fixture
    def lmtest_cassette_name(lmtest_cassette_name, request):
        return f"{request.node.name}/{lmtest_cassette_name}"

    def test_it(): ask()
    """
    assert recorded(text) == ["test_it/test_qa/test_it.yaml"]


@pytest.mark.parametrize(
    ("ini", "arguments", "directory"),
    [
        (["lmtest_dir = recordings"], (), "recordings"),
        (["lmtest_dir = recordings"], ("--lmtest-dir", "flagged"), "flagged"),
    ],
    ids=["the ini file", "the flag over it"],
)
def test_the_directory_is_said_by(ini, arguments, directory, suite, provider):
    suite.ini(*ini)
    suite.write(test_qa=dedent(ASK) + "def test_it(): ask()")
    assert suite.run(*arguments, mode="record", provider=provider).green
    assert (suite.path / directory / "test_qa/test_it.yaml").is_file()


def test_a_fixture_says_the_directory_of_the_tests_below_it(suite, provider):
    suite.write(
        test_qa=ASK
        + """
    @pytest.fixture
    def lmtest_cassette_dir():
        return "elsewhere"

    def test_it(): ask()
    """
    )
    assert suite.run(mode="record", provider=provider).green
    assert (suite.path / "elsewhere/test_qa/test_it.yaml").is_file()


def test_a_module_outside_the_root_directory_has_its_cassettes_inside(suite, provider):
    root = suite.path / "project"
    root.mkdir()
    (root / "pytest.ini").write_text("[pytest]\n")
    where = ("--rootdir", "project", "-c", "project/pytest.ini", "--confcutdir", ".")
    suite.write(test_qa=dedent(ASK) + "def test_it(): ask()")
    assert suite.run(*where, mode="record", provider=provider).green
    assert [path.name for path in (root / "cassettes").rglob("*.yaml")] == ["test_it.yaml"]
