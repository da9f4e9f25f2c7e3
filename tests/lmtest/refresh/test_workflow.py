"""The nightly job's own steps, on a repository with a pull request."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

WORKFLOW = Path(__file__).parents[3] / ".github" / "workflows" / "refresh.yml"


def step(name):
    steps = yaml.safe_load(WORKFLOW.read_text())["jobs"]["refresh"]["steps"]
    return next(each["run"] for each in steps if each.get("name") == name)


def git(*arguments):
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *who, *arguments], check=True, capture_output=True)


def commit(**contents):
    for name, content in contents.items():
        path = Path("cassettes", name.replace("_new", ".new") + ".yaml")
        if content is None:
            path.unlink()
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
    git("add", "--all")
    git("commit", "--quiet", "--message", "recordings")


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """The main branch, and beside it one of a pull request: what it accepted, and what waits in it."""
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet", "--bare", "origin.git")
    git("init", "--quiet", "--initial-branch=main", "checkout")
    monkeypatch.chdir(tmp_path / "checkout")
    git("remote", "add", "origin", str(tmp_path / "origin.git"))
    commit(same="old", changed="old", merged="old", merged_new="waited", rerecorded="old")
    git("switch", "--quiet", "--create", "refresh/cassettes")
    commit(same="new", changed_new="new", merged="new", merged_new=None, rerecorded="from the pull request")
    git("push", "--quiet", "origin", "refresh/cassettes")
    git("switch", "--quiet", "main")
    commit(rerecorded="on main, since")
    return tmp_path / "checkout"


def take_along(tmp_path, *, state):
    """Run the step where the pull request is in a state, or there is none."""
    gh = tmp_path / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text(f"#!/bin/sh\n{f'echo {state}' if state else 'exit 1'}\n")
    gh.chmod(0o755)
    environ = {"PATH": f"{gh.parent}:{os.environ['PATH']}", "RUNNER_TEMP": str(tmp_path)}
    environ |= {"GITHUB_ENV": str(tmp_path / "env"), "HOME": str(tmp_path)}
    step_ = step("Take along what waits in the open pull request")
    subprocess.run(["bash", "-e", "-o", "pipefail", "-c", step_], check=True, env=environ)
    contents = {path.name.removesuffix(".yaml"): path.read_text() for path in Path("cassettes").iterdir()}
    return contents, (tmp_path / "env").exists()


def test_what_an_open_pull_request_accepted_or_has_waiting_is_not_paid_for_again(checkout, tmp_path):
    contents, skips_pending = take_along(tmp_path, state="OPEN")
    assert contents == {
        "same": "new",
        "changed": "old",
        "changed.new": "new",
        "merged": "new",
        "rerecorded": "on main, since",
    }
    assert skips_pending


@pytest.mark.parametrize("state", ["MERGED", "CLOSED", None])
def test_of_a_pull_request_that_is_not_open_nothing_is_taken_along(checkout, tmp_path, state):
    contents, skips_pending = take_along(tmp_path, state=state)
    assert contents["same"] == "old"
    assert "merged.new" in contents
    assert not skips_pending


def test_the_history_of_failures_is_kept_also_where_the_job_ends_red():
    steps = yaml.safe_load(WORKFLOW.read_text())["jobs"]["refresh"]["steps"]
    [save] = [each for each in steps if each.get("uses", "").startswith("actions/cache/save")]
    [restore] = [each for each in steps if each.get("uses", "").startswith("actions/cache/restore")]
    assert save["if"] == "always()"
    assert save["with"]["path"] == restore["with"]["path"] == ".lmtest"
    assert restore["with"]["key"].startswith(restore["with"]["restore-keys"])
