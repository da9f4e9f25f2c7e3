"""`lmtest merge`, under a real `git merge`."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from lmtest.cassette.index import Index


@pytest.fixture
def git(project):
    """Runs git in a repository of its own that knows the driver."""

    def git(*arguments, check=True):
        return subprocess.run(
            ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *arguments],
            cwd=project,
            capture_output=True,
            text=True,
            check=check,
            timeout=60,
        )

    git("init", "--quiet", "--initial-branch=main")
    driver = f"{shlex.quote(sys.executable)} -c 'from lmtest.cli import main; main()' merge %O %A %B %P"
    git("config", "merge.lmtest.driver", driver)
    (project / ".gitattributes").write_text("cassettes/**/*.yaml merge=lmtest\n")
    return git


@pytest.fixture
def branches(git, record):
    """Two branches, each with a cassette of its own making; gives git's word on merging them."""

    def branches(base, ours, theirs):
        def commit(exchanges):
            if exchanges is not None:
                record("cassettes/a.yaml", *exchanges)
            git("add", "--all")
            git("commit", "--quiet", "--allow-empty", "--message=x")

        commit(base)
        git("checkout", "--quiet", "-b", "theirs")
        commit(theirs)
        git("checkout", "--quiet", "main")
        commit(ours)
        return git("merge", "theirs", check=False)

    return branches


def exchanges(project):
    index = Index(project / "cassettes/a.yaml")
    read = [index.read(entry) for entry in index.entries]
    return [
        (each.request["messages"][0]["parts"][0]["text"], each.outcome.response["message"]["parts"][0]["text"])
        for each in read
    ]


def test_what_both_branches_appended_is_all_there_and_good(branches, project, lmtest):
    base = [("Why?", "Because.")]

    result = branches(base, [*base, ("How?", "So.")], [*base, ("When?", "Now."), ("Where?", "Here.")])

    assert result.returncode == 0, result.stderr
    assert exchanges(project) == [("Why?", "Because."), ("How?", "So."), ("When?", "Now."), ("Where?", "Here.")]
    assert lmtest("verify").exit_code == 0


def test_a_cassette_that_both_branches_made_holds_what_both_recorded(branches, project):
    assert branches(None, [("How?", "So.")], [("When?", "Now.")]).returncode == 0
    assert exchanges(project) == [("How?", "So."), ("When?", "Now.")]


def test_what_one_branch_removed_or_recorded_anew_stays_so(branches, project):
    base = [("Why?", "Because."), ("How?", "So."), ("When?", "Now.")]

    result = branches(base, [("Why?", "Because."), ("When?", "Now.")], [*base[:2], ("When?", "Later.")])

    assert result.returncode == 0, result.stderr
    assert exchanges(project) == [("Why?", "Because."), ("When?", "Later.")]


def test_the_same_recording_on_both_branches_is_there_once(branches, project):
    base = [("Why?", "Because.")]

    assert branches(base, [*base, ("How?", "So.")], [*base, ("How?", "So."), ("When?", "Now.")]).returncode == 0
    assert exchanges(project) == [*base, ("How?", "So."), ("When?", "Now.")]


def test_a_request_that_both_branches_answered_otherwise_is_a_conflict_and_all_else_is_merged(
    branches, git, project, lmtest
):
    base = [("Why?", "Because."), ("How?", "So.")]
    result = branches(base, [("Why?", "No reason."), base[1]], [("Why?", "I forgot."), base[1], ("When?", "Now.")])

    assert result.returncode == 1
    assert "cassettes/a.yaml: both branches changed the answers to 1 request" in result.stderr
    assert git("status", "--short").stdout == "UU cassettes/a.yaml\n"
    assert "a merge conflict is not resolved" in lmtest("verify").stdout

    merged = (project / "cassettes/a.yaml").read_text()
    ours, theirs = merged.index("<<<<<<< ours\n"), merged.index("=======\n")
    (project / "cassettes/a.yaml").write_text(
        merged[:ours] + merged[theirs:].replace("=======\n", "").replace(">>>>>>> theirs\n", "")
    )
    assert exchanges(project) == [("Why?", "I forgot."), ("How?", "So."), ("When?", "Now.")]
    assert lmtest("verify").exit_code == 0


def test_without_the_driver_a_conflict_is_refused_and_can_still_be_merged_by_document(branches, git, project, lmtest):
    git("config", "--unset", "merge.lmtest.driver")
    base = [("Why?", "Because.")]
    assert branches(base, [*base, ("How?", "So.")], [*base, ("When?", "Now.")]).returncode == 1
    assert "a merge conflict is not resolved" in lmtest("verify").stdout

    driver = f"{shlex.quote(sys.executable)} -c 'from lmtest.cli import main; main()' merge %O %A %B %P"
    git("config", "merge.lmtest.driver", driver)
    git("checkout", "-m", "cassettes/a.yaml")

    assert exchanges(project) == [*base, ("How?", "So."), ("When?", "Now.")]
