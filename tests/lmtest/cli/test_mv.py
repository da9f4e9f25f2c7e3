"""`lmtest mv`, as its user sees it: recordings taken along, and nothing lost on the way."""

from __future__ import annotations

import base64

import pytest

from lmtest.cassette.index import Index

WHY = ("Why?", "Because.")
IMAGE = base64.b64encode(b"a picture").decode()


@pytest.fixture
def owned(record):
    """Records a cassette that a test owns."""

    def owned(name, test, **options):
        path = record(name, WHY, **options)
        path.write_text(path.read_text().replace('lmtest: "0.1.0"\n', f'lmtest: "0.1.0"\ntest: "{test}"\n'))
        assert Index(path).header.test == test
        return path

    return owned


@pytest.mark.parametrize("prefix", ["", "cassettes/"], ids=["as ls prints it", "by its path"])
def test_the_test_is_known_by_the_name_of_the_file(owned, lmtest, project, prefix):
    owned("cassettes/test_qa/TestQA.test_old[fr].yaml", "test_qa.py::TestQA::test_old[fr]")

    result = lmtest("mv", f"{prefix}test_qa/TestQA.test_old[fr].yaml", f"{prefix}test_qa/TestQA.test_new[fr].yaml")

    assert result.stdout == (
        "cassettes/test_qa/TestQA.test_old[fr].yaml is now cassettes/test_qa/TestQA.test_new[fr].yaml, "
        "of test_qa.py::TestQA::test_new[fr]\n"
    )
    moved = project / "cassettes/test_qa/TestQA.test_new[fr].yaml"
    assert Index(moved).header.test == "test_qa.py::TestQA::test_new[fr]"
    assert lmtest("verify").stdout == "1 cassette: good.\n"


def test_every_call_and_the_mode_of_the_file_stay_as_they_were(owned, lmtest, project):
    path = owned("cassettes/a.yaml", "t.py::test_a")
    path.chmod(0o640)
    calls = path.read_bytes().partition(b"---\n")[2]

    lmtest("mv", "a.yaml", "deeper/b.yaml", "--test", "t.py::test_b")

    moved = project / "cassettes/deeper/b.yaml"
    assert moved.read_bytes().partition(b"---\n")[2] == calls
    assert moved.stat().st_mode & 0o777 == 0o640
    assert not path.exists()


def test_media_go_along_and_those_of_others_stay(record, lmtest, project):
    record("cassettes/a.yaml", WHY, media=IMAGE)
    record("cassettes/b.yaml", WHY, media=IMAGE)

    lmtest("mv", "a.yaml", "one/a.yaml")
    assert lmtest("verify").stdout == "2 cassettes: good.\n"
    assert len(list((project / "cassettes/blobs").iterdir())) == 1

    lmtest("mv", "b.yaml", "two/b.yaml")
    assert lmtest("verify").stdout == "2 cassettes: good.\n"
    assert not list((project / "cassettes/blobs").iterdir())


def test_what_waits_to_be_accepted_goes_along(record, lmtest, project):
    for name in ("a.yaml", "a.new.yaml", "a.failed.yaml"):
        record(f"cassettes/{name}", WHY)

    lmtest("mv", "a.yaml", "b.yaml")

    assert sorted(path.name for path in (project / "cassettes").iterdir()) == ["b.failed.yaml", "b.new.yaml", "b.yaml"]


def test_a_directory_is_moved_with_the_tests_of_its_files(owned, lmtest, project):
    owned("cassettes/old/test_qa/test_a.yaml", "old/test_qa.py::test_a")
    owned("cassettes/old/test_qa.yaml", "old/test_qa.py")

    lmtest("mv", "old", "new")

    assert Index(project / "cassettes/new/test_qa/test_a.yaml").header.test == "new/test_qa.py::test_a"
    assert Index(project / "cassettes/new/test_qa.yaml").header.test == "new/test_qa.py"
    assert not (project / "cassettes/old").exists()


def test_nothing_is_replaced_unless_that_is_said(record, lmtest, project):
    record("cassettes/a.yaml", WHY)
    there = record("cassettes/b.yaml", ("How?", "So."))
    before = there.read_bytes()

    refused = lmtest("mv", "a.yaml", "b.yaml")
    assert "cassettes/b.yaml is there already, and nothing was moved" in str(refused.exception)
    assert there.read_bytes() == before

    assert lmtest("mv", "--force", "a.yaml", "b.yaml").exit_code == 0
    assert "Because." in there.read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["none.yaml", "b.yaml"], "there is no file or directory none.yaml"),
        (["a.new.yaml", "b.yaml"], "is what a refresh records for a.yaml, and goes where that goes"),
        (["a.yaml", "b.new.yaml"], "is what a refresh records for b.yaml"),
        (["a.yaml", "b.txt"], "is no name of a cassette, which ends in .yaml"),
        ([".", "b", "--test", "t.py::test_a"], "--test names the owner of one cassette"),
    ],
)
def test_what_cannot_be_moved_says_why(record, lmtest, arguments, told):
    record("cassettes/a.yaml", WHY)

    assert told in str(lmtest("mv", *arguments).exception)


def test_a_missing_blob_moves_nothing(record, lmtest, project):
    path = record("cassettes/a.yaml", WHY, media=IMAGE)
    next((project / "cassettes/blobs").iterdir()).unlink()

    assert "this blob is missing" in str(lmtest("mv", "a.yaml", "one/a.yaml").exception)
    assert path.exists()
    assert not (project / "cassettes/one/a.yaml").exists()
