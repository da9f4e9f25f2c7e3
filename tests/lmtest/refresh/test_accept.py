"""What may take a recording's place, and what looks at it before."""

import contextlib
import io
import os
import pty
import subprocess
import sys

import dspy
import pytest

import lmtest
from lmtest import literal
from lmtest.cassette.pending import failed_path, fresh_path
from lmtest.pytest_plugin.leftovers import orphans
from lmtest.refresh.accept import accept_unseen, hangs_together
from lmtest.refresh.plan import Choice, make_plan
from lmtest.refresh.result import gather, read_calls
from lmtest.refresh.run import Run
from lmtest.report.drift_data import as_data
from lmtest.report.drift_review import review

from .oracle import fields
from .recordings import Chain, qa, record

OLD, NEW = fields(answer="old", n=1), fields(answer="new", n=2)


def drifted(project):
    """What stands beside the cassettes, compared."""
    plan = make_plan([project], Choice(by_test=False), root=project)
    return gather(plan, Run())


@pytest.fixture
def two_moved(lm, oracle):
    oracle.says |= {"one?": OLD, "two?": OLD}
    path = record(lm, "one?", "two?", "three?")
    oracle.says |= {"one?": NEW, "two?": NEW}
    record(lm, "one?", "two?", "three?", mode="refresh")
    return path


@pytest.fixture
def looked_through(project):
    def run(*decisions):
        drift, said = drifted(project), io.StringIO()
        asked = iter(decisions)
        changed = review(
            literal.console(file=said, width=100), drift, as_data(drift, root=project), lambda _: next(asked)
        )
        assert next(asked, None) is None, "every decision was asked for"
        return changed, said.getvalue()

    return run


def answers(lm, *questions, program=qa):
    with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="replay"):
        return [program(question=each).answer for each in questions]


def test_calls_that_stand_alone_are_accepted_one_by_one(two_moved, looked_through, lm):
    changed, said = looked_through("accept", "keep")
    assert [each.path.name for each in changed] == ["qa.yaml"]
    assert "answer: [-old-]{+new+}" in said
    assert answers(lm, "one?", "two?") == ["new", "old"]
    assert len(read_calls(two_moved)) == 3
    assert not fresh_path(two_moved).exists()


def test_keeping_all_leaves_the_old_bytes(two_moved, looked_through):
    before = two_moved.read_bytes()
    looked_through("keep", "keep")
    assert two_moved.read_bytes() == before
    assert not fresh_path(two_moved).exists()


def test_accepting_all_takes_the_new_bytes(two_moved, looked_through):
    anew = fresh_path(two_moved).read_bytes()
    looked_through("accept", "accept")
    assert two_moved.read_bytes() == anew


def test_quitting_leaves_everything_for_another_time(two_moved, looked_through):
    before, anew = two_moved.read_bytes(), fresh_path(two_moved).read_bytes()
    looked_through("accept", "quit")
    assert (two_moved.read_bytes(), fresh_path(two_moved).read_bytes()) == (before, anew)


def test_what_did_not_move_is_taken_over_unasked(lm, looked_through):
    path = record(lm, "one?")
    record(lm, "one?", mode="refresh")
    anew = fresh_path(path).read_bytes()
    looked_through()
    assert path.read_bytes() == anew


def test_the_calls_of_a_chain_are_decided_together(lm, oracle, project, looked_through):
    oracle.says |= {"start?": OLD}
    record(lm, "start?", program=Chain())
    oracle.says |= {"start?": NEW}
    record(lm, "start?", program=Chain(), mode="refresh")
    [cassette] = drifted(project).cassettes
    assert hangs_together(cassette)
    looked_through("accept")
    assert len(answers(lm, "start?", program=Chain())) == 1


def test_what_failed_is_not_even_asked_about(lm, oracle, looked_through):
    path = record(lm, "one?")
    before = path.read_bytes()
    oracle.says["one?"] = 429
    with pytest.raises(dspy.LMError):
        record(lm, "one?", mode="refresh")
    looked_through()
    assert path.read_bytes() == before
    assert failed_path(path).exists()


def test_what_would_lose_a_call_is_not_accepted_unseen(lm, project):
    path = record(lm, "one?", "two?")
    before = path.read_bytes()
    record(lm, "one?", mode="refresh")
    assert accept_unseen(drifted(project), "all") == ()
    assert path.read_bytes() == before


def test_what_waits_is_no_orphan_of_the_suite(lm, project):
    for mode in ("record", "refresh"):
        record(lm, "one?", mode=mode, test="tests/test_gone.py::test_one")
    found = orphans(project, root=project, collected={}, tallies=())
    assert found == ("qa.yaml",), "its test is gone; what waits beside it goes with it"


@pytest.mark.parametrize("command", [("refresh", "qa.yaml", "--calls-only"), ("accept", "qa.yaml"), ("accept", ".")])
def test_on_a_terminal_each_call_is_asked_about(two_moved, lm, command):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "lmtest", *command]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True) as process:
        os.close(theirs)
        said, waiting = b"", [b"k\n", b"a\n"]
        with contextlib.suppress(OSError):  # how a terminal says that nobody is there any more
            while read := os.read(ours, 65536):
                said += read
                if said.count(b"or quit?") > 2 - len(waiting) and said.rstrip().endswith(b"[k]:"):
                    os.write(ours, waiting.pop())
        assert process.wait(60) == 0, said.decode()
    os.close(ours)
    assert b"accepted: qa.yaml" in said
    assert answers(lm, "one?", "two?") == ["new", "old"]
