"""``lmtest refresh`` from end to end: a suite, a provider whose answers change, and what the command makes of it."""

import contextlib
import io
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import lmtest
from lmtest.cassette.pending import fresh_path
from lmtest.cli import cli, main
from lmtest.refresh.result import read_calls
from lmtest.refresh.run import run_tests

from . import suite
from .suite import answer, cassette, snapshot
from .terminal import Terminal


def report():
    return json.loads(Path("drift.json").read_text())


def by_name(data):
    return {each["test"].removeprefix("test_suite.py::test_"): each for each in data["cassettes"]}


def change_answers(oracle):
    oracle.says |= {
        "reworded?": answer("it is  PARIS!", 3),
        "changed?": answer("It is Paris", 4),
        "malformed?": "I would rather not say.",
        "limited?": 429,
    }


def command(*arguments, out=subprocess.PIPE):
    return subprocess.Popen(
        [sys.executable, "-m", "lmtest", "refresh", *arguments],
        stdout=out,
        stderr=subprocess.STDOUT,
        text=True,
    )


# ── tiers and reports ────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_call_lands_in_its_tier_and_nothing_is_replaced(suite_of_six, oracle, refresh):
    before = snapshot(suite_of_six)
    change_answers(oracle)
    oracle.delays["slow?"] = 0.4
    said = refresh("--all", "--yes", "--report", "drift.json", "--report", "drift.md", "--report", "drift.html", code=1)
    found = by_name(report())
    assert {name: each["calls"][0]["tier"] for name, each in found.items()} == {
        "same": "same",
        "reworded": "wording",
        "changed": "changed",
        "malformed": "structure",
        "limited": "failed",
        "slow": "same",
    }
    assert found["changed"]["calls"][0]["changes"] == [{"field": "n", "before": 3, "after": 4, "wording": False}]
    assert found["slow"]["calls"][0]["seconds"]["after"] >= 0.4
    assert "AdapterParseError" in found["malformed"]["failure"]
    assert {name for name, each in found.items() if not each["acceptable"]} == {"malformed", "limited"}
    assert snapshot(suite_of_six) == before
    assert "4 re-recorded beside the old" in said
    assert "<h1>Drift of recordings</h1>" in Path("drift.html").read_text()
    assert "**changed** call 1" in Path("drift.md").read_text()


def test_what_may_be_accepted_is_taken_over_later_without_another_call(suite_of_six, oracle, refresh):
    before = snapshot(suite_of_six)
    change_answers(oracle)
    refresh("--all", "--yes", "--report", "drift.json", code=1)
    anew = {
        name: fresh_path(cassette(suite_of_six, name)).read_bytes() for name in ("same", "reworded", "changed", "slow")
    }
    calls = len(oracle.prompts)

    refresh(*(str(cassette(suite_of_six, name)) for name in anew), "--accept", "wording")
    taken = {
        name for name in suite.QUESTIONS if snapshot(suite_of_six)[f"test_{name}.yaml"] != before[f"test_{name}.yaml"]
    }
    assert taken == {"same", "reworded", "slow"}
    assert all(cassette(suite_of_six, name).read_bytes() == anew[name] for name in taken)

    refresh(str(cassette(suite_of_six, "changed")), "--accept", "all")
    assert cassette(suite_of_six, "changed").read_bytes() == anew["changed"]
    assert len(oracle.prompts) == calls


def test_the_command_that_a_refresh_ends_with_takes_over_and_calls_nobody(suite_of_six, oracle, refresh):
    change_answers(oracle)
    said = " ".join(refresh("--all", "--yes", "--accept", "same", code=1).split())
    assert "left: cassettes/test_suite/test_changed.yaml: it moved as far as 'changed'" in said
    assert "left: cassettes/test_suite/test_same.yaml" not in said
    calls, (told,) = len(oracle.prompts), re.findall(r"lmtest (accept --tier \w+)", said)

    result = CliRunner(catch_exceptions=False).invoke(cli, told.split())

    assert result.exit_code == 0
    assert "accepted: cassettes/test_suite/test_reworded.yaml\n" in result.output
    assert fresh_path(cassette(suite_of_six, "changed")).exists()
    assert len(oracle.prompts) == calls


def test_a_failed_call_never_overwrites_and_its_cassette_is_tried_again_alone(suite_of_six, oracle, refresh):
    before = snapshot(suite_of_six)
    change_answers(oracle)
    refresh("--all", "--yes", "--accept", "all", code=1)
    for name in ("malformed", "limited"):
        assert snapshot(suite_of_six)[f"test_{name}.yaml"] == before[f"test_{name}.yaml"]
    oracle.says |= {"malformed?": answer("It is Paris", 3), "limited?": answer("It is Paris", 3)}
    oracle.prompts.clear()
    refresh("--failed", "--yes", "--accept", "same")
    assert sorted(each.partition("?")[0].rpartition("\n")[2] for each in oracle.prompts) == ["limited", "malformed"]
    assert not list((suite_of_six / "cassettes").rglob("*.failed.yaml"))


def test_a_nightly_job_can_fail_on_a_tier(suite_of_six, oracle, refresh):
    oracle.says["changed?"] = answer("It is Paris", 4)
    path = str(cassette(suite_of_six, "changed"))
    refresh(path, "--yes", "--fail-on", "changed", code=1)
    refresh(path, "--yes", "--fail-on", "structure", code=0)


def test_a_metric_scores_before_and_after(suite_of_six, oracle, refresh, monkeypatch):
    monkeypatch.delitem(sys.modules, "scores", raising=False)
    (suite_of_six / "scores.py").write_text("def small(example, prediction):\n    return prediction.n < 4\n")
    oracle.says["changed?"] = answer("It is Paris", 4)
    refresh(str(cassette(suite_of_six, "changed")), "--yes", "--metric", "scores:small", "--report", "drift.json")
    assert by_name(report())["changed"]["calls"][0]["scores"] == {"before": 1.0, "after": 0.0}


# ── plan and consent ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_dry_run_says_what_it_takes_and_calls_nobody(suite_of_six, oracle, refresh):
    said = refresh("--all", "--dry-run")
    assert re.search(r"6 cassettes +6 +[\d,]{4,} +\$0\.00\d+", said)
    assert oracle.prompts == []


@pytest.mark.parametrize("what", ["--all", "--missing"])
def test_without_consent_nothing_is_called(suite_of_six, oracle, what):
    result = CliRunner().invoke(cli, ["refresh", what], input="n\n")
    assert result.exit_code == 0
    assert "Call the model?" in result.output
    assert oracle.prompts == []


def test_where_nobody_can_be_asked_it_says_what_consents(suite_of_six, oracle):
    result = CliRunner().invoke(cli, ["refresh", "--all"], input="")
    assert result.exit_code == 2
    assert "Nobody can be asked here: say --yes" in result.output
    assert oracle.prompts == []


@pytest.mark.parametrize("key", [b"\x03", b"\x04"], ids=["ctrl-c", "ctrl-d"])
def test_who_interrupts_the_question_is_not_taken_to_consent(suite_of_six, oracle, key):
    with Terminal("refresh", "--all") as terminal:
        terminal.press(key, at="Call the model?")
        terminal.rest()
    assert terminal.code == 130
    assert oracle.prompts == []


# ── limits and interruptions ─────────────────────────────────────────────────────────────────────────────────────────


def test_it_stops_at_the_budget_and_says_what_is_left(suite_of_six, oracle, refresh):
    before = snapshot(suite_of_six)
    said = refresh("--all", "--yes", "--budget", "0.001", "--report", "drift.json", code=3)
    data = report()
    assert "usd_per_run" in data["stopped"]
    assert "Stopped early" in said
    assert 0 < len(oracle.prompts) == len(data["cassettes"]) < 6
    assert len(data["left"]) == 6 - len(data["cassettes"])
    assert snapshot(suite_of_six) == before


def test_a_call_sets_aside_what_its_recording_took_and_not_what_its_model_could_answer_at_most(
    project, oracle, monkeypatch, refresh
):
    """65,536 tokens of this model are $0.16, and each of these answers takes some ten."""
    suite.write(project, oracle, monkeypatch, "same", "changed")
    conftest = project / "conftest.py"
    conftest.write_text(conftest.read_text().replace(", max_tokens=200", ""))
    suite.run_tests(["test_suite.py"], root=project, mode=suite.Mode.RECORD)
    oracle.prompts.clear()

    refresh("--all", "--yes", "--budget", "0.01", "--accept", "all")

    assert len(oracle.prompts) == 2


def test_a_plan_says_when_its_budget_lets_no_call_through(suite_of_six, refresh):
    said = refresh("--all", "--dry-run", "--budget", "0.0001")
    [least] = re.findall(r"a budget below \$(0\.\d+) sends nothing", said)
    assert "sends nothing" not in refresh("--all", "--dry-run", "--budget", least)
    assert "sends nothing" not in refresh("--all", "--dry-run")


def test_what_cannot_be_written_beside_a_cassette_is_told_before_anything_is_called(suite_of_six, oracle, refresh):
    fresh_path(cassette(suite_of_six, "same")).mkdir()
    with pytest.raises(lmtest.CassetteError, match="Nothing was called"):
        refresh("--all", "--yes")
    assert oracle.prompts == []


def test_it_stops_where_a_rate_refuses_to_wait(suite_of_six, oracle, refresh, monkeypatch):
    monkeypatch.setenv("LMTEST_REQUESTS_PER_MINUTE", "1")
    monkeypatch.setenv("LMTEST_MAX_WAIT", "0")
    said = refresh("--all", "--yes", "--report", "drift.json", code=3)
    assert "requests_per_minute" in report()["stopped"]
    assert said.count("not reached") == 1
    assert re.search(r"left: [45] cassettes not reached", said)
    assert (len(oracle.prompts), len(report()["left"])) == (1, 5)


def _interrupt(oracle, number):
    """Start a refresh of all, and signal it while the third call is under way."""
    gate = oracle.hold(after=2)
    with command("--all", "--yes", "--report", "drift.json") as process:
        gate.reached.wait(60)
        [tests] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        ended = os.pidfd_open(int(tests))
        process.send_signal(number)
        if number == signal.SIGINT:
            process.communicate(timeout=60)
        # Gone before the call under way is answered: what is tested is what happens then.
        process.wait(timeout=60)
        gate.open.set()
        process.communicate(timeout=60)
    assert select.select([ended], [], [], 60)[0], "the tests end, too"
    os.close(ended)
    return process.returncode


def test_ctrl_c_keeps_what_is_finished_and_the_rest_is_resumed(suite_of_six, oracle, refresh):
    before = snapshot(suite_of_six)
    assert _interrupt(oracle, signal.SIGINT) == 130
    assert report()["stopped"] == "interrupted"
    assert snapshot(suite_of_six) == before
    finished = {each.name: each.read_bytes() for each in (suite_of_six / "cassettes").rglob("*.new.yaml")}
    assert len(finished) == 2
    oracle.prompts.clear()
    refresh("--all", "--yes", "--accept", "all")
    assert len(oracle.prompts) == 4
    now = snapshot(suite_of_six)
    assert all(now[name.replace(".new.", ".")] == content for name, content in finished.items())


def test_who_is_killed_leaves_every_cassette_as_it_was_and_nobody_calls_on(suite_of_six, oracle):
    before = snapshot(suite_of_six)
    _interrupt(oracle, signal.SIGKILL)
    assert snapshot(suite_of_six) == before
    assert len(oracle.prompts) == 3, "the test under way ends, and no other starts"


def test_who_is_killed_while_accepting_leaves_every_cassette_old_or_new(suite_of_six, oracle, refresh):
    oracle.says["changed?"] = answer("It is Paris", 4)
    path = cassette(suite_of_six, "changed")
    refresh(str(path), "--yes", "--report", "drift.json")
    old, new = path.read_bytes(), fresh_path(path).read_bytes()
    copies = [path.with_name(f"copy_{number}.yaml") for number in range(300)]
    for copy in copies:
        shutil.copy(path, copy)
        shutil.copy(fresh_path(path), fresh_path(copy))
    with command(*map(str, copies), "--accept", "all", out=subprocess.DEVNULL) as process:
        while process.poll() is None and fresh_path(copies[0]).exists():
            os.sched_yield()
        process.kill()
    assert copies[0].read_bytes() == new
    assert {copy.read_bytes() for copy in copies} <= {old, new}
    assert [fresh_path(copy).exists() for copy in copies] == [copy.read_bytes() == old for copy in copies]


# ── other ways to ask ────────────────────────────────────────────────────────────────────────────────────────────────


def test_another_model_is_rehearsed_by_the_same_tiers(suite_of_six, oracle, refresh):
    oracle.models.clear()
    path = cassette(suite_of_six, "same")
    said = refresh(str(path), "--yes", "--to", "gemini/gemini-2.5-pro", "--report", "drift.json")
    assert oracle.models == ["gemini-2.5-pro"]
    assert by_name(report())["same"]["tier"] == "same"
    assert "by gemini/gemini-2.5-pro" in said
    assert {call.model for call in read_calls(fresh_path(path))} == {"gemini/gemini-2.5-pro"}


def test_one_model_is_replaced_and_the_others_are_asked_as_before(suite_of_six, oracle, refresh):
    file = suite_of_six / "test_suite.py"
    before, test = file.read_text().split("def test_changed")
    lm = "dspy.settings.lm.copy(model='gemini/gemini-2.5-flash-lite')"
    lite = test.replace("    assert dspy", f"    with dspy.context(lm={lm}):\n        assert dspy", 1)
    file.write_text(f"{before}def test_changed{lite}")
    run_tests(["test_suite.py::test_changed"], root=suite_of_six, mode=lmtest.Mode.RECORD)
    oracle.models.clear()
    options = ("--to", "gemini-2.5-flash-lite=gemini/gemini-2.5-pro", "--yes", "--report", "drift.json")

    said = refresh("--all", *options)
    assert oracle.models == ["gemini-2.5-pro"], "what does not call that model is not rehearsed"
    assert "by gemini-2.5-flash-lite=gemini/gemini-2.5-pro" in said
    assert report()["to"] == "gemini-2.5-flash-lite=gemini/gemini-2.5-pro"

    assert "re-recorded already" in refresh("--all", *options)
    assert len(oracle.models) == 1

    refresh("--all", "--calls-only", "--again", "--api-base", f"{oracle.url}/v1beta", *options)
    assert oracle.models == ["gemini-2.5-pro"] * 2


def test_calls_alone_are_sent_again_without_their_tests(suite_of_six, oracle, refresh):
    oracle.says["changed?"] = answer("It is Paris", 4)
    (suite_of_six / "test_suite.py").unlink()
    base = f"{oracle.url}/v1beta"
    refresh("--all", "--yes", "--calls-only", "--api-base", base, "--report", "drift.json")
    tiers = {name: each["tier"] for name, each in by_name(report()).items()}
    assert tiers == dict.fromkeys(suite.QUESTIONS, "same") | {"changed": "changed"}
    assert len(oracle.prompts) == 6


def test_under_ci_what_is_missing_stays_missing(suite_of_six, oracle, refresh, monkeypatch):
    monkeypatch.setenv("CI", "true")
    with pytest.raises(lmtest.ConfigurationError, match="LMTEST_ALLOW_RECORD_IN_CI=1"):
        refresh("--missing", "--yes")
    assert oracle.prompts == []


def test_what_is_missing_is_recorded_and_what_is_there_is_kept(suite_of_six, oracle, refresh):
    cassette(suite_of_six, "same").unlink()
    before = snapshot(suite_of_six)
    refresh("--missing", "--dry-run")
    assert oracle.prompts == []
    said = refresh("--missing", "--test", "test_suite.py", "--yes")
    assert "cassettes/test_suite/test_same.yaml: 1 call recorded" in said
    assert len(oracle.prompts) == 1
    assert {name: snapshot(suite_of_six)[name] for name in before} == before


def test_a_test_that_is_gone_is_named_and_the_others_run(suite_of_six, oracle, refresh):
    file = suite_of_six / "test_suite.py"
    file.write_text(file.read_text().replace("def test_same", "def test_renamed"))
    paths = [str(cassette(suite_of_six, name)) for name in ("same", "changed")]
    said = refresh(*paths, "--yes", "--report", "drift.json", code=1)
    assert "pytest ran no such test: test_suite.py::test_same" in said
    assert list(by_name(report())) == ["changed"]


def test_a_file_that_does_not_import_is_told_with_its_error(suite_of_six, oracle, refresh):
    file = suite_of_six / "test_suite.py"
    file.write_text(f"import nowhere_to_be_found\n{file.read_text()}")
    refresh(str(cassette(suite_of_six, "same")), "--yes", "--report", "drift.json", "--fail-on", "failed", code=1)
    assert "No module named 'nowhere_to_be_found'" in by_name(report())["same"]["failure"]
    assert oracle.prompts == []


@pytest.mark.parametrize("form", ["./{}", "{root}/{}", ".\\{}", "../{root.name}/{}", "."])
def test_a_test_is_found_however_its_path_is_written(suite_of_six, refresh, form):
    wanted = form.format("test_suite.py::test_same", root=suite_of_six)
    assert "cassettes/test_suite/test_same.yaml" in refresh("--test", wanted, "--dry-run")


def test_a_test_is_found_from_a_directory_below(suite_of_six, refresh, monkeypatch):
    (suite_of_six / "below").mkdir()
    monkeypatch.chdir(suite_of_six / "below")
    for wanted in ("../test_suite.py::test_same", "test_suite.py::test_same"):
        assert "test_same.yaml" in refresh("--test", wanted, "--dry-run")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--all", "--to", "gemini-2.5-pro"], "without a provider. Did you mean 'gemini/gemini-2.5-pro'?"),
        (["--all", "--to", "gemini-2.5-flahs=gemini/gemini-2.5-pro"], "Did you mean 'gemini/gemini-2.5-flash'?"),
        (["--model", "gemini/gemini-2.5-flahs"], "--model 'gemini/gemini-2.5-flahs': none of these cassettes"),
        (["--test", "test_suite.py::test_sane"], "Did you mean 'test_suite.py::test_same'?"),
        (["--test", "tests/test_suite.py"], "Did you mean 'test_suite.py'?"),
        (["--missing", "--test", "test_siute.py"], "there is no file or directory test_siute.py"),
        (["--all", "--metric", "scores:raises"], "--metric scores:raises raised KeyError: 'gone'"),
        (["--all", "--metric", "scores:nan"], "--metric scores:nan gave nan"),
        (["--all", "--metric", "no.such:metric"], "--metric 'no.such:metric' does not load"),
    ],
)
def test_what_cannot_be_meant_is_one_line_before_anything_is_called(suite_of_six, oracle, monkeypatch, arguments, says):
    (suite_of_six / "scores.py").write_text(
        "def raises(example, prediction):\n    return {}['gone']\n\ndef nan(*_):\n    return float('nan')\n"
    )
    monkeypatch.delitem(sys.modules, "scores", raising=False)
    monkeypatch.setattr(sys, "argv", ["lmtest", "refresh", "--yes", *arguments])
    said = io.StringIO()
    with pytest.raises(SystemExit) as exited, contextlib.redirect_stderr(said):
        main()
    assert exited.value.code == 2
    [line] = said.getvalue().splitlines()
    assert says in line
    assert oracle.prompts == []


# ── wrong usage ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Name cassettes, or take them all: lmtest refresh --all"),
        (["nowhere.yaml"], "there is no file or directory nowhere.yaml"),
        (["--all"], "cassettes, where cassettes are kept: record some first"),
        (["--missing", "--accept", "all", "--report", "drift.md"], "so it takes no --accept, --report."),
        (["--missing", "--to", "gemini/gemini-2.5-pro", "--older-than", "3d"], "so it takes no --older-than, --to."),
        (["--all", "--api-base", "http://127.0.0.1:9"], "--api-base is for --calls-only"),
        (["--all", "--report", "drift.pdf"], "must end in one of .md, .html, .json"),
        (["--all", "--report", "nowhere/drift.md"], "there is no directory 'nowhere'"),
        (["--all", "--older-than", "old"], "'old' is neither a date"),
        (["--all", "--budget", "much"], "'much' is no amount"),
    ],
)
def test_wrong_usage_is_a_sentence_and_exit_code_2(project, monkeypatch, capsys, arguments, says):
    monkeypatch.setattr(sys, "argv", ["lmtest", "refresh", *arguments])
    with pytest.raises(SystemExit) as exited:
        main()
    assert exited.value.code == 2
    assert says in " ".join(capsys.readouterr().err.split())
    assert list(project.iterdir()) == []


ONE_FILE = """\
import dspy
import pytest

pytestmark = pytest.mark.lmtest("shared/qa")

def test_one():
    assert dspy.Predict("question -> answer: str, n: int")(question="one?").answer

def test_two():
    assert dspy.Predict("question -> answer: str, n: int")(question="two?").answer
"""


def test_a_cassette_of_two_tests_is_refreshed_by_both(refresh, project, oracle, monkeypatch):
    suite.write(project, oracle, monkeypatch, "same")
    oracle.says |= {"one?": answer("It is Paris", 3), "two?": answer("It is Rome", 3)}
    (project / "test_both.py").write_text(ONE_FILE)
    assert run_tests(["test_both.py"], root=project, mode=lmtest.Mode.RECORD).ended
    path = project / "cassettes/shared/qa.yaml"
    oracle.says |= {"two?": answer("It is Roma", 3)}
    oracle.prompts.clear()

    refresh(str(path), "--accept", "all", "--yes")

    assert len(oracle.prompts) == 2, "and no other test was run"
    assert len(read_calls(path)) == 2
    assert "Roma" in path.read_text()
