"""A suite of tests on disk, as a user would write it, whose calls reach the oracle."""

from pathlib import Path

from lmtest.modes import Mode
from lmtest.refresh.run import run_tests

QUESTIONS = ("same", "reworded", "changed", "malformed", "limited", "slow")

_CONFTEST = """\
import os
import dspy
import pytest

@pytest.fixture(autouse=True)
def lm():
    base = os.environ["QA_API_BASE"]
    with dspy.context(lm=dspy.LM("gemini/gemini-2.5-flash", api_base=base, num_retries=0, max_tokens=200)):
        yield
"""

_TEST = """\
@pytest.mark.lmtest
def test_{0}():
    assert dspy.Predict("question -> answer: str, n: int")(question="{0}?").answer
"""


def answer(text, n):
    from .oracle import fields

    return fields(answer=text, n=n)


def write(project: Path, oracle, monkeypatch, *questions):
    """Write a test for each question, and record it."""
    monkeypatch.setenv("QA_API_BASE", f"{oracle.url}/v1beta")
    monkeypatch.setenv("GEMINI_API_KEY", "k" * 12)
    (project / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (project / "conftest.py").write_text(_CONFTEST)
    tests = "\n\n".join(_TEST.format(each) for each in questions)
    (project / "test_suite.py").write_text(f"import dspy\nimport pytest\n\n{tests}")
    oracle.says |= {f"{each}?": answer("It is Paris", 3) for each in questions if f"{each}?" not in oracle.says}
    run = run_tests(["test_suite.py"], root=project, mode=Mode.RECORD)
    assert {each.outcome for each in run.ended} == {"passed"}, run.log
    oracle.prompts.clear()


def cassette(project: Path, question: str) -> Path:
    return project / "cassettes" / "test_suite" / f"test_{question}.yaml"


def snapshot(project: Path):
    """The bytes of every cassette, without what waits beside."""
    found = (project / "cassettes").rglob("*.yaml")
    return {path.name: path.read_bytes() for path in found if ".new." not in path.name and ".failed." not in path.name}
