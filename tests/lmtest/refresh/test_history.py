"""What is remembered of the tests that refreshes ran."""

import json
from pathlib import Path

import pytest

from lmtest.modes import Mode
from lmtest.refresh import history
from lmtest.refresh.history import Attempt, History
from lmtest.refresh.run import run_tests

from . import suite

KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"


def attempt(outcome, *, test="test_qa.py::test_one", run="1", **more):
    return Attempt(test=test, outcome=outcome, at="2026-11-20T12:00:00Z", run=run, **more)


def test_each_test_that_ends_is_written_down_with_how_it_fared(project, oracle, monkeypatch):
    suite.write(project, oracle, monkeypatch, "same", "malformed", "changed", "slow")
    oracle.says["malformed?"] = "I would rather not say."
    with Path("conftest.py").open("a") as file:
        file.write(
            "\n@pytest.fixture(autouse=True)\n"
            "def breaks(request):\n"
            "    yield\n"
            f"    assert 'changed' not in request.node.name, 'no room for {KEY}'\n"
        )
    run = run_tests(["test_suite.py"], root=project, mode=Mode.REFRESH)
    assert len(run.ended) == 4, run.log

    found = History.read(project)

    last = {name: found.last(f"test_suite.py::test_{name}") for name in ("same", "malformed", "changed", "slow")}
    assert {name: each.outcome for name, each in last.items()} == {
        "same": "passed",
        "malformed": "failed",
        "changed": "errored",
        "slow": "passed",
    }
    assert "AdapterParseError" in last["malformed"].reason
    assert "no room for <redacted>" in last["changed"].reason
    assert KEY not in Path(".lmtest/refresh.jsonl").read_text()
    assert len({each.run for each in last.values()}) == 1
    assert found.failures_in_a_row("test_suite.py") == 1, "one of the file's tests did badly"


def test_only_refreshes_are_written_down(project, oracle, monkeypatch):
    suite.write(project, oracle, monkeypatch, "same")
    assert not Path(".lmtest/refresh.jsonl").exists()


def test_a_limit_and_a_skip_say_nothing_of_how_a_test_fares(project):
    for number, outcome in enumerate(["passed", "failed", "limit", "crashed", "skipped"]):
        history.note(project, attempt(outcome, run=str(number)))
    found = History.read(project)
    assert found.failures_in_a_row("test_qa.py::test_one") == 2
    assert found.last("test_qa.py::test_one").outcome == "crashed"
    history.note(project, attempt("passed", run="9"))
    assert History.read(project).failures_in_a_row("test_qa.py::test_one") == 0


def test_a_rehearsal_has_a_history_of_its_own(project):
    history.note(project, attempt("failed", to="gemini/gemini-2.5-pro"))
    found = History.read(project)
    assert found.last("test_qa.py::test_one") is None
    assert found.failures_in_a_row("test_qa.py::test_one", to="gemini/gemini-2.5-pro") == 1


def test_a_line_that_was_cut_short_costs_no_other(project):
    history.note(project, attempt("failed"))
    path = history.path_of(project)
    path.write_bytes(path.read_bytes() + path.read_bytes()[:40])
    history.note(project, attempt("passed", run="2"))
    assert [each.outcome for each in History.read(project).of("test_qa.py::test_one")] == ["failed", "passed"]


def test_a_long_history_is_cut_down_to_the_last_of_each_test(project):
    path = history.path_of(project)
    path.parent.mkdir()
    line = {"test": "", "outcome": "failed", "reason": "x" * 400, "at": "2026-11-20T12:00:00Z", "run": "", "to": None}
    path.write_text(
        "".join(f"{json.dumps({**line, 'test': f't.py::test_{n % 50}', 'run': str(n)})}\n" for n in range(3000))
    )
    history.shorten(project)
    found = History.read(project)
    assert path.stat().st_size <= 1 << 20
    assert [each.run for each in found.of("t.py::test_7")][-1] == "2957"
    assert found.failures_in_a_row("t.py::test_7") == 20


@pytest.mark.parametrize(
    ("ledger", "expected"),
    [(None, ".lmtest"), ("var/money.db", "var"), ("off", ".lmtest"), ("/elsewhere/money.db", ".lmtest")],
)
def test_it_lies_beside_the_ledger_of_the_project(project, ledger, expected):
    said = f"ledger = '{ledger}'" if ledger else ""
    Path("pyproject.toml").write_text(f"[tool.lmtest]\n{said}\n")
    assert history.path_of(project) == project / expected / "refresh.jsonl"
