"""What the commands make of a cassette that holds no calls."""

from __future__ import annotations

import pytest

from lmtest.cassette.index import Index


@pytest.fixture
def nothing(record):
    return record("cassettes/nothing.yaml")


@pytest.fixture
def something(record):
    return record("cassettes/something.yaml", ("Why?", "Because."))


def test_ls_lists_it_without_calls_and_without_cost(nothing, lmtest):
    lines = [line.split() for line in lmtest("ls").stdout.splitlines()]
    assert ["0", "$0.0000", "0.1", "KB", "2026-11-20", "nothing.yaml"] in lines


def test_verify_finds_it_good(nothing, lmtest):
    assert lmtest("verify").exit_code == 0


def test_verify_accept_leaves_it_as_it_is(nothing, lmtest):
    before = nothing.read_bytes()
    assert lmtest("verify", "--accept").exit_code == 0
    assert nothing.read_bytes() == before


def test_show_says_that_it_holds_no_calls(nothing, lmtest):
    assert "nothing.yaml holds no calls" in lmtest("show", nothing).stdout


def test_it_does_not_differ_from_itself(nothing, lmtest):
    result = lmtest("diff", nothing, nothing)
    assert (result.exit_code, result.stdout) == (0, "")


def test_whatever_another_cassette_holds_is_new_beside_it(nothing, something, lmtest):
    result = lmtest("diff", nothing, something)
    assert result.exit_code == 1
    assert "is new" in result.stdout


def test_prune_keeps_it(nothing, lmtest):
    lmtest("prune")
    assert nothing.exists()


@pytest.mark.parametrize("ours", ["nothing", "something"])
def test_merge_keeps_what_the_other_branch_recorded(ours, nothing, something, lmtest, project):
    mine, theirs = (nothing, something) if ours == "nothing" else (something, nothing)
    base = project / "base.yaml"
    base.touch()
    assert lmtest("merge", base, mine, theirs, "qa.yaml").exit_code == 0
    merged = Index(mine)
    assert (len(merged.entries), merged.header.source) == (1, "stand-in")


def test_refresh_says_that_there_is_nothing_to_record_anew(nothing, lmtest):
    result = lmtest("refresh", "--dry-run", nothing)
    assert result.exit_code == 0
    assert "it holds no calls" in " ".join(result.stdout.split())
