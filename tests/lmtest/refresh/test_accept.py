"""What may take a recording's place, and what looks at it before."""

import io
import itertools
from pathlib import Path

import dspy
import pytest

import lmtest
from lmtest import literal
from lmtest.cassette.pending import failed_path, fresh_path
from lmtest.cassette.redact import of_process
from lmtest.cassette.verify import verify
from lmtest.pytest_plugin.leftovers import orphans
from lmtest.refresh.accept import accept_unseen, waiting
from lmtest.refresh.decisions import hangs_together
from lmtest.refresh.plan import Choice, make_plan
from lmtest.refresh.result import gather, read_calls
from lmtest.refresh.run import Run
from lmtest.report.drift_data import as_data
from lmtest.report.drift_review import review

from .oracle import fields
from .recordings import Chain, qa, record
from .terminal import Terminal

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
def looked_through(project, monkeypatch):
    def run(*letters):
        drift, said = drifted(project), io.StringIO()
        typed = io.StringIO("".join(f"{letter}\n" for letter in letters))
        monkeypatch.setattr("sys.stdin", typed)
        reviewed = review(literal.console(file=said, width=100), drift, as_data(drift, root=project))
        assert not typed.read(), "every answer was asked for"
        return reviewed, said.getvalue()

    return run


def answers(lm, *questions, program=qa):
    with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="replay"):
        return [program(question=each).answer for each in questions]


def test_calls_that_stand_alone_are_accepted_one_by_one(two_moved, looked_through, lm):
    reviewed, said = looked_through("a", "r", "y")
    assert [each.path.name for each in reviewed.accepted] == ["qa.yaml"]
    assert "answer: [-old-]{+new+}" in said
    assert said.endswith("accepted: qa.yaml\nCalls: 1 accepted, 1 rejected.\n")
    assert answers(lm, "one?", "two?") == ["new", "old"]
    assert len(read_calls(two_moved)) == 3
    assert not fresh_path(two_moved).exists()


def test_enter_leaves_what_was_paid_for_waiting(two_moved, looked_through):
    before, anew = two_moved.read_bytes(), fresh_path(two_moved).read_bytes()
    reviewed, said = looked_through("", "")
    assert not reviewed.accepted
    assert (two_moved.read_bytes(), fresh_path(two_moved).read_bytes()) == (before, anew)
    assert said.endswith("Calls: 2 skipped.\n")


def test_what_is_skipped_is_asked_about_again_beside_what_was_accepted(two_moved, looked_through, lm):
    anew = fresh_path(two_moved).read_bytes()
    looked_through("a", "s")
    assert answers(lm, "one?", "two?") == ["new", "old"]
    assert fresh_path(two_moved).read_bytes() == anew
    assert waiting([two_moved]).left == ()

    _, said = looked_through("a")
    assert "1 of 1" in said
    assert answers(lm, "one?", "two?") == ["new", "new"]
    assert two_moved.read_bytes() == anew


def test_what_is_rejected_is_not_asked_about_again(two_moved, looked_through, lm):
    before = two_moved.read_bytes()
    looked_through("r", "s", "y")
    assert two_moved.read_bytes() == before
    assert read_calls(fresh_path(two_moved))[0].outcome == read_calls(two_moved)[0].outcome
    _, said = looked_through("a")
    assert "call 2 changed question: two?" in said
    assert answers(lm, "one?", "two?") == ["old", "new"]
    assert not fresh_path(two_moved).exists()


@pytest.mark.parametrize("letters", list(itertools.product("asr", repeat=2)), ids="".join)
def test_whatever_is_decided_what_waits_can_be_accepted_later_but_for_what_was_rejected(
    two_moved, looked_through, lm, letters
):
    looked_through(*letters, *("y" if "r" in letters else ""))
    assert answers(lm, "one?", "two?") == ["new" if letter == "a" else "old" for letter in letters]
    assert fresh_path(two_moved).exists() == ("s" in letters)
    if "s" in letters:
        looked_through("A")
    assert answers(lm, "one?", "two?") == ["old" if letter == "r" else "new" for letter in letters]
    assert not fresh_path(two_moved).exists()
    assert list(verify(two_moved, of_process(()))) == []


def test_rejecting_all_leaves_the_old_bytes_and_nothing_beside(two_moved, looked_through):
    before = two_moved.read_bytes()
    _, said = looked_through("r", "r", "y")
    assert "2 new recordings will be dropped" in said
    assert two_moved.read_bytes() == before
    assert not fresh_path(two_moved).exists()


def test_enter_drops_nothing_in_the_end_either(two_moved, looked_through, lm):
    anew = fresh_path(two_moved).read_bytes()
    _, said = looked_through("a", "r", "")
    assert "1 new recording will be dropped" in said
    assert said.endswith("Calls: 1 accepted, 1 skipped.\n")
    assert answers(lm, "one?", "two?") == ["new", "old"]
    assert fresh_path(two_moved).read_bytes() == anew


def test_accepting_all_takes_the_new_bytes(two_moved, looked_through):
    anew = fresh_path(two_moved).read_bytes()
    looked_through("a", "a")
    assert two_moved.read_bytes() == anew


def test_the_last_answer_is_undone_and_the_one_before(two_moved, looked_through, lm):
    looked_through("r", "r", "u", "u", "a", "r", "u", "s")
    assert answers(lm, "one?", "two?") == ["new", "old"]
    assert fresh_path(two_moved).exists()


def test_undoing_nothing_says_so(two_moved, looked_through):
    _, said = looked_through("u", "S")
    assert "nothing can be undone" in said


def test_what_took_the_rest_is_undone_as_a_whole(two_moved, looked_through, lm):
    """The rejected one before it asks once more in the end, where the answer that took the rest can be undone."""
    looked_through("r", "A", "u", "s", "")
    assert answers(lm, "one?", "two?") == ["old", "old"]
    assert fresh_path(two_moved).exists()


def test_the_rest_is_accepted_or_skipped_with_one_letter(two_moved, looked_through, lm):
    looked_through("s", "S")
    assert answers(lm, "one?", "two?") == ["old", "old"]
    looked_through("A")
    assert answers(lm, "one?", "two?") == ["new", "new"]


def test_a_cassette_that_would_lose_calls_is_asked_about_though_the_rest_is_accepted(lm, oracle, looked_through):
    for name in ("a", "b"):
        record(lm, "one?", "two?", path=f"{name}.yaml")
        record(lm, "one?", path=f"{name}.new.yaml")
    _, said = looked_through("A", "s")
    assert "2 of 2" in said
    assert "Accepting loses what is no longer asked." in " ".join(said.split())
    assert [len(read_calls(Path(f"{name}.yaml"))) for name in ("a", "b")] == [1, 2]
    assert Path("b.new.yaml").exists()


def test_help_and_what_is_no_answer_ask_again(two_moved, looked_through):
    _, said = looked_through("?", "k", "accept", "S")
    assert "s  skip, and so does Enter: the new recording waits for another time" in said
    assert "Not an answer: 'k'. One of a, s, r, u, A, S, q, ?." in said
    assert said.count("1 of 2") == 4


def test_quitting_keeps_what_was_decided_and_leaves_the_rest_for_another_time(two_moved, lm, looked_through):
    record(lm, "four?", path="same.yaml")
    record(lm, "four?", path="same.new.yaml")
    anew = fresh_path(two_moved).read_bytes()
    looked_through("a", "q")
    assert answers(lm, "one?", "two?") == ["new", "old"]
    assert fresh_path(two_moved).read_bytes() == anew
    assert Path("same.new.yaml").exists(), "what did not move is taken over where somebody went through to the end"


def test_the_end_of_the_input_carries_out_what_was_accepted_and_drops_nothing(two_moved, looked_through, lm):
    anew = fresh_path(two_moved).read_bytes()
    reviewed, said = looked_through("r", "u", "a")
    assert reviewed.interrupted
    assert said.endswith("accepted: qa.yaml\nCalls: 1 accepted, 1 skipped.\n")
    assert answers(lm, "one?", "two?") == ["new", "old"]
    assert fresh_path(two_moved).read_bytes() == anew

    looked_through("r")
    assert fresh_path(two_moved).read_bytes() == anew


def test_what_was_written_while_somebody_decided_is_left(two_moved, project, lm, monkeypatch):
    drift, said = drifted(project), io.StringIO()

    def answer():
        record(lm, "one?", "two?", "three?", mode="refresh")
        return "A"

    monkeypatch.setattr("builtins.input", answer)
    before = two_moved.read_bytes()
    reviewed = review(literal.console(file=said, width=100), drift, as_data(drift, root=project))
    assert not reviewed.accepted
    assert "left: qa.yaml: it was written while you decided" in said.getvalue()
    assert two_moved.read_bytes() == before


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
    looked_through("a")
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
    with Terminal(*command) as terminal:
        for letter in ("a", "r", "y"):
            terminal.answer(letter)
        said = terminal.rest()
    assert terminal.code == 0, said
    assert "accepted: qa.yaml" in said
    assert answers(lm, "one?", "two?") == ["new", "old"]


@pytest.mark.parametrize("key", [b"\x03", b"\x04"], ids=["ctrl-c", "ctrl-d"])
@pytest.mark.parametrize(
    "command", [("refresh", "qa.yaml", "--calls-only"), ("accept", ".")], ids=["refresh", "accept"]
)
def test_who_leaves_keeps_what_was_accepted_and_drops_nothing(two_moved, lm, command, key):
    anew = fresh_path(two_moved).read_bytes()
    with Terminal(*command) as terminal:
        terminal.answer("a")
        terminal.press(key)
        said = terminal.rest()
    assert terminal.code == 130, said
    assert "accepted: qa.yaml\r\nCalls: 1 accepted, 1 skipped." in said
    assert answers(lm, "one?", "two?") == ["new", "old"]
    assert fresh_path(two_moved).read_bytes() == anew


def test_a_terminal_that_is_closed_loses_nothing_that_was_accepted(two_moved, lm):
    with Terminal("accept", ".") as terminal:
        terminal.answer("a")
        terminal.asked()
        terminal.close()
    assert terminal.code == 130
    assert answers(lm, "one?", "two?") == ["new", "old"]
    assert fresh_path(two_moved).exists()
