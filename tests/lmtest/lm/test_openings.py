"""One file that is opened again and again while a run records: what the run recorded stays, what is older goes."""

import subprocess
import sys
from pathlib import Path

import dspy
import pytest

import lmtest
from lmtest.cassette.index import Index
from lmtest.testing.provider import ScriptedProvider, fields

from .recordings import qa

SCRIPT = """
import os, sys, dspy, lmtest

lm = dspy.LM("gemini/gemini-2.5-flash", api_base=sys.argv[1], api_key="a-key-for-the-stand-in")
ask = dspy.Predict("question -> answer")
for question in sys.argv[2:]:
    with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="record"):
        ask(question=question)
"""


@pytest.fixture(params=["a pytest run", "a process of its own"], autouse=True)
def run(request, monkeypatch):
    """Whose openings belong together: those of a run that has a name, and else those of one process."""
    if request.param == "a pytest run":
        monkeypatch.setenv("LMTEST_RUN", "one")
    else:
        monkeypatch.delenv("LMTEST_RUN", raising=False)
    return request.param


@pytest.fixture
def ask(lm, monkeypatch):
    """Asks a question under ``qa.yaml``, opened for it."""

    def ask(*questions, mode="record", execution=None):
        with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode=mode, execution=execution):
            return [qa(question=question).answer for question in questions]

    return ask


def asked():
    """The questions that the file holds, in its order."""
    index = Index(Path("qa.yaml"))
    texts = [index.read(entry).request["messages"][-1]["parts"][0]["text"] for entry in index.entries]
    return [next(word for word in text.split() if word.endswith("?")) for text in texts]


def in_another_process(provider, *questions):
    subprocess.run([sys.executable, "-c", SCRIPT, f"{provider.url}/v1beta", *questions], check=True, timeout=100)


def test_the_second_opening_adds_to_the_first(ask):
    told = [*ask("one?"), *ask("two?")]

    assert asked() == ["one?", "two?"]
    assert [*ask("one?", mode="replay"), *ask("two?", mode="replay")] == told


def test_the_openings_of_one_execution_add_to_each_other_and_those_of_another_begin_anew(ask):
    ask("one?", execution="first")
    ask("two?", execution="first")
    assert asked() == ["one?", "two?"]
    ask("three?", execution="second")
    assert asked() == ["three?"]


def test_a_decorated_function_may_be_called_again(lm, unreachable_lm, monkeypatch):
    @lmtest.use_cassette("qa.yaml")
    def answer(question):
        return qa(question=question).answer

    monkeypatch.setenv("LM_MODE", "record")
    with dspy.context(lm=lm):
        told = [answer("one?"), answer("two?")]

    monkeypatch.setenv("LM_MODE", "replay")
    with dspy.context(lm=unreachable_lm):
        assert [answer("one?"), answer("two?")] == told


def test_who_asks_the_same_again_has_it_once_with_its_newest_answer(ask, provider, lm):
    ask("one?", "two?", "one?")
    before = Index(Path("qa.yaml"))
    first, second, third = [before.text(entry) for entry in before.entries]
    with (
        ScriptedProvider([fields(answer="Anew.")]) as changed,
        dspy.context(lm=lm.copy(api_base=f"{changed.url}/v1beta")),
    ):
        with lmtest.use_cassette("qa.yaml", mode="record"):
            qa(question="one?")
    after = Index(Path("qa.yaml"))

    assert asked() == ["one?", "two?", "one?"]
    anew, *others = [after.text(entry) for entry in after.entries]
    assert others == [second, third], "which stay byte for byte"
    assert "Anew." in anew
    assert "Anew." not in first


def test_what_is_older_than_the_run_is_replaced(ask, provider, run, monkeypatch):
    with monkeypatch.context() as before:
        before.setenv("LMTEST_RUN", "an earlier one")
        in_another_process(provider, "old?")
    ask("one?")
    ask("two?")

    assert asked() == ["one?", "two?"]


def test_a_file_that_somebody_put_back_meanwhile_is_not_of_the_run(ask, provider, monkeypatch):
    with monkeypatch.context() as before:
        before.setenv("LMTEST_RUN", "an earlier one")
        in_another_process(provider, "old?")
    committed = Path("qa.yaml").read_bytes()
    ask("one?")
    Path("qa.yaml").write_bytes(committed)
    ask("two?")

    assert asked() == ["two?"]


def test_processes_of_one_run_add_to_each_others(provider, monkeypatch):
    monkeypatch.setenv("LMTEST_RUN", "one")
    in_another_process(provider, "one?", "two?")
    in_another_process(provider, "three?")

    assert asked() == ["one?", "two?", "three?"]


def test_processes_of_no_run_replace_each_others(provider, monkeypatch):
    monkeypatch.delenv("LMTEST_RUN", raising=False)
    in_another_process(provider, "one?", "two?")
    in_another_process(provider, "three?", "four?")

    assert asked() == ["three?", "four?"]


def test_an_opening_that_fails_takes_nothing_away(ask, lm):
    ask("one?")
    with dspy.context(lm=lm), pytest.raises(ZeroDivisionError), lmtest.use_cassette("qa.yaml", mode="record"):
        qa(question="two?")
        1 / 0  # noqa: B018

    assert asked() == ["one?"]


def test_what_auto_added_in_a_run_stays_when_the_run_records(ask):
    ask("one?")
    ask("two?", mode="auto")
    ask("three?")

    assert asked() == ["one?", "two?", "three?"]


def test_a_cassette_is_where_it_was_opened_though_the_program_goes_elsewhere(lm, project, monkeypatch):
    (project / "elsewhere").mkdir()
    for mode in ("record", "replay"):
        monkeypatch.chdir(project)
        with dspy.context(lm=lm), lmtest.use_cassette("there/qa.yaml", mode=mode) as cassette:
            monkeypatch.chdir(project / "elsewhere")
            dspy.Predict("question -> answer")(question="Where?")
        assert len(cassette.calls) == 1
    assert [path.relative_to(project).as_posix() for path in project.rglob("*.yaml")] == ["there/qa.yaml"]
