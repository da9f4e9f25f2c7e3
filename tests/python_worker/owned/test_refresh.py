"""The workflows of a worker under the tests that own them: recorded, missed by a word, refreshed, accepted, audited."""

import json

import pytest
from click.testing import CliRunner

from lmtest.cassette.index import Index
from lmtest.cli import cli
from lmtest.lm import live
from lmtest.variables import VARIABLES
from python_worker.client import WorkerError
from python_worker.commands.audit import audit as audit_commands
from python_worker.domain.errors import Reason

from ...lmtest.refresh.oracle import Oracle, fields  # noqa: TID252 - tests are no installed package

SUITE = r"""
    import contextlib, os, signal
    import pytest
    from python_worker.client import AlreadyExists, WorkerError, connect

    pytestmark = pytest.mark.lmtest

    PROGRAMS = {
        "simple_qa": "signature simple_qa: :string question -> :string answer",
        "reasoner": "signature reasoner: :string problem -> :string conclusion, :confidence_score confidence",
        "sorter": "signature s: :string mail -> :list(:string) topics, :choice(\"low\", \"high\") priority, :date due",
        "rater": "signature rater: :string review, :integer(min=1, max=5) stars -> :string verdict",
    }

    @pytest.fixture
    def other(worker):
        if target := os.environ.get("SECOND"):
            with connect(target) as client:
                yield client
        else:
            yield worker

    @pytest.fixture(autouse=True)
    def programs(worker, other):
        for client in (worker, other):
            for name, text in PROGRAMS.items():
                with contextlib.suppress(AlreadyExists):
                    client.create_program(name, signature=text)

    def test_question(other):
        assert other.execute("simple_qa", {"question": "What is the capital of France?"}).outputs["answer"]

    def test_reasoning(worker):
        outputs = worker.execute("reasoner", {"problem": "Can the train be in Madrid by noon?"}).outputs
        assert outputs["conclusion"] and 0 <= outputs["confidence"] <= 1

    def test_types(worker):
        outputs = worker.execute("sorter", {"mail": "The deadline is on Friday."}).outputs
        if pid := os.environ.get("KILLS"):
            os.kill(int(pid), signal.SIGKILL)
        assert outputs["topics"] and outputs["due"].year == 2026

    def test_recovery(worker, other):
        with pytest.raises(WorkerError, match="stars"):
            worker.execute("rater", {"review": "Quite fine.", "stars": 9})
        assert other.execute("rater", {"review": "Quite fine.", "stars": 4}).outputs["verdict"]
"""
WORDS = {"France": "Spain", "Madrid": "Rome", "Friday": "Monday", "fine": "bad"}
ANSWERS = {
    "France": fields(answer="It is Paris."),
    "Madrid": fields(conclusion="No", confidence=0.5),
    "Friday": fields(topics=["deadline"], priority="high", due="2026-12-04"),
    "fine": fields(verdict="good"),
}
NAMES = ("question", "reasoning", "types", "recovery")


@pytest.fixture
def oracle():
    with Oracle() as server:
        server.says |= ANSWERS
        yield server


@pytest.fixture
def recorded(suite, host, oracle):
    """A worker that has recorded the suite, in a process that is not the tests'."""
    suite.write(test_workflows=SUITE)
    worker = host("record", provider=oracle)
    run = suite.run(mode="record", worker=worker)
    assert run.green, run.output
    oracle.prompts.clear()
    return worker


@pytest.fixture
def lmtest(suite, monkeypatch):
    """Run a command of lmtest in the suite's directory."""
    for name in (*(each.name for each in VARIABLES), "CI", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(suite.path)
    monkeypatch.setenv("LMTEST_LEDGER", str(suite.path / "ledger.sqlite3"))

    def run(*arguments, worker=None, code=0):
        if worker is not None:
            monkeypatch.setenv("SUITE_WORKER", worker.target)
        result = CliRunner(catch_exceptions=False).invoke(cli, arguments)
        assert result.exit_code == code, result.output
        return result.output

    return run


def report(suite):
    return json.loads((suite.path / "drift.json").read_text())


def audit(*arguments):
    result = CliRunner(catch_exceptions=False).invoke(audit_commands, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def file(suite, name, suffix=".yaml"):
    return suite.file(f"test_workflows/test_{name}{suffix}")


def contents(suite):
    return {name: file(suite, name).read_bytes() for name in NAMES}


def test_each_miss_names_the_word_that_was_changed_in_the_test_that_asked(suite, recorded):
    changed = SUITE
    for before, after in WORDS.items():
        changed = changed.replace(before, after)
    suite.write(test_workflows=changed)
    missed = suite.run(mode="replay", worker=recorded)
    assert missed.outcomes == {"failed": 4}, missed.output
    for name, (before, after) in zip(NAMES, WORDS.items(), strict=True):
        told = missed.output.partition(f" test_{name} ")[2].partition("\n______")[0]
        assert f"[-{before}-]{{+{after}+}}" in told
        assert f"LM_MODE=record pytest 'test_workflows.py::test_{name}'" in told


def test_a_refresh_puts_each_workflow_in_its_tier_and_replaces_only_what_is_accepted(suite, recorded, oracle, lmtest):
    oracle.says |= {
        "France": fields(answer="it is paris"),
        "Madrid": fields(conclusion="Yes", confidence=0.25),
        "Friday": "I would rather talk about the weather.",
        "fine": 500,
    }
    before = contents(suite)
    told = lmtest("refresh", "--all", "--yes", "--report", "drift.json", worker=recorded, code=1)
    assert contents(suite) == before
    assert "4 tests: 2 passed, 2 failed." in told

    drift = {each["test"].partition("::test_")[2]: each for each in report(suite)["cassettes"]}
    assert {name: each["tier"] for name, each in drift.items()} == {
        "question": "wording",
        "reasoning": "changed",
        "types": "structure",
        "recovery": "failed",
    }
    changes = [(each["field"], each["before"], each["after"]) for each in drift["reasoning"]["calls"][0]["changes"]]
    assert changes == [("conclusion", "No", "Yes"), ("confidence", 0.5, 0.25)], "of the signature's types"
    assert drift["types"]["calls"][0]["reason"] == "no longer parses: without topics, priority, due"
    assert drift["types"]["calls"][1]["reason"] == "not asked before, by DSPy's json adapter"
    assert drift["types"]["failure"].endswith("(stage output_validation)")
    assert drift["recovery"]["calls"][0]["reason"] == "server: no"
    assert (drift["reasoning"]["usd"], drift["reasoning"]["acceptable"]) == (
        {"before": "0.0001153", "after": "0.0001178"},
        True,
    )

    lmtest("accept", "--tier", "all")
    assert {name for name in NAMES if contents(suite)[name] != before[name]} == {"question", "reasoning"}
    replayed = suite.run("--lmtest-unused=fail", mode="replay", worker=recorded)
    assert replayed.green, replayed.output
    execution = next(iter(recorded.client.list_executions(program="simple_qa")))
    assert execution.outputs == {"answer": "it is paris"}
    [call] = recorded.client.get_execution(execution.id).stages[2].calls
    assert (call.hit, call.cassette.endswith("test_workflows/test_question.yaml")) == ("cassette", True)
    database = ("--data-dir", str(suite.path / "hosted-0"))
    assert audit("verify", *database)
    assert call.key[:12] in audit("show", execution.id, *database)


def test_an_answer_that_breaks_the_programs_signature_is_no_change_but_another_structure(
    suite, recorded, oracle, lmtest
):
    oracle.says["Madrid"] = fields(conclusion="Yes", confidence=1.5)
    lmtest("refresh", "--all", "--yes", "--report", "drift.json", worker=recorded, code=1)
    drift = {each["test"].partition("::test_")[2]: each for each in report(suite)["cassettes"]}
    assert (drift["reasoning"]["tier"], drift["reasoning"]["acceptable"]) == ("structure", False)
    assert "confidence is above maximum 1.0: 1.5" in drift["reasoning"]["failure"]
    assert drift["reasoning"]["failure"].endswith("(stage output_validation)")


def test_a_migration_is_rehearsed_by_a_worker_that_runs_elsewhere(suite, recorded, oracle, lmtest):
    told = lmtest(
        "refresh", "--all", "--yes", "--to", "gemini/gemini-2.5-pro", "--report", "drift.json", worker=recorded
    )
    assert set(oracle.models[-4:]) == {"gemini-2.5-pro"}
    assert "4 tests: 4 passed" in told
    assert Index(file(suite, "question", ".new.yaml")).header.tests == ("test_workflows.py::test_question",)
    usd = report(suite)["usd"]
    assert float(usd["after"]) > float(usd["before"])
    recorded.client.execute("simple_qa", {"question": "What is the capital of France?"})
    assert oracle.models[-1] == "gemini-2.5-flash", "and others are not"


IN_A_FIXTURE = """
    import os, subprocess, sys
    import pytest
    from python_worker.client import connect

    @pytest.fixture(scope="session")
    def worker(tmp_path_factory):
        command = [sys.executable, "-m", "python_worker", "serve", "--port", "0", "--api-base", os.environ["BASE"]]
        command += ["--data-dir", str(tmp_path_factory.mktemp("worker"))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            with connect("127.0.0.1:" + process.stdout.readline().removeprefix("GRPC_READY:").strip()) as client:
                yield client
            process.terminate()
"""


def test_a_migration_is_rehearsed_by_a_worker_that_a_fixture_starts(suite, recorded, oracle, lmtest, monkeypatch):
    suite.write(test_workflows=IN_A_FIXTURE + SUITE)
    monkeypatch.setenv("BASE", f"{oracle.url}/v1beta")
    monkeypatch.setenv("GEMINI_API_KEY", "a-key")
    told = lmtest("refresh", "--all", "--yes", "--to", "gemini/gemini-2.5-pro", "--report", "drift.json")
    assert "4 calls of 4 cassettes by gemini/gemini-2.5-pro: 4 same. 4 tests: 4 passed." in told, told
    assert oracle.models[-4:] == ["gemini-2.5-pro"] * 4


def test_another_model_is_asked_in_a_refresh_alone(suite, recorded):
    recorded.client._owned._metadata = (("lmtest-test", "a.js::asks"), ("lmtest-to", "gemini/gemini-2.5-pro"))
    with pytest.raises(WorkerError, match="is for mode refresh, and this is record") as refused:
        recorded.client.execute("simple_qa", {"question": "Who?"})
    assert (refused.value.reason, refused.value.field) == (Reason.INVALID_ARGUMENT, "lmtest-to")


def test_a_refresh_that_no_model_answers_ends_as_one(suite, recorded, oracle, lmtest):
    oracle.says = dict.fromkeys(ANSWERS, 500)
    told = lmtest("refresh", "--all", "--yes", worker=recorded, code=5)
    assert "4 tests: 4 failed" in told


def test_a_refresh_without_its_worker_ends_as_one_that_no_model_answers(suite, recorded, lmtest):
    recorded.stop()
    before = contents(suite)
    lmtest("refresh", "--all", "--yes", worker=recorded, code=5)
    assert contents(suite) == before


def test_a_budget_holds_what_is_asked_of_a_worker_that_runs_elsewhere(suite, recorded, oracle, lmtest, monkeypatch):
    monkeypatch.setattr(live, "MOCK_ID", "no stand-in, for once")  # so that calls cost
    told = lmtest("refresh", "--all", "--yes", "--budget", "0.0002", worker=recorded, code=3)
    assert "and the budget of the run is $0.0002 (usd_per_run)" in told
    assert len(oracle.prompts) == 3, "the last of them went beyond it"
    assert len([*suite.file("test_workflows").glob("*.new.yaml")]) == 3, "and what was paid for is kept"
    lmtest("refresh", "--all", "--yes", worker=recorded)
    assert len(oracle.prompts) == 4


def test_the_same_with_two_processes_of_tests_and_two_workers(suite, serve, oracle, lmtest, monkeypatch):
    suite.write(test_workflows=SUITE)
    workers = [serve("record", provider=oracle) for _ in range(2)]
    second = {"SECOND": workers[1].target}
    recorded = suite.run("-n", "2", mode="record", worker=workers[0], environ=second, subprocess=True)
    assert recorded.outcomes == {"passed": 4}, recorded.output

    oracle.says |= {"France": fields(answer="it is paris"), "fine": fields(verdict="bad")}
    monkeypatch.setenv("SECOND", workers[1].target)
    monkeypatch.setenv("PYTEST_ADDOPTS", "-n 2")
    told = lmtest("refresh", "--all", "--yes", "--accept", "all", worker=workers[0])
    assert "4 calls of 4 cassettes: 2 same, 1 wording, 1 changed. 4 tests: 4 passed." in told
    replayed = suite.run("-n", "2", mode="replay", worker=workers[1], environ=second, subprocess=True)
    assert replayed.outcomes == {"passed": 4}, replayed.output
    assert "4 played" in replayed.output


def test_a_worker_that_is_killed_in_a_refresh_leaves_the_old_files_and_nothing_torn(
    suite, serve, oracle, lmtest, monkeypatch
):
    suite.write(test_workflows=SUITE)
    worker = serve("record", provider=oracle)
    assert suite.run(mode="record", worker=worker, subprocess=True).green
    before = contents(suite)
    monkeypatch.setenv("KILLS", str(worker.process.pid))
    told = lmtest("refresh", "--all", "--yes", worker=worker, code=1)
    assert contents(suite) == before
    assert "went away before the test had ended" in told
    left = sorted(path.name for path in suite.file("test_workflows").iterdir() if ".new." in path.name)
    assert "test_types.new.yaml" not in left
    assert "test_question.new.yaml" in left, "what had passed before, whole"
    for each in left:
        index = Index(suite.file("test_workflows") / each)
        assert [index.read(entry).failed for entry in index.entries] == [None]
