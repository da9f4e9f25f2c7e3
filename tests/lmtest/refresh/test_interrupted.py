"""An interrupted refresh of cassettes that several tests share: nothing is lost, and nothing paid for twice."""

import os
import random
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import lmtest
from lmtest.cassette import pending
from lmtest.cassette.index import Index
from lmtest.cli import cli
from lmtest.refresh.result import read_calls
from lmtest.refresh.run import run_tests

from . import suite
from .suite import answer

NAMES = ("ants", "bees", "cats", "dogs", "emus")
PATH = Path("cassettes/shared/qa.yaml")

BY_NAME = 'pytestmark = pytest.mark.lmtest("shared/qa")\n'
BY_MODULE = """\
pytestmark = pytest.mark.lmtest("shared/qa", scope="module")

@pytest.fixture(scope="module", autouse=True)
def greeted():
    with dspy.context(lm=dspy.LM("gemini/gemini-2.5-flash", api_base=os.environ["QA_API_BASE"], max_tokens=200)):
        assert dspy.Predict("question -> answer: str, n: int")(question="hello?").answer
"""
BY_SESSION = 'pytestmark = pytest.mark.lmtest("shared/qa", scope="session")\n'
BY_CLASS = """\
pytestmark = pytest.mark.lmtest("shared/qa", scope="class")

class TestAnimals:
"""
_TEST = """
def test_{0}({1}):
    assert dspy.Predict("question -> answer: str, n: int")(question="{0}, again?").answer
    assert dspy.Predict("question -> answer: str, n: int")(question="{0}?").answer
"""


@pytest.fixture(autouse=True)
def _runs_of_their_own(monkeypatch):
    """Each command is a run of its own, as in a shell."""
    monkeypatch.delenv("LMTEST_RUN", raising=False)


def write(project, oracle, monkeypatch, sharing):
    """Write tests that share a cassette, each of two calls, and record it."""
    monkeypatch.setenv("LMTEST_USD_PER_RUN", "none")
    suite.write(project, oracle, monkeypatch, "same")
    (project / "test_suite.py").unlink()
    oracle.says = {name: answer(f"It is {name}", 3) for name in (*NAMES, "hello")}
    tests = "".join(_TEST.format(name, "self" if sharing is BY_CLASS else "") for name in NAMES)
    tests = tests.replace("\n", "\n    ") if sharing is BY_CLASS else tests
    (project / "test_shared.py").write_text(f"import os\nimport dspy\nimport pytest\n\n{sharing}{tests}\n")
    run = run_tests(["test_shared.py"], root=project, mode=lmtest.Mode.RECORD)
    assert {each.outcome for each in run.ended} == {"passed"}, run.log
    oracle.says |= {name: answer(f"It is now {name}", 4) for name in (*NAMES, "hello")}
    oracle.prompts.clear()


def lmtest_(*arguments, code=0):
    result = CliRunner(catch_exceptions=False).invoke(cli, list(arguments))
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def killed(oracle, *, after, whom):
    """Refresh, and kill whoever refreshes, its tests or both in the middle of a call; false where it makes fewer."""
    gate = oracle.hold(after=after)
    command = [sys.executable, "-m", "lmtest", "refresh", str(PATH), "--yes"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        while not gate.reached.wait(0.05):
            if process.poll() is not None:
                assert len(oracle.prompts) <= after, process.stdout.read()
                return False
        [tests] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        ended = os.pidfd_open(int(tests))
        for each in [process.pid] * ("refresh" in whom) + [int(tests)] * ("tests" in whom):
            os.kill(each, signal.SIGKILL)
        if "refresh" in whom:
            process.wait(timeout=60)
        gate.open.set()
        process.communicate(timeout=60)
    assert select.select([ended], [], [], 60)[0]
    os.close(ended)
    return True


def asked(prompts):
    return [re.search(r"(\w+(, again)?)\?", each[each.rindex("question ## ]]") :])[1] for each in prompts]


def waits():
    """What stands beside the cassette, as questions."""
    fresh = pending.fresh_path(PATH)
    return (
        asked([call.request["messages"][-1]["parts"][0]["text"] for call in read_calls(fresh)])
        if fresh.exists()
        else []
    )


def replays(project):
    run = run_tests(["test_shared.py"], root=project, mode=lmtest.Mode.REPLAY)
    return {each.outcome for each in run.ended} == {"passed"} and len(run.ended) == len(NAMES)


@pytest.mark.parametrize(
    ("sharing", "whom"),
    [
        (BY_NAME, "refresh"),
        (BY_NAME, "refresh and tests"),
        (BY_MODULE, "tests"),
        (BY_CLASS, "refresh"),
        (BY_SESSION, "tests"),
    ],
    ids=["name", "name, at once", "module", "class", "session"],
)
def test_whoever_is_killed_whenever_what_was_kept_is_never_asked_again(project, oracle, monkeypatch, sharing, whom):
    write(project, oracle, monkeypatch, sharing)
    old = PATH.read_bytes()
    chance = random.Random(f"{whom} {sharing}")
    for again in (False, True):  # the second time it may have less to do, and come to its end
        kept = waits()
        oracle.prompts.clear()
        interrupted = killed(oracle, after=chance.randrange(2, 4), whom=whom)
        assert interrupted or again
        assert not set(kept) & set(asked(oracle.prompts))
        assert set(kept) <= set(waits()), "nothing is lost"
        assert bool(pending.unfinished(PATH)) == interrupted
        assert PATH.read_bytes() == old
        assert not interrupted or "accepted" not in lmtest_("accept", "--tier", "all")
        assert PATH.read_bytes() == old
    kept = waits()
    assert kept
    oracle.prompts.clear()

    said = lmtest_("refresh", str(PATH), "--yes", "--accept", "all")

    assert not set(kept) & set(asked(oracle.prompts))
    assert sorted({*kept, *asked(oracle.prompts)}) == sorted({*waits_for(sharing)})
    assert "accepted: cassettes/shared/qa.yaml" in said
    assert not pending.fresh_path(PATH).exists()
    assert len(read_calls(PATH)) == len(waits_for(sharing))
    assert all("now" in str(call.outcome) for call in read_calls(PATH))
    assert replays(project)


def waits_for(sharing):
    every = [f"{name}{more}" for name in NAMES for more in ("", ", again")]
    return [*every, "hello"] if sharing is BY_MODULE else every


@pytest.mark.parametrize("sharing", [BY_NAME, BY_MODULE], ids=["name", "module"])
def test_at_a_limit_the_tests_before_it_have_ended_and_the_next_refresh_runs_the_rest(
    project, oracle, monkeypatch, sharing
):
    write(project, oracle, monkeypatch, sharing)
    monkeypatch.setenv("LMTEST_USD_PER_RUN", "0.0012")
    old = PATH.read_bytes()
    said = lmtest_("refresh", str(PATH), "--yes", "--accept", "all", code=3)
    assert "the next refresh goes on there" in said or "stopped by the limit" in said
    kept = waits()
    assert 0 < len(kept) < 10, said
    assert PATH.read_bytes() == old
    oracle.prompts.clear()
    monkeypatch.setenv("LMTEST_USD_PER_RUN", "none")

    lmtest_("refresh", str(PATH), "--yes", "--accept", "all")

    assert not set(kept) & set(asked(oracle.prompts))
    assert len(asked(oracle.prompts)) + len(kept) == len(waits_for(sharing))
    assert replays(project)


def test_another_checkout_knows_from_the_file_alone_what_is_left(project, oracle, monkeypatch):
    """A CI has no ``.lmtest``: it got the cassette, and what was recorded for it, by git."""
    write(project, oracle, monkeypatch, BY_NAME)
    killed(oracle, after=5, whom="refresh and tests")
    for each in Path(".lmtest").iterdir():
        each.unlink()
    kept, copy = waits(), pending.fresh_path(PATH).read_bytes()
    pending.fresh_path(PATH).unlink()
    pending.fresh_path(PATH).write_bytes(copy)  # as git does, which makes it another file
    oracle.prompts.clear()

    lmtest_("accept", str(PATH), "--tier", "all", code=1)
    said = lmtest_("refresh", str(PATH), "--dry-run")
    lmtest_("refresh", str(PATH), "--yes", "--accept", "all")

    assert re.search(rf"cassettes/shared/qa.yaml \S+ {10 - len(kept)} ", said), "the plan counts what is left"
    assert not set(kept) & set(asked(oracle.prompts))
    assert len(kept) + len(oracle.prompts) == 10
    assert replays(project)


@pytest.mark.parametrize("sharing", [BY_NAME, BY_MODULE], ids=["name", "module"])
def test_a_test_that_failed_runs_again_alone(project, oracle, monkeypatch, sharing):
    write(project, oracle, monkeypatch, sharing)
    oracle.says["cats"] = "I would rather not say."
    lmtest_("refresh", str(PATH), "--yes", "--accept", "all", code=1)
    missing = "test_shared.py::test_cats" if sharing is BY_NAME else "test_shared.py"
    assert pending.unfinished(PATH) == (missing,)
    assert pending.failed_path(PATH).exists()
    assert "accepted" not in lmtest_("accept", str(PATH), "--tier", "all", code=1)
    oracle.says["cats"] = answer("It is now cats", 4)
    oracle.prompts.clear()

    lmtest_("refresh", str(PATH), "--yes", "--accept", "all")

    # What a fixture of the module asks is recorded with the test that set it up, which may be this one.
    assert {each.partition(",")[0] for each in asked(oracle.prompts)} - {"hello"} == {"cats"}
    assert not pending.failed_path(PATH).exists()
    assert replays(project)


def test_a_test_that_passes_without_a_call_has_ended_too(project, oracle, monkeypatch):
    write(project, oracle, monkeypatch, BY_NAME)
    source = Path("test_shared.py").read_text()
    Path("test_shared.py").write_text(source.replace("def test_ants():", "def test_ants():\n    return"))

    lmtest_("refresh", str(PATH), "--yes")

    assert pending.unfinished(PATH) == ()
    assert len(waits()) == 8
    said = lmtest_("accept", str(PATH), "--tier", "all", code=1)
    assert "it would lose 2 calls" in said, "which a person may accept, who sees them"


def test_one_test_run_by_hand_is_added_to_what_all_of_them_recorded(project, oracle, monkeypatch):
    write(project, oracle, monkeypatch, BY_NAME)
    lmtest_("refresh", str(PATH), "--yes")
    command = [sys.executable, "-m", "pytest", "-q", "test_shared.py::test_bees"]
    subprocess.run(command, env=os.environ | {"LM_MODE": "refresh"}, check=True, stdout=subprocess.DEVNULL)
    assert pending.unfinished(PATH) == ()
    assert len(waits()) == 10


def test_what_a_refresh_is_to_record_again_stays_until_it_has(project, oracle, monkeypatch):
    write(project, oracle, monkeypatch, BY_NAME)
    lmtest_("refresh", str(PATH), "--yes")
    before = pending.fresh_path(PATH).read_bytes()
    gate = oracle.hold(after=0)
    command = [sys.executable, "-m", "lmtest", "refresh", str(PATH), "--yes", "--again"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert gate.reached.wait(60)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        gate.open.set()
    assert pending.fresh_path(PATH).read_bytes() == before
    assert Index(pending.fresh_path(PATH)).header.tests
