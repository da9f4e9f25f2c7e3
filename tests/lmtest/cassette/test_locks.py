"""Who may save a cassette, and which run wrote what: in files that are never more than so many."""

from __future__ import annotations

import tempfile
from collections import Counter

import pytest

from lmtest.cassette import locks, store


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """A directory for temporary files of the test's own."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


def of_one_lock(directory, number):
    """So many cassettes that share a lock."""
    paths = [directory / f"{n}.yaml" for n in range(number * 300)]
    [(most, _)] = Counter(map(locks.lock_path, paths)).most_common(1)
    return [path for path in paths if locks.lock_path(path) == most][:number]


def test_any_number_of_cassettes_has_a_fixed_number_of_locks(tmp_path):
    assert len({locks.lock_path(tmp_path / f"{n}.yaml") for n in range(5_000)}) <= 256


def test_two_cassettes_of_one_lock_are_saved_one_after_the_other(tmp_path, temporary, header, recorded):
    one, other = of_one_lock(tmp_path, 2)
    store.save(one, header, [recorded()], opened=None, run="r")
    store.save(other, header, [recorded()], opened=None, run="r")

    assert len(list(temporary.glob("*/*"))) == 2, "the lock, and what was written"
    assert locks.is_of_run(one, "r")
    assert locks.is_of_run(other, "r")
    assert not locks.is_of_run(one, "another")


def test_only_the_newest_writings_are_remembered(tmp_path, temporary):
    paths = of_one_lock(tmp_path, 70)
    for path in paths:
        path.touch()
        locks.note_writing(path, "r")
    [file] = temporary.glob("*/*.runs")

    assert len(file.read_text().splitlines()) == 64
    assert [locks.is_of_run(path, "r") for path in paths] == [False] * 6 + [True] * 64


def test_a_cassette_that_is_written_over_and_over_is_remembered_once(tmp_path, temporary):
    often, once = of_one_lock(tmp_path, 2)
    once.touch()
    locks.note_writing(once, "r")
    for size in range(100):
        often.write_bytes(b"x" * size)
        locks.note_writing(often, "r")

    assert locks.is_of_run(once, "r")
    assert locks.is_of_run(often, "r")


@pytest.mark.parametrize("content", [b"", b"\xff\n\n", b"half a li"])
def test_what_a_killed_process_left_of_them_is_no_writing(tmp_path, content):
    path = tmp_path / "qa.yaml"
    path.touch()
    locks.lock_path(path).with_suffix(".runs").write_bytes(content)

    assert not locks.is_of_run(path, "r")
    locks.note_writing(path, "r")
    assert locks.is_of_run(path, "r")


def test_a_name_of_a_run_may_hold_anything(tmp_path):
    path = tmp_path / "qa.yaml"
    path.touch()
    locks.note_writing(path, "a b\nc")

    assert locks.is_of_run(path, "a b\nc")
