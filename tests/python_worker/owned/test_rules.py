"""A worker in mode mock obeys the rules of the test that asks."""

import re

import pytest
from dspy.lm15 import RateLimitError

import lmtest
from lmtest.lm.portable_rules import rules_to_plain
from lmtest.lm.rules import Asked


def test_programs_of_a_mocked_worker_answer_by_the_rules_of_the_test_that_asks(suite, host):
    suite.write(
        test_qa="""
        import re
        import lmtest, pytest
        from dspy.lm15 import RateLimitError

        def ask(worker, question):
            return worker.execute("qa", {"question": question}).outputs["answer"]

        RULES = [
            lmtest.Rule(when={"question": re.compile("capital of france", re.I)}, reply={"answer": "Paris"}),
            lmtest.Rule(when="dice", reply=[{"answer": "one"}, {"answer": "two"}]),
            {"regex": "weather|rain", "error": "rate_limit", "message": "too much rain"},
        ]

        @pytest.mark.lmtest(rules=RULES)
        def test_rules(worker):
            assert ask(worker, "The Capital of France?") == "Paris"
            assert [ask(worker, "Roll the dice.") for _ in range(2)] == ["one", "two"]
            with pytest.raises(Exception, match="too much rain"):
                ask(worker, "Any rain?")
            assert ask(worker, "Something else?") not in {"Paris", "one", "two"}

        @pytest.mark.lmtest
        def test_another(worker):
            assert ask(worker, "The capital of France?") != "Paris", "the rules of a test are its own"
    """
    )
    mocked = suite.run(mode="mock", worker=host("mock"))
    assert mocked.green, mocked.output


def test_a_rule_that_replies_with_a_function_is_refused_by_its_name(suite, host):
    suite.write(
        test_qa="""
        import lmtest, pytest

        def guess(asked):
            return {"answer": "?"}

        @pytest.mark.lmtest(rules=[{"when": "x", "reply": "y"}, lmtest.Rule(reply=guess)])
        def test_rules(worker):
            worker.execute("qa", {"question": "Who?"})
    """
    )
    worker = host("mock")
    refused = suite.run(mode="mock", worker=worker)
    assert refused.outcomes == {"failed": 1}
    assert "rule 2 (guess) is a function, which cannot be sent to a worker" in refused.output
    assert suite.run(mode="replay", worker=worker).outcomes == {"failed": 1}, "for there is no cassette"


@pytest.mark.parametrize(
    "rule",
    [
        lmtest.Rule(when="a", reply="text"),
        lmtest.Rule(reply={"answer": [1, {"b": None}]}),
        lmtest.Rule(when=re.compile("a.b", re.IGNORECASE | re.DOTALL), reply="text"),
        lmtest.Rule(when={"question": "a", "n": 3, "where": re.compile("b+")}, reply="text"),
        lmtest.Rule(when="a", reply=["one", {"answer": "two"}]),
        lmtest.Rule(when="a", reply=[RateLimitError("slow"), "then"]),
    ],
)
def test_rules_are_the_same_on_the_other_side(rule):
    [again] = lmtest.rules_from_plain(rules_to_plain([rule]), asked="here")
    asked = [
        Asked(text="a\nb", inputs={"question": "a", "n": "3", "where": "abb"}),
        Asked(text="nothing"),
        Asked(text="A.B", inputs={"question": "a", "n": "4", "where": "b"}),
    ]
    assert [again.matches(each) for each in asked] == [rule.matches(each) for each in asked]
    assert repr(again.reply) == repr(rule.reply)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (print, "is a function"),
        (ValueError("x"), "none of a provider's"),
        (KeyError, "none of a provider's"),
        ({"answer": {1, 2}}, "no JSON value"),
        ({"answer": float("nan")}, "no JSON value"),
        (["fine", print], "reply 2"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_its_place(reply, why):
    with pytest.raises(lmtest.ConfigurationError, match=f"rule 2.*{why}"):
        rules_to_plain([lmtest.Rule(reply="text"), lmtest.Rule(when="a", reply=reply)])
