"""A refresh in which something went wrong is never green: its sum, its reports and its exit code say so."""

import json
import socket
from pathlib import Path

import pytest

from lmtest.cassette.pending import fresh_path, unfinished
from lmtest.cli.exits import Exit
from lmtest.refresh.history import History

from . import suite
from .suite import answer, cassette

REPORTS = [part for name in ("drift.json", "drift.md", "drift.html") for part in ("--report", name)]


def report():
    return json.loads(Path("drift.json").read_text())


def counts(data=None):
    """How tests ended, those ways in which any did."""
    return {how: count for how, count in (data or report())["tests"]["counts"].items() if count}


def paths(project, *questions):
    return [str(cassette(project, each)) for each in questions]


def add(project, line, to):
    """Put a line at the end of a test."""
    file = project / "test_suite.py"
    ask = f'(question="{to}?").answer\n'
    assert ask in file.read_text()
    file.write_text(file.read_text().replace(ask, f"{ask}    {line}\n"))


def addopts(project, options):
    (project / "pyproject.toml").write_text(f'[tool.pytest.ini_options]\naddopts = "{options}"\n')


def everywhere(said, words):
    """Whether the terminal and all reports say something."""
    return [
        words in " ".join(text.split()) for text in (said, Path("drift.md").read_text(), Path("drift.html").read_text())
    ]


# ── the provider ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_provider_that_fails_every_call_is_an_exit_code_of_its_own(suite_of_six, oracle, refresh):
    oracle.says |= {f"{each}?": 500 for each in suite.QUESTIONS}
    said = refresh("--all", "--yes", *REPORTS, code=Exit.UNANSWERED)
    assert "6 calls of 6 cassettes: 6 failed. 6 tests: 6 failed." in said
    assert counts() == {"failed": 6}


def test_a_provider_that_refuses_connections_is_no_drift(suite_of_six, refresh, monkeypatch):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("QA_API_BASE", f"http://127.0.0.1:{nobody.getsockname()[1]}/v1beta")
        refresh(*paths(suite_of_six, "same"), "--yes", "--fail-on", "changed", *REPORTS, code=Exit.UNANSWERED)
    assert counts() == {"failed": 1}


def test_a_missing_key_is_no_drift(suite_of_six, oracle, refresh, monkeypatch):
    monkeypatch.delenv("GEMINI_API_KEY")
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    said = refresh(*paths(suite_of_six, "same"), "--yes", *REPORTS, code=Exit.UNANSWERED)
    assert (oracle.prompts, counts()) == ([], {"failed": 1})
    assert "Before and now" not in said, "of calls that nobody answered"


@pytest.mark.parametrize("key", [None, "refused"])
def test_a_key_that_was_missing_or_refused_is_held_against_no_test(suite_of_six, oracle, refresh, monkeypatch, key):
    with monkeypatch.context() as without:
        without.delenv("GOOGLE_API_KEY", raising=False)
        without.delenv("GEMINI_API_KEY")
        if key:
            without.setenv("GEMINI_API_KEY", key)
            oracle.says["same?"] = 403
        refresh(*paths(suite_of_six, "same"), "--yes", code=Exit.UNANSWERED)
    attempt = json.loads((suite_of_six / ".lmtest" / "refresh.jsonl").read_text().splitlines()[-1])
    assert (attempt["outcome"], History.read(suite_of_six).last(attempt["test"])) == ("nobody", None)


def test_calls_alone_that_nobody_answers_are_no_drift_either(suite_of_six, oracle, refresh):
    oracle.says["same?"] = 500
    options = ("--calls-only", "--api-base", f"{oracle.url}/v1beta", "--yes", "--report", "drift.json")
    said = refresh(*paths(suite_of_six, "same"), *options, code=Exit.UNANSWERED)
    assert counts() == {}
    assert "1 call of 1 cassette: 1 failed." in said


def test_a_call_alone_that_is_not_answered_is_red_though_others_are(suite_of_six, oracle, refresh):
    oracle.says["same?"] = 500
    options = ("--calls-only", "--api-base", f"{oracle.url}/v1beta", "--yes", *REPORTS)
    said = refresh(*paths(suite_of_six, "same", "changed"), *options, code=Exit.FOUND)
    assert everywhere(said, "1 failed") == [True] * 3


def test_an_error_that_the_program_catches_is_red_though_its_test_passes(suite_of_six, oracle, refresh):
    file = suite_of_six / "test_suite.py"
    asks = '    assert dspy.Predict("question -> answer: str, n: int")(question="same?").answer\n'
    assert asks in file.read_text()
    caught = f"    with contextlib.suppress(Exception):\n    {asks}"
    file.write_text(f"import contextlib\n{file.read_text().replace(asks, caught)}")
    oracle.says["same?"] = 500
    said = refresh(*paths(suite_of_six, "same", "changed"), "--yes", *REPORTS, code=Exit.FOUND)
    assert counts() == {"passed": 2}
    assert everywhere(said, "1 failed. 2 tests: 2 passed.") == [True] * 3
    assert "same?" in said


CHAIN = """\
import dspy
import pytest

@pytest.mark.lmtest
def test_chain():
    qa = dspy.Predict("question -> answer: str, n: int")
    for question in ("first?", "second?", "third?"):
        qa(question=question)
    assert CHECK
"""


@pytest.fixture
def chain(project, oracle, monkeypatch):
    """A test of three calls."""
    suite.write(project, oracle, monkeypatch, "same")
    cassette(project, "same").unlink()
    addopts(project, "-p no:randomly")
    (project / "test_suite.py").write_text(CHAIN.replace("CHECK", "True"))
    oracle.says |= {each: answer("It is Paris", 3) for each in ("first?", "second?", "third?")}
    suite.run_tests(["test_suite.py"], root=project, mode=suite.Mode.RECORD)
    assert cassette(project, "chain").exists()
    return project


def test_calls_that_a_test_did_not_come_to_are_not_reached_and_neither_answered_nor_changed(chain, oracle, refresh):
    oracle.says["second?"] = 500
    said = refresh("--all", "--yes", *REPORTS, code=Exit.FOUND)
    assert [each["tier"] for each in report()["cassettes"][0]["calls"]] == ["same", "failed", "not reached"]
    assert everywhere(said, "1 same, 1 not reached, 1 failed") == [True] * 3


def test_with_one_answer_it_is_no_provider_that_is_gone(suite_of_six, oracle, refresh):
    oracle.says["same?"] = 500
    refresh(*paths(suite_of_six, "same", "changed"), "--yes", code=Exit.FOUND)


def test_answers_that_wait_already_do_not_hide_a_provider_that_is_gone(suite_of_six, oracle, refresh):
    refresh(*paths(suite_of_six, "same"), "--yes")
    oracle.says["changed?"] = 500
    refresh(*paths(suite_of_six, "same", "changed"), "--yes", code=Exit.UNANSWERED)


def test_a_suite_that_skips_itself_without_a_key_refreshed_nothing(suite_of_six, oracle, refresh):
    file = suite_of_six / "test_suite.py"
    file.write_text(
        file.read_text().replace("import pytest\n", 'import pytest\npytestmark = pytest.mark.skip("no key")\n')
    )
    said = refresh(*paths(suite_of_six, "same", "changed"), "--yes", *REPORTS, code=Exit.UNANSWERED)
    assert counts() == {"skipped": 2}
    assert "skipped: test_suite.py::test_" in said


# ── the tests ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fail_on", [[], ["--fail-on", "failed"], ["--fail-on", "changed"]], ids=" ".join)
def test_a_test_that_fails_on_its_own_assertion_is_seen(suite_of_six, refresh, fail_on):
    add(suite_of_six, 'assert 1 == 2, "too short"', to="changed")
    said = refresh(*paths(suite_of_six, "same", "changed"), "--yes", *fail_on, *REPORTS, code=Exit.FOUND)
    assert counts() == {"passed": 1, "failed": 1}
    assert everywhere(said, "2 tests: 1 passed, 1 failed.") == [True] * 3
    assert "failed: test_suite.py::test_changed: AssertionError: too short" in said
    assert not fresh_path(cassette(suite_of_six, "changed")).exists()


def test_a_fixture_that_fails_is_an_error_of_its_tests(suite_of_six, refresh):
    (suite_of_six / "conftest.py").write_text(
        (suite_of_six / "conftest.py").read_text()
        + "\n@pytest.fixture(autouse=True)\ndef broken(lm):\n    raise OSError(28)\n"
    )
    said = refresh(*paths(suite_of_six, "same", "changed"), "--yes", *REPORTS, code=Exit.FOUND)
    assert counts() == {"errored": 2}
    assert everywhere(said, "2 tests: 2 errored.") == [True] * 3
    assert "and 1 more: OSError: 28" in said


def test_a_file_that_is_not_collected_is_an_error_of_each_of_its_tests(suite_of_six, refresh):
    file = suite_of_six / "test_suite.py"
    file.write_text("import no_such_module\n" + file.read_text())
    said = refresh(*paths(suite_of_six, "same", "changed"), "--yes", *REPORTS, code=Exit.FOUND)
    assert counts() == {"errored": 2}
    assert "No module named 'no_such_module'" in said


DEATHS = {
    "os._exit(3)": "pytest ended with exit code 3",
    "os.abort()": "pytest was ended by SIGABRT: Fatal Python error: Aborted",
    "os.kill(os.getpid(), 9)": "pytest was ended by SIGKILL",
    "pytest.exit('enough')": "pytest ended with exit code 2: !!!!!!!!",
    "raise KeyboardInterrupt": "pytest ended with exit code 2: !!!!!!!!",
}


@pytest.mark.parametrize("death", DEATHS)
def test_a_test_that_takes_its_process_along_is_named_and_the_rest_run_in_another(suite_of_six, oracle, refresh, death):
    add(suite_of_six, f"import os; {death}", to="changed")
    asked = ("same", "reworded", "changed", "malformed", "slow")
    said = refresh(*paths(suite_of_six, *asked), "--yes", *REPORTS, code=Exit.FOUND)
    assert counts() == {"passed": 4, "crashed": 1}
    assert everywhere(said, "5 tests: 4 passed, 1 crashed.") == [True] * 3
    assert f"crashed: test_suite.py::test_changed: {DEATHS[death]}" in said
    assert {each for each in asked if fresh_path(cassette(suite_of_six, each)).exists()} == {*asked} - {"changed"}
    assert sorted(each.partition("?")[0].rpartition("\n")[2] for each in oracle.prompts) == sorted(asked)


def test_a_test_that_a_timeout_kills_with_its_process_is_one_that_crashed(suite_of_six, refresh):
    add(suite_of_six, "import threading; threading.Event().wait()", to="same")
    addopts(suite_of_six, "--timeout=2 --timeout-method=thread")
    said = refresh(*paths(suite_of_six, "same", "changed"), "--yes", *REPORTS, code=Exit.FOUND)
    assert counts() == {"passed": 1, "crashed": 1}
    assert "crashed: test_suite.py::test_same: pytest ended with exit code 1: +++" in said


def test_a_file_that_ends_python_while_it_is_imported_is_named_and_other_files_run(suite_of_six, oracle, refresh):
    source = (suite_of_six / "test_suite.py").read_text()
    (suite_of_six / "test_other.py").write_text(source)
    suite.run_tests(["test_other.py::test_same"], root=suite_of_six, mode=suite.Mode.RECORD)
    (suite_of_six / "test_suite.py").write_text(f"import os\nos._exit(7)\n{source}")
    other = suite_of_six / "cassettes/test_other/test_same.yaml"
    said = refresh(*paths(suite_of_six, "same"), str(other), "--yes", *REPORTS, code=Exit.FOUND)
    assert counts() == {"passed": 1, "crashed": 1}
    assert "crashed: test_suite.py::test_same: pytest ended with exit code 7" in said
    assert fresh_path(other).exists()


def test_a_suite_in_which_test_after_test_crashes_is_given_up_with_the_rest_not_run(suite_of_six, oracle, refresh):
    for each in suite.QUESTIONS:
        add(suite_of_six, "import os; os._exit(3)", to=each)
    said = refresh("--all", "--yes", *REPORTS, code=Exit.FOUND)
    assert counts() == {"crashed": 4, "not run": 2}
    assert "not run: test_suite.py::test_" in said
    assert len(oracle.prompts) == 4


SHARED = """\
import dspy
import os
import pytest

qa = dspy.Predict("question -> answer: str, n: int")

@pytest.mark.lmtest("ours.yaml")
def test_one():
    qa(question="one?")

@pytest.mark.lmtest("ours.yaml")
def test_two():
    qa(question="two?")

@pytest.mark.lmtest
def test_three():
    qa(question="three?")
"""


@pytest.fixture
def shared(project, oracle, monkeypatch):
    """Two tests that name one cassette, and one that has its own."""
    suite.write(project, oracle, monkeypatch, "same")
    cassette(project, "same").unlink()
    addopts(project, "-p no:randomly")
    (project / "test_suite.py").write_text(SHARED)
    oracle.says |= {each: answer("It is Paris", 3) for each in ("one?", "two?", "three?")}
    suite.run_tests(["test_suite.py"], root=project, mode=suite.Mode.RECORD)
    oracle.prompts.clear()
    return project


def test_what_a_crashed_test_shares_with_others_is_never_accepted(shared, refresh):
    file = shared / "test_suite.py"
    file.write_text(file.read_text().replace('qa(question="two?")', 'qa(question="two?"); os._exit(1)'))
    before = suite.snapshot(shared)
    refresh("--all", "--yes", "--accept", "all", *REPORTS, code=Exit.FOUND)
    assert counts() == {"passed": 2, "crashed": 1}
    changed = {name for name, content in suite.snapshot(shared).items() if content != before[name]}
    assert changed == {"test_three.yaml"}
    assert unfinished(shared / "cassettes/ours.yaml") == ("test_suite.py::test_two",)


@pytest.mark.parametrize(("wrong", "how"), [("os._exit(1)", "crashed"), ("assert False", "failed")])
def test_while_it_runs_a_shared_cassette_is_told_once_its_last_test_ended(shared, refresh, wrong, how):
    file = shared / "test_suite.py"
    file.write_text(file.read_text().replace('qa(question="two?")', f'qa(question="two?"); {wrong}'))
    told = [line for line in refresh("--all", "--yes", code=Exit.FOUND).splitlines() if line.endswith(" so far")]
    assert [line.split(", $")[0].split(": ", 1)[1] for line in told] == [
        f"cassettes/ours.yaml: {how}",
        "cassettes/test_suite/test_three.yaml: passed",
    ]


def test_tests_whose_turn_a_crash_took_are_not_asked_twice(shared, oracle, refresh):
    file = shared / "test_suite.py"
    # In between the two that share: what the first of them recorded is on the disk already.
    source = file.read_text()
    two = source[source.index('@pytest.mark.lmtest("ours.yaml")\ndef test_two') : source.index("@pytest.mark.lmtest\n")]
    file.write_text(source.replace(two, "").replace('three?")', 'three?"); os._exit(1)') + f"\n{two}")
    refresh("--all", "--yes", "--accept", "all", *REPORTS, code=Exit.FOUND)
    assert counts() == {"passed": 2, "crashed": 1}
    assert len(oracle.prompts) == 3


# ── what a project's own options would leave out ─────────────────────────────────────────────────────────────────────


NARROW = (
    "-x --maxfail=1 -k nothing_of_this_name -m 'not lmtest' --deselect test_suite.py::test_changed "
    "--deselect test_suite.py --ignore test_suite.py --lf --sw --collect-only --setup-plan --lmtest-mode=mock"
)


@pytest.mark.parametrize("options", [NARROW, "-p no:lmtest"])
def test_what_a_project_leaves_out_of_its_own_runs_a_refresh_runs(suite_of_six, oracle, refresh, options):
    addopts(suite_of_six, options)
    oracle.says["malformed?"] = 500  # the first to end, for -x
    refresh(*paths(suite_of_six, "malformed", "changed"), "--yes", *REPORTS, code=Exit.FOUND)
    assert counts() == {"passed": 1, "failed": 1}
    assert fresh_path(cassette(suite_of_six, "changed")).exists()


def test_a_worker_of_xdist_that_crashes_is_a_test_that_crashed(suite_of_six, refresh):
    add(suite_of_six, "import os; os._exit(3)", to="changed")
    addopts(suite_of_six, "-n 1 -p no:randomly")
    said = refresh(*paths(suite_of_six, "changed", "same", "reworded"), "--yes", *REPORTS, code=Exit.FOUND)
    assert counts() == {"passed": 2, "crashed": 1}
    assert "crashed: test_suite.py::test_changed: worker 'gw0' crashed while running" in said


# ── what is missing, recorded ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("line", "said", "code"),
    [
        ("assert False, 'no'", "1 failed", Exit.FOUND),
        ("import os; os._exit(3)", "1 crashed", Exit.FOUND),
        ("pytest.exit('enough')", "1 crashed", Exit.FOUND),
    ],
)
def test_what_goes_wrong_while_what_is_missing_is_recorded_is_in_its_sum(suite_of_six, refresh, line, said, code):
    add(suite_of_six, line, to="changed")
    for each in ("changed", "same"):
        cassette(suite_of_six, each).unlink()
    told = refresh("--missing", "--test", "test_suite.py", "--yes", code=code)
    assert f"Recorded in all: 1. 6 tests: 5 passed, {said}." in told


def test_a_provider_that_is_gone_records_nothing_of_what_is_missing(suite_of_six, oracle, refresh):
    oracle.says["same?"] = 500
    cassette(suite_of_six, "same").unlink()
    refresh("--missing", "--test", "test_suite.py::test_same", "--yes", code=Exit.UNANSWERED)
