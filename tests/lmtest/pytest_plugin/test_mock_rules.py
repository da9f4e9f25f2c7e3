"""Rules of mock mode that a test, a class, a module or a conftest.py gives."""

import pytest

ASK = """
    import dspy, lmtest, pytest, re

    def ask(question="The capital of France?"):
        return dspy.Predict("question -> answer")(question=question).answer
"""
FILE = """
- when: capital of France
  reply: {answer: Paris}
- regex: ^Who
  error: rate_limit
"""


@pytest.mark.parametrize(
    "rules",
    [
        '[{"when": "capital of France", "reply": {"answer": "Paris"}}]',
        '[lmtest.Rule(when=re.compile("capital"), reply=lambda asked: {"answer": "Paris"})]',
        '[{"regex": "c[a-z]+l", "replies": [{"answer": "Paris"}]}]',
        '"rules.yaml"',
    ],
    ids=["mapping", "Rule", "regex", "file"],
)
def test_a_marker_scripts_its_test(rules, suite):
    (suite.path / "rules.yaml").write_text(FILE)
    suite.write(test_qa=f"{ASK}\n    @pytest.mark.lmtest(rules={rules})\n    def test_it(): assert ask() == 'Paris'\n")
    assert suite.run(mode="mock").green


def test_the_closest_rules_win_and_each_test_has_its_replies_from_the_beginning(suite):
    suite.write(
        test_qa=ASK
        + """
    pytestmark = pytest.mark.lmtest(rules=[{"when": "France", "replies": [{"answer": "one"}, {"answer": "two"}]}])

    @pytest.mark.parametrize("number", [1, 2])
    def test_each(number):
        assert [ask(), ask()] == ["one", "two"]

    @pytest.mark.lmtest(rules=[{"reply": {"answer": "mine"}}])
    def test_own(): assert ask() == "mine"

    @pytest.mark.lmtest(rules=[])
    def test_none(): assert ask().startswith("Mock answer")
    """
    )
    assert suite.run(mode="mock").outcomes == {"passed": 4}


def test_a_conftest_scripts_what_is_below_it_and_the_project_comes_last(suite):
    (suite.path / "pyproject.toml").write_text('[tool.lmtest]\nmock_rules = "rules.yaml"\n')
    (suite.path / "rules.yaml").write_text(FILE)
    suite.write(
        test_qa=ASK
        + """
    @pytest.fixture(scope="session")
    def lmtest_config():
        return {"rules": [{"when": "Spain", "reply": {"answer": "Madrid"}}]}

    @pytest.mark.lmtest
    def test_it():
        assert [ask("And of Spain?"), ask()] == ["Madrid", "Paris"]
    """
    )
    assert suite.run(mode="mock").green


def test_tests_that_share_a_cassette_share_its_rules(suite):
    suite.write(
        test_qa=ASK
        + """
    pytestmark = pytest.mark.lmtest(scope="module", rules=[{"replies": [{"answer": "one"}, {"answer": "two"}]}])

    def test_one(): assert ask() == "one"
    def test_two(): assert ask() == "two"
    """
    )
    assert suite.run("-p", "no:randomly", mode="mock").outcomes == {"passed": 2}


def test_rules_change_nothing_in_other_modes(suite):
    suite.write(test_qa=f"{ASK}\n    @pytest.mark.lmtest(rules=[{{'reply': 'x'}}])\n    def test_it(): ask()\n")
    result = suite.run(mode="replay")
    assert result.outcomes == {"failed": 1}
    assert "CassetteNotFound" in result.output


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (
            "[{'wen': 'x', 'reply': 'y'}]",
            "test_qa.py::test_it: @pytest.mark.lmtest(rules=...), rule 1: no key 'wen'. Did you mean 'when'?",
        ),
        ("[{'when': 'x'}]", "rule 1: a rule has one of reply, replies and error"),
        ("[{'reply': 'y'}, 3]", "rule 2: a rule is a mapping of when and reply, not 3"),
        ("{'when': 'x'}", "test_qa.py::test_it: @pytest.mark.lmtest(rules=...): rules are a list of lmtest.Rule and"),
        ("'none.yaml'", "none.yaml cannot be read: No such file or directory"),
        ("'wrong.yaml'", "wrong.yaml, rule 1: no error 'rate_limits'"),
    ],
)
@pytest.mark.parametrize("mode", ["mock", "replay"])
def test_rules_that_cannot_be_used_fail_their_test_with_one_sentence(rules, said, mode, suite):
    (suite.path / "wrong.yaml").write_text("- error: rate_limits\n")
    suite.write(test_qa=f"import pytest\n\n@pytest.mark.lmtest(rules={rules})\ndef test_it(): pass\n")
    result = suite.run(mode=mode)
    assert result.outcomes == {"errors": 1}
    assert said in " ".join(result.output.split("\n"))
    assert "Traceback" not in result.output


def test_rules_of_one_test_in_a_cassette_of_several_are_refused(suite):
    suite.write(
        test_qa=ASK
        + """
    pytestmark = pytest.mark.lmtest(scope="module")

    @pytest.mark.lmtest(rules=[{"reply": {"answer": "mine"}}])
    def test_it(): ask()
    """
    )
    result = suite.run(mode="mock")
    assert result.outcomes == {"errors": 1}
    assert "test_qa.py::test_it: its cassette is shared by test_qa.py, and so are its rules" in result.output


def test_the_marker_is_documented(suite):
    assert "rules, a list such as [{'when'" in " ".join(suite.run("--markers").output.split())
