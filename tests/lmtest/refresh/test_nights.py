"""A refresh that runs every night under a budget: what comes first, what is left alone, how many nights it takes."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from lmtest import clock
from lmtest.cassette.pending import failed_path, fresh_path
from lmtest.cli import cli
from lmtest.lm.substitution import Substitution
from lmtest.modes import Mode
from lmtest.refresh import history
from lmtest.refresh.backoff import MOST
from lmtest.refresh.history import Attempt
from lmtest.refresh.plan import Choice, make_plan
from lmtest.refresh.run import run_tests

from . import suite
from .recordings import record
from .suite import answer

TEST = "test_qa.py::test_one"


@pytest.fixture
def plan(project):
    def make(*paths, to=None, **choice):
        choice["to"] = Substitution.parse([to] if to else [])
        for name in ("test_qa.py", "test_other.py"):
            (project / name).touch()
        return make_plan([Path(path) for path in paths] or [project], Choice(**choice), root=project)

    return make


@pytest.fixture
def recorded(lm):
    """Cassettes of tests, each a year older than the one before."""

    def make(*tests):
        for years, test in enumerate(tests):
            path = record(lm, f"{test}?", path=f"{test.replace('::', '-')}.yaml", test=test)
            _age(path, years)

    return make


def _age(path, years):
    year = clock.utc_now().year
    path.write_text(path.read_text().replace(f'recorded_at: "{year}', f'recorded_at: "{year - years}'))


def attempts(project, *outcomes, test=TEST, days_ago=0.0):
    """Write down how a test fared on nights in a row, the last of them some days ago."""
    for number, outcome in enumerate(outcomes, start=1 - len(outcomes)):
        at = clock.utc_now() + timedelta(days=number - days_ago, seconds=1)
        history.note(project, Attempt(test=test, outcome=outcome, at=clock.stamp(at), run=str(number)))


def names(jobs):
    return [job.path.name for job in jobs]


def owners(plan):
    return [job.tests[0] for job in plan.due]


# ── what comes first ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_failed_comes_last_however_old_it_is(plan, project, recorded):
    recorded("test_qa.py::test_new", "test_qa.py::test_old", "test_qa.py::test_failed")
    attempts(project, "failed", test="test_qa.py::test_failed", days_ago=1)
    assert owners(plan()) == ["test_qa.py::test_old", "test_qa.py::test_new", "test_qa.py::test_failed"]
    assert [job.failures for job in plan().due] == [0, 0, 1]


def test_modules_and_classes_stay_together_and_come_by_the_oldest_in_them(plan, recorded):
    recorded(
        "test_qa.py::test_a",
        "test_other.py::TestA::test_b",
        "test_qa.py::test_c",
        "test_other.py::test_d",
        "test_qa.py::TestB::test_e[x::y]",
        "test_other.py::TestA::test_f",
    )
    assert owners(plan()) == [
        "test_other.py::TestA::test_f",
        "test_other.py::TestA::test_b",
        "test_other.py::test_d",
        "test_qa.py::TestB::test_e[x::y]",
        "test_qa.py::test_c",
        "test_qa.py::test_a",
    ]


def test_tests_run_in_the_order_in_which_they_are_planned(project, oracle, monkeypatch):
    suite.write(project, oracle, monkeypatch, "same", "changed", "slow")
    wanted = [f"test_suite.py::test_{name}" for name in ("slow", "same", "changed")]
    run = run_tests(wanted, root=project, mode=Mode.REFRESH)
    assert [each.test for each in run.ended] == wanted


# ── the back-off ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("failures", "nights"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (9, MOST), (1000, MOST)])
def test_what_failed_is_left_alone_for_twice_as_many_nights_each_time(plan, project, recorded, failures, nights):
    recorded("test_qa.py::test_new", TEST)
    outcomes = ["passed", *["failed"] * min(failures, 30)]
    attempts(project, *outcomes, days_ago=nights - 1)
    waits = plan()
    assert owners(waits) == ["test_qa.py::test_new"]
    [postponed] = waits.postponed
    assert postponed.failures.count == min(failures, 30)

    history.path_of(project).unlink()
    attempts(project, *outcomes, days_ago=nights)
    assert owners(plan()) == ["test_qa.py::test_new", TEST]


def test_a_job_that_starts_a_little_earlier_each_night_skips_none(plan, project, recorded):
    recorded(TEST)
    attempts(project, "failed", days_ago=0.9)
    assert owners(plan()) == [TEST]


def test_a_pass_ends_it_and_a_skip_or_a_limit_says_nothing(plan, project, recorded):
    recorded(TEST)
    attempts(project, "failed", "failed", "passed", "skipped", "limit")
    assert owners(plan()) == [TEST]
    attempts(project, "failed")
    attempts(project, "skipped")
    attempts(project, "limit")
    assert owners(plan()) == []


def test_what_was_recorded_since_has_not_failed(plan, project, lm):
    attempts(project, "failed", "failed", days_ago=0.1)
    record(lm, "one?", test=TEST)
    failed_path(Path("qa.yaml")).touch()
    assert owners(plan()) == [TEST]
    assert plan().due[0].failures == 0


def test_of_several_owners_the_one_that_failed_most_counts(plan, project, recorded):
    recorded("test_qa.py::test_one\ntest_qa.py::test_two", "test_qa.py")
    attempts(project, "failed", "failed", test="test_qa.py::test_two")
    assert sorted(each.failures.count for each in plan().postponed) == [2, 2]


def test_without_a_history_a_file_that_failed_is_left_for_a_night(plan, project, recorded, lm):
    """A program caught the error and its test passed, or a checkout has no history."""
    recorded(TEST)
    path = Path("test_qa.py-test_one.yaml")
    failed_path(path).write_text(path.read_text())
    assert [each.failures.count for each in plan().postponed] == [1]


@pytest.mark.parametrize("leaves", ["a file", "none"])
def test_where_there_was_nobody_to_ask_it_is_tried_again_at_once(plan, project, recorded, leaves):
    """Neither a key that is missing nor a provider that is gone says anything of a test."""
    recorded(TEST)
    path = Path("test_qa.py-test_one.yaml")
    if leaves == "a file":
        failed_path(path).write_text(path.read_text())
    attempts(project, "nobody", "nobody", "nobody")
    assert owners(plan()) == [TEST]


def test_a_rehearsal_has_a_back_off_of_its_own(plan, project, recorded):
    recorded(TEST)
    attempts(project, "failed")
    assert owners(plan(to="gemini/gemini-2.5-pro")) == [TEST]
    assert owners(plan()) == []


@pytest.mark.parametrize("choice", [{"failed": True}, {"again": True}, {"test": TEST}])
@pytest.mark.parametrize("leaves", ["a file", "none"])
def test_who_insists_tries_it_now(plan, project, recorded, choice, leaves):
    recorded(TEST)
    path = Path("test_qa.py-test_one.yaml")
    if leaves == "a file":
        failed_path(path).write_text(path.read_text())
    attempts(project, "failed", "failed", "failed")
    assert owners(plan()) == []
    assert owners(plan(**choice)) == [TEST]
    assert owners(plan(str(path))) == [TEST], "and who names it"


# ── what waits to be accepted ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def waiting(lm):
    """A cassette that is years old, and for which a refresh recorded another that is some years old itself."""

    def make(*, recorded, renewed, **more):
        path = record(lm, "one?", path="qa.yaml", test=TEST)
        _age(path, recorded)
        record(lm.copy(**more), "one?", path="qa.yaml", mode="refresh", test=TEST)
        _age(fresh_path(path), renewed)

    return make


def _years_ago(years):
    return clock.utc_now() - timedelta(days=366 * years)


def test_what_waits_shields_its_cassette_until_it_is_too_old_itself(plan, waiting):
    """A pull request that was merged without accepting it has it there for ever."""
    waiting(recorded=5, renewed=2)
    assert names(plan(recorded_before=_years_ago(3)).done) == ["qa.yaml"]
    assert owners(plan(recorded_before=_years_ago(1))) == [TEST]
    assert names(plan().done) == ["qa.yaml"], "no age was asked for"


def test_what_is_due_again_and_not_reached_still_waits(project, oracle, nights):
    nights("one", "two")()
    for name, years in (("one", 2), ("two", 3)):
        _age(suite.cassette(project, name), years + 1)
        _age(fresh_path(suite.cassette(project, name)), years)
    [job] = make_plan([suite.cassette(project, "one")], Choice(again=True), root=project).due
    before = fresh_path(suite.cassette(project, "one")).read_bytes()
    budget = f"{job.usd / 2 + job.least:f}"
    CliRunner().invoke(cli, ["refresh", "--all", "--older-than", "30d", "--yes", "--budget", budget])
    assert len(oracle.prompts) == 3
    assert fresh_path(suite.cassette(project, "one")).read_bytes() == before
    assert refreshed(project) == {"one", "two"}


def test_skip_pending_leaves_alone_what_waits_however_old(plan, waiting):
    waiting(recorded=5, renewed=2)
    assert names(plan(recorded_before=_years_ago(1), skip_pending=True).done) == ["qa.yaml"]
    assert owners(plan(recorded_before=_years_ago(1), skip_pending=True)) == []


def test_skip_pending_leaves_alone_what_another_model_answered(plan, waiting):
    waiting(recorded=5, renewed=2)
    assert owners(plan(to="gemini/gemini-2.5-pro")) == [TEST]
    left = plan(to="gemini/gemini-2.5-pro", skip_pending=True)
    assert owners(left) == []
    assert "was answered by gemini/gemini-2.5-flash: accept it first" in left.skipped[0].reason


def test_what_is_older_than_its_cassette_waits_for_nothing(plan, waiting):
    waiting(recorded=1, renewed=2)
    assert owners(plan(skip_pending=True)) == [TEST]


def test_skip_pending_and_again_are_not_both_wanted(said):
    assert "--again records anew what waits to be accepted, --skip-pending leaves it: drop one." in said(
        "--all", "--again", "--skip-pending"
    )


# ── what the plan says ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def said(project):
    def run(*arguments):
        (project / "test_qa.py").touch()
        (project / "pyproject.toml").write_text("[tool.lmtest]\ncassette_dir = '.'\n")
        result = CliRunner(catch_exceptions=False).invoke(cli, ["refresh", "--dry-run", *arguments])
        return " ".join(result.output.split())

    return run


def test_it_says_how_often_it_failed_and_when_it_is_tried_next(said, project, recorded):
    recorded(TEST)
    attempts(project, "failed", "failed", "failed")
    until = datetime.now(UTC) + timedelta(days=3.5)
    assert re.search(
        rf"Nothing is due. test_qa.py-test_one.yaml: failed 3 times, next try after {until:%Y-%m-%d} \d\d:\d\d UTC; "
        "--failed or --again tries now",
        said("--all"),
    )


def test_it_says_how_many_nights_a_budget_takes(said, plan, recorded):
    recorded(*(f"test_qa.py::test_{number}" for number in range(6)))
    usd = plan().usd
    assert f"The budget is ${usd / 2:f}, and all of this takes ${usd:f}: about 2 such runs" in said(
        "--all", "--budget", f"{usd / 2:f}"
    )
    assert "such runs" not in said("--all", "--budget", f"{usd:f}")
    assert "such runs" not in said("--all", "--budget", "none")


@pytest.mark.parametrize(("part", "nights"), [("1", 1), ("1.1", 2), ("2.5", 3), ("10", 10)])
def test_the_nights_it_takes_are_counted_whole(plan, recorded, part, nights):
    recorded(TEST)
    assert plan().nights(plan().usd / Decimal(part)) == nights


@pytest.fixture
def nights(project, oracle, monkeypatch):
    """A suite of tests, and a refresh whose budget holds two calls a night."""

    def make(*names):
        suite.write(project, oracle, monkeypatch, *names)
        monkeypatch.delenv("LMTEST_RUN", raising=False)  # each night is a run of its own
        [job] = make_plan([suite.cassette(project, names[-1])], Choice(), root=project).due
        budget = f"{job.usd * Decimal('1.5') + job.least:f}"

        def night():
            return CliRunner().invoke(cli, ["refresh", "--all", "--yes", "--budget", budget]).output

        return night

    return make


def refreshed(project):
    found = (project / "cassettes").rglob("*.new.yaml")
    return {path.name.removeprefix("test_").removesuffix(".new.yaml") for path in found}


def test_under_a_budget_what_fails_keeps_nothing_else_from_its_turn(project, oracle, nights):
    night = nights("broken", "one", "two", "three")
    _age(suite.cassette(project, "broken"), years=1)
    oracle.says["broken?"] = "I would rather not say."
    for _ in range(3):
        said = night()
    assert refreshed(project) == {"one", "two", "three"}
    # DSPy tried another adapter, too.
    assert ["broken?" in prompt for prompt in oracle.prompts] == [True, True, False, False, False]
    assert "test_broken.yaml: failed once (dspy.utils.exceptions.AdapterParseError" in said


_LONG = """
@pytest.mark.lmtest
def test_long():
    for name in ("a", "b", "c"):
        assert dspy.Predict("question -> answer: str, n: int")(question=f"long {name}?").answer
"""


def test_a_test_that_no_run_holds_whole_gives_way_to_the_others(project, oracle, nights):
    night = nights("one", "two", "three")
    oracle.says |= {f"long {name}?": answer("Yes", 1) for name in "abc"}
    with (project / "test_suite.py").open("a") as file:
        file.write(_LONG)
    run_tests(["test_suite.py::test_long"], root=project, mode=Mode.RECORD)
    _age(suite.cassette(project, "long"), years=1)
    oracle.prompts.clear()
    for _ in range(3):
        said = night()
    assert refreshed(project) == {"one", "two", "three"}
    assert ["long" in prompt for prompt in oracle.prompts] == [True, True, False, False, False]
    assert "test_long.yaml: failed once (lmtest.errors.BudgetExceeded: The call" in said
