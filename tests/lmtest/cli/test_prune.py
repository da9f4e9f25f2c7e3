"""`lmtest prune`, as its user sees it."""

from __future__ import annotations

import base64
import os

import pytest

from lmtest.errors import CassetteFormatError


@pytest.fixture
def orphan(record, project):
    record("cassettes/deeper/a.yaml", ("What?", "A picture."), media=base64.b64encode(b"a picture").decode())
    orphan = project / "cassettes/deeper/blobs/old.png"
    orphan.write_bytes(b"old")
    return orphan


def test_a_blob_that_no_cassette_refers_to_goes_and_the_others_stay(lmtest, orphan):
    result = lmtest("prune")

    assert result.stdout == "removed cassettes/deeper/blobs/old.png\n1 file that no cassette needs.\n"
    assert [file.read_bytes() for file in orphan.parent.iterdir()] == [b"a picture"]


def test_a_dry_run_removes_nothing(lmtest, orphan):
    assert "would remove cassettes/deeper/blobs/old.png" in lmtest("prune", "--dry-run").stdout
    assert orphan.exists()


def test_where_a_cassette_does_not_read_nothing_goes(lmtest, orphan):
    (orphan.parent.parent / "b.yaml").write_text("nothing")

    assert isinstance(lmtest("prune").exception, CassetteFormatError)
    assert orphan.exists()


def test_where_a_cassette_has_conflict_marks_nothing_goes_though_there_are_no_blobs(record, lmtest, project):
    path = record("cassettes/a.yaml", ("Why?", "Because."))
    path.write_text(path.read_text().replace("---", "<<<<<<< ours\n---\n=======\n>>>>>>> theirs\n---", 1))
    stray = project / "cassettes/.b.yaml.1.tmp"
    stray.write_text("half")
    os.utime(stray, (0, 0))

    for arguments in (["prune"], ["prune", "--dry-run"]):
        assert "a merge conflict is not resolved" in str(lmtest(*arguments).exception)
    assert stray.exists()


def test_what_a_killed_process_left_goes_once_it_is_old(lmtest, orphan):
    old, new = (orphan.parent / name for name in (".x.0.tmp", ".y.0.tmp"))
    for file in (old, new):
        file.write_bytes(b"half")
    os.utime(old, (0, 0))

    lmtest("prune")

    assert not old.exists()
    assert new.exists()


def test_it_says_that_unplayed_recordings_need_a_run(lmtest):
    assert "only a run can tell" in lmtest("prune", "--help").stdout.replace("\n", " ").replace("  ", " ")
