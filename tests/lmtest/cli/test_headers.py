"""What a header tells that no test owns, and what it tells to a later lmtest: no command takes it away."""

from __future__ import annotations

import shutil

import pytest

from lmtest.cassette.index import Index

WHY = ("Why?", "Because.")
WHEN = ("When?", "Now.")
TOLD = """\
executed:
  program: qa
  version: 2
  signature: "signature qa: :string question -> :string answer"
  inputs:
    question: "Why, cust-1234?"
reviewed_by: ada
"""


@pytest.fixture
def served(record):
    """Records a cassette as a worker heads it that no test asks, with a field of a later lmtest."""

    def served(name, *exchanges):
        path = record(name, *exchanges)
        path.write_text(path.read_text().replace('lmtest: "0.1.0"\n', f'lmtest: "0.1.0"\n{TOLD}'))
        return path

    return served


def told(path):
    header = Index(path).header
    return header.executed, header.further


@pytest.fixture
def before(served):
    return told(served("cassettes/qa/before.yaml", WHY))


def test_mv_keeps_it(served, lmtest, project, before):
    served("cassettes/qa/a.yaml", WHY)
    assert lmtest("mv", "cassettes/qa/a.yaml", "cassettes/qa/b.yaml").exit_code == 0
    assert told(project / "cassettes/qa/b.yaml") == before


def test_prune_and_verify_take_it_as_it_is(served, lmtest, before):
    path = served("cassettes/qa/a.yaml", WHY)
    assert lmtest("verify").exit_code == 0
    assert lmtest("prune").exit_code == 0
    assert told(path) == before


def test_merge_keeps_it_whichever_side_is_newer(served, record, lmtest, project, before):
    base, ours = served("base.yaml", WHY), served("ours.yaml", WHY, WHEN)
    theirs = record("theirs.yaml", WHY)
    head = theirs.read_text().replace('lmtest: "0.1.0"\n', f'lmtest: "0.1.0"\n{TOLD}also: [1]\n')
    theirs.write_text(head.replace("2026-11-20", "2026-11-21"))
    assert lmtest("merge", base, ours, theirs).exit_code == 0
    executed, further = told(ours)
    assert executed == before[0]
    assert further == {"reviewed_by": "ada", "also": [1]}


def test_merge_takes_away_what_one_side_took_away(served, record, lmtest):
    base, ours = served("base.yaml", WHY), served("ours.yaml", WHY, WHEN)
    theirs = served("theirs.yaml", WHY)
    theirs.write_text(theirs.read_text().replace("reviewed_by: ada\n", ""))
    assert lmtest("merge", base, ours, theirs).exit_code == 0
    assert told(ours)[1] == {}


def test_rekey_keeps_it_without_what_is_secret_now(served, lmtest, project):
    path = served("cassettes/qa/a.yaml", ("Why, cust-1234?", "Because."))
    (project / "pyproject.toml").write_text("[tool.lmtest]\nredact = ['cust-\\d+']\n")
    assert lmtest("rekey").exit_code == 0
    executed, further = told(path)
    assert executed["inputs"] == {"question": "Why, <redacted>?"}
    assert (executed["program"], executed["version"], further) == ("qa", 2, {"reviewed_by": "ada"})
    assert lmtest("verify").exit_code == 0


def test_accept_keeps_it(served, lmtest, project, before):
    path = served("cassettes/qa/a.yaml", WHY)
    shutil.copy(path, path.with_suffix(".new.yaml"))
    assert lmtest("accept", "--tier", "all").exit_code == 0
    assert told(path) == before


@pytest.mark.parametrize("name", ["qa", "it's qa"])
def test_the_command_that_executes_it_anew_can_be_copied(served, lmtest, name):
    path = served("cassettes/qa/a.yaml", WHY)
    path.write_text(path.read_text().replace("program: qa", f'program: "{name}"'))
    shown = " ".join(lmtest("refresh", "--all", "--dry-run").stdout.split())
    quoted = name if name == "qa" else "'it'\"'\"'s qa'"
    assert f"Execute it anew: python -m python_worker refresh {quoted}" in shown


def test_ls_has_no_column_for_it_where_nothing_was_executed(record, lmtest):
    record("cassettes/a.yaml", WHY)
    assert "executed" not in lmtest("ls").stdout
