"""A miss inside a subtest is told as in a test: the user's own lines and the sentence, once."""

import re

import pytest

SUBTESTS = """
import dspy, pytest, unittest

qa = dspy.Predict("question -> answer")

@pytest.mark.lmtest
def test_of_pytest(subtests):
    for question in {questions}:
        with subtests.test(question):
            qa(question=question)  # the line

@pytest.mark.lmtest
class TestCase(unittest.TestCase):
    def test_of_unittest(self):
        for question in {questions}:
            with self.subTest(question):
                qa(question=question)  # the line
"""
BLOCK = re.MULTILINE | re.DOTALL
RECORDED, ASKED = ["one", "two"], ["one", "else", "two", "other"]


@pytest.fixture
def missed(suite, paris):
    """A run in which two of four subtests ask for what is not recorded."""
    suite.write(test_x=SUBTESTS.format(questions=RECORDED))
    assert suite.run(mode="record", provider=paris).green
    suite.write(test_x=SUBTESTS.format(questions=ASKED))
    return suite.run()


@pytest.mark.parametrize("test", ["test_of_pytest", "TestCase.test_of_unittest"])
@pytest.mark.parametrize("question", ["else", "other"])
def test_a_miss_in_a_subtest_is_told_once_by_the_users_line(test, question, missed):
    [told] = re.findall(
        rf"^_+ {re.escape(test)} \[{question}\] _+$(.*?)^test_x.py:\d+: CassetteMiss$", missed.output, BLOCK
    )
    assert "# the line" in told
    assert "this request to gemini/gemini-2.5-flash is not recorded" in told
    assert len(re.findall(r"^E ", told, re.MULTILINE)) <= 25, told
    assert len(told.splitlines()) <= 40, told
    assert not re.search(r"site-packages|lmtest/(lm|money|pytest_plugin)/|asyncio/", told), told


def test_no_more_is_told_than_was_missed(missed):
    assert missed.code == 1
    assert missed.output.count("this request to gemini/gemini-2.5-flash is not recorded") == 4


def test_a_subtest_that_fails_keeps_the_old_cassettes(missed, suite, paris):
    before = {name: (suite.path / "cassettes" / name).read_bytes() for name in suite.cassettes}
    suite.write(test_x=SUBTESTS.format(questions=ASKED).replace("  # the line", '; assert question != "two"'))
    assert suite.run(mode="record", provider=paris).code == 1
    assert {name: (suite.path / "cassettes" / name).read_bytes() for name in suite.cassettes} == before
