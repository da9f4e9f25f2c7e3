"""`lmtest accept`, as its user sees it: what a refresh recorded takes the cassettes' place, and nobody is called."""

from __future__ import annotations

import pytest

OLD, NEW = ("Why?", "Because."), ("Why?", "Because of that.")


@pytest.fixture
def waiting(record, project):
    """Three cassettes with what a refresh recorded for them: the same, another wording, another answer."""
    for name, anew in {"same": "Because.", "wording": "because", "changed": "No reason."}.items():
        record(f"cassettes/{name}.yaml", OLD)
        record(f"cassettes/{name}.new.yaml", ("Why?", anew))
    return project / "cassettes"


def left(directory):
    return sorted(path.name for path in directory.glob("*.new.yaml"))


def test_what_moved_no_further_than_the_tier_takes_the_cassettes_place(waiting, lmtest):
    anew = (waiting / "wording.new.yaml").read_bytes()

    result = lmtest("accept", "--tier", "wording")

    assert result.exit_code == 0
    assert left(waiting) == ["changed.new.yaml"]
    assert (waiting / "wording.yaml").read_bytes() == anew
    assert "accepted: cassettes/same.yaml\n" in result.stdout
    assert "left: cassettes/changed.yaml: it moved as far as 'changed'\n" in result.stdout


def test_after_a_partial_accept_the_rest_is_taken_over_alone(waiting, lmtest):
    lmtest("accept", "--tier", "wording")

    result = lmtest("accept", "--tier", "all")

    assert "accepted: cassettes/changed.yaml" in result.stdout
    assert "same.yaml" not in result.stdout
    assert left(waiting) == []
    assert lmtest("accept", "--tier", "all").stdout == "Nothing waits to be accepted.\n"


@pytest.mark.parametrize(
    "name", ["cassettes/changed.new.yaml", "cassettes/changed.yaml", "changed.yaml", "changed.new.yaml"]
)
def test_it_is_named_as_itself_as_its_cassette_or_as_ls_prints_it(waiting, lmtest, name):
    result = lmtest("accept", name, "--tier", "all")

    assert result.exit_code == 0
    assert left(waiting) == ["same.new.yaml", "wording.new.yaml"]


def test_one_that_was_named_and_is_not_accepted_is_an_exit_code(waiting, lmtest):
    result = lmtest("accept", "changed.yaml", "--tier", "same")

    assert result.exit_code == 1
    assert len(left(waiting)) == 3


def test_without_a_terminal_somebody_must_say_what(waiting, lmtest):
    result = lmtest("accept")

    assert result.exit_code == 2
    assert "--tier same, wording or all" in result.stderr
    assert len(left(waiting)) == 3


@pytest.mark.parametrize("tier", [(), ("--tier", "same")], ids=["asked", "by tier"])
def test_where_nothing_waits_it_says_so_and_nobody_need_be_asked(record, lmtest, tier):
    record("cassettes/a.yaml", OLD)

    result = lmtest("accept", *tier)

    assert (result.exit_code, result.output) == (0, "Nothing waits to be accepted.\n")


def test_where_nothing_that_waits_may_be_accepted_it_says_why_and_asks_nobody(record, lmtest):
    record("cassettes/a.yaml", OLD)
    record("cassettes/a.failed.yaml", NEW)

    result = lmtest("accept")

    assert result.exit_code == 0
    assert "left: cassettes/a.yaml: its last refresh failed\n" in result.stdout


def test_a_dry_run_says_what_waits_and_leaves_it(waiting, lmtest):
    result = lmtest("accept", "--dry-run")

    assert "cassettes/changed.yaml" in result.stdout
    assert "text: [-Because.-]{+No reason.+}" in result.stdout
    assert len(left(waiting)) == 3


def test_one_for_which_nothing_was_recorded_says_what_would_record_it(record, lmtest):
    record("cassettes/a.yaml", OLD)

    result = lmtest("accept", "a.yaml", "--tier", "all")

    assert result.exit_code != 0
    assert "nothing waits to be accepted for cassettes/a.yaml" in str(result.exception)
    assert "lmtest refresh cassettes/a.yaml" in str(result.exception)


def test_calls_that_would_be_lost_are_not_accepted_unseen(record, lmtest, project):
    record("cassettes/a.yaml", OLD, ("How?", "So."))
    record("cassettes/a.new.yaml", NEW)

    result = lmtest("accept", "--tier", "all")

    assert "left: cassettes/a.yaml: it would lose 1 call, which another test may play" in result.stdout
    assert left(project / "cassettes") == ["a.new.yaml"]


def test_what_failed_is_told_and_never_accepted(record, lmtest):
    record("cassettes/a.yaml", OLD)
    record("cassettes/a.failed.yaml", NEW)

    result = lmtest("accept", "--tier", "all")

    assert "left: cassettes/a.yaml: its last refresh failed\n" in result.stdout


def test_what_is_older_than_the_cassette_itself_is_left(record, lmtest, project):
    path = record("cassettes/a.yaml", OLD)
    path.write_text(path.read_text().replace("request:\n", 'recorded_at: "2026-11-21T08:00:00Z"\nrequest:\n', 1))
    record("cassettes/a.new.yaml", NEW)

    result = lmtest("accept", "--tier", "all")

    assert "left: cassettes/a.yaml: a.new.yaml is older than the cassette itself" in " ".join(result.stdout.split())
    assert left(project / "cassettes") == ["a.new.yaml"]


def test_a_cassette_keeps_its_mode_when_another_takes_its_place(waiting, lmtest):
    (waiting / "changed.yaml").chmod(0o640)

    lmtest("accept", "changed.yaml", "--tier", "all")

    assert (waiting / "changed.yaml").stat().st_mode & 0o777 == 0o640


def test_a_refresh_of_what_waits_names_the_command_that_takes_it_over(waiting, lmtest):
    result = lmtest("refresh", "cassettes/changed.new.yaml", "--dry-run")

    assert "is what a refresh recorded for changed.yaml" in str(result.exception)
    assert "lmtest accept cassettes/changed.new.yaml" in str(result.exception)
