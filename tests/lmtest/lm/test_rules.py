"""Scripted answers of mock mode."""

import re
from concurrent.futures import ThreadPoolExecutor

import dspy
import pytest
from dspy.utils.exceptions import LMRateLimitError

import lmtest
from lmtest.lm.rules import Asked, Script, read_rules


def ask(rules, question="What is the capital of France?", signature="question -> answer, sure: bool", adapter=None):
    """The answer of a predictor under these rules."""
    lm = dspy.LM("gemini/gemini-2.5-flash", api_key="none", num_retries=0)
    with lmtest.use_cassette(mode="mock", rules=rules), dspy.context(lm=lm, adapter=adapter):
        return dspy.Predict(signature)(question=question)


@pytest.mark.parametrize("adapter", [dspy.ChatAdapter(), dspy.JSONAdapter(), dspy.XMLAdapter()])
def test_a_rules_fields_are_the_answer_and_the_rest_is_made_up(adapter):
    found = ask([lmtest.Rule(when="capital", reply={"answer": "Paris"})], adapter=adapter)
    assert found.answer == "Paris"
    assert isinstance(found.sure, bool)


@pytest.mark.parametrize(
    "when",
    [
        None,
        "capital of",
        re.compile(r"^.*\bFrance\b", re.MULTILINE),
        {"question": "What is the capital of France?"},
        {"question": re.compile("France")},
    ],
)
def test_a_call_is_known_by_text_pattern_or_field_values(when):
    assert ask([lmtest.Rule(when=when, reply={"answer": "Paris"})]).answer == "Paris"


@pytest.mark.parametrize("when", ["Spain", re.compile("Spain"), {"question": "capital"}, {"other": "x"}])
def test_a_rule_for_another_call_changes_nothing(when):
    assert ask([lmtest.Rule(when=when, reply={"answer": "Paris"})]).answer == ask([]).answer


@pytest.mark.parametrize(("given", "wanted"), [("3", 3), ("[1, 2]", [1, 2]), ("True", True), ("a", "a")])
def test_a_fields_value_is_compared_as_what_it_is_written_from(given, wanted):
    assert lmtest.Rule(when={"x": wanted}, reply="").matches(Asked(text="", inputs={"x": given}))


def test_the_first_rule_that_matches_replies():
    rules = [lmtest.Rule(when="capital", reply={"answer": "first"}), lmtest.Rule(reply={"answer": "second"})]
    assert (ask(rules).answer, ask(rules, question="why?").answer) == ("first", "second")


def test_a_text_is_the_whole_answer():
    lm = dspy.LM("gemini/gemini-2.5-flash", api_key="none")
    with lmtest.use_cassette(mode="mock", rules=[lmtest.Rule(when="Hi", reply="Hello!")]):
        assert lm("Hi") == ["Hello!"]


def test_an_answer_that_does_not_parse_can_be_scripted():
    with pytest.raises(Exception, match="failed to parse"):
        ask([lmtest.Rule(reply="no fields at all")])


def test_an_exception_is_raised_as_a_providers_failure():
    with pytest.raises(LMRateLimitError, match="slow down"):
        ask([lmtest.Rule(reply=dspy.lm15.RateLimitError("slow down"))])


def test_a_list_is_replied_one_a_call_and_then_is_at_its_end():
    lm = dspy.LM("gemini/gemini-2.5-flash", api_key="none")
    with lmtest.use_cassette(mode="mock", rules=[{"when": "Hi", "reply": ["one", "two"]}]):
        assert [lm("Hi")[0], lm("Hi")[0]] == ["one", "two"]
        with pytest.raises(lmtest.ConfigurationError, match="has 2 replies, and is asked for reply 3: add one"):
            lm("Hi")


def test_threads_that_share_a_list_get_each_reply_once():
    script = Script([lmtest.Rule(reply=[str(number) for number in range(50)])])
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: script.reply(Asked(text="")), range(50)))
    assert sorted(replies, key=int) == [str(number) for number in range(50)]


def test_a_function_sees_the_call_and_gives_the_reply():
    seen = []

    def reply(asked):
        seen.append(asked)
        return {"answer": asked.inputs["question"].upper()}

    assert ask([lmtest.Rule(reply=reply)], question="why?").answer == "WHY?"
    assert (seen[0].fields, seen[0].model) == (("answer", "sure"), "gemini/gemini-2.5-flash")


def test_a_field_that_the_call_does_not_have_is_told_with_the_nearest():
    with pytest.raises(lmtest.ConfigurationError, match=r"no field of the call\. Did you mean 'answer'"):
        ask([lmtest.Rule(reply={"anwser": "Paris"})])


def test_what_is_no_reply_is_told():
    with pytest.raises(lmtest.ConfigurationError, match="replies 3: a reply is a mapping"):
        ask([lmtest.Rule(reply=3)])


FILE = """
- when: capital of France
  reply: {answer: Paris}
- regex: Sp[a-z]+n
  replies: [{answer: Madrid}]
- when: {question: "2+2?"}
  error: rate_limit
  message: slow down
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose pyproject.toml names the rules above."""
    (tmp_path / "rules.yaml").write_text(FILE)
    (tmp_path / "pyproject.toml").write_text('[tool.lmtest]\nmock_rules = "rules.yaml"\n')
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("project")
def test_a_project_keeps_its_rules_in_a_file():
    assert ask([]).answer == "Paris"
    assert ask([], question="And of Spain?").answer == "Madrid"
    with pytest.raises(LMRateLimitError, match="slow down"):
        ask([], question="2+2?")


@pytest.mark.usefixtures("project")
def test_a_blocks_own_rules_go_before_the_projects():
    assert ask([lmtest.Rule(when="capital", reply={"answer": "mine"})]).answer == "mine"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("when: x", "must hold a list of rules"),
        ("- x", "rule 1: a rule is a mapping of when and reply, not 'x'"),
        ("- wen: x\n  reply: y", "rule 1: no key 'wen'. Did you mean 'when'?"),
        ("- when: x", "rule 1: a rule has one of reply, replies and error"),
        ("- when: x\n  regex: x\n  reply: y", "rule 1: a rule has one of when and regex"),
        ("- regex: (\n  reply: y", "rule 1: regex '(' does not compile"),
        ("- when: [x]\n  reply: y", "rule 1: when is text or a mapping of fields"),
        ("- when: x\n  error: rate_limits", "rule 1: no error 'rate_limits'"),
        ("- [", "does not read as YAML"),
    ],
)
def test_a_file_that_holds_no_rules_is_told_by_place(tmp_path, text, says):
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    with pytest.raises(lmtest.ConfigurationError, match=re.escape(says)):
        read_rules(file)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(lmtest.ConfigurationError, match=r"mock_rules: .* cannot be read: No such file"):
        read_rules(tmp_path / "none.yaml")
