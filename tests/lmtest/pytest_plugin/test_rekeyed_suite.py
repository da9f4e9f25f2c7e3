"""A suite that was recorded before somebody thought of a rule replays after `lmtest rekey`, and nobody is called."""

from click.testing import CliRunner

from lmtest.cli import cli
from lmtest.testing import ScriptedProvider, fields

BEFORE = """
import datetime, dspy, lmtest, os, pytest

@lmtest.tool
def look_up(who: str) -> str:
    return f"{who} lives in Paris"

def ask(question):
    return dspy.Predict("question -> answer")(question=question).answer

@pytest.mark.lmtest
def test_an_agent_asks_with_what_it_was_answered():
    told = look_up(who="cust-1234")
    first = ask(f"{told}. Today is {os.environ['TODAY']}.")
    assert ask(f"More on {first}") == "Paris, says cust-1234"

@pytest.mark.lmtest(scope="class", scrub=["time"])
class TestShared:
    def test_a(self): ask("It is 12:00 on " + os.environ["TODAY"])
    def test_b(self): ask("It is 13:00 on " + os.environ["TODAY"])
"""
AFTER = BEFORE.replace('"Paris, says cust-1234"', '"Paris, says <redacted>"')
RULES = "[tool.lmtest]\nscrub = ['date']\nredact = ['cust-\\d+']\n"


def test_a_suite_replays_by_rules_that_it_was_not_recorded_by(suite, monkeypatch):
    monkeypatch.setenv("TODAY", "2026-11-20")
    suite.write(test_qa=BEFORE)
    with ScriptedProvider([fields(answer="Paris, says cust-1234")], repeat_last=True) as provider:
        recorded = suite.run(mode="record", provider=provider)
    assert recorded.green, recorded.output
    (suite.path / "pyproject.toml").write_text(RULES)
    suite.write(test_qa=AFTER)
    monkeypatch.setenv("TODAY", "2027-01-01")
    assert not suite.run().green

    result = CliRunner().invoke(cli, ["rekey"])
    assert result.exit_code == 0, result.output
    assert "2 files changed." in result.output

    replayed = suite.run("--lmtest-unused", "fail")
    assert replayed.green, replayed.output
    assert CliRunner().invoke(cli, ["verify"]).output == "2 cassettes: good.\n"
