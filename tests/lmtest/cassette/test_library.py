"""What can go from a directory of cassettes, and how it goes."""

from __future__ import annotations

import base64

import pytest

from lmtest.cassette import library, locks
from lmtest.cassette.cassette import Cassette
from lmtest.cassette.index import Index
from lmtest.cassette.interaction import Header, Interaction, Reply
from lmtest.cassette.redact import Redactor
from lmtest.errors import CassetteError, CassetteLocked
from lmtest.modes import Mode


@pytest.fixture
def record(tmp_path):
    """Records questions into a cassette, each with a picture of its own."""

    def record(name, *questions):
        cassette = Cassette(tmp_path / name, mode=Mode.RECORD, redactor=Redactor(environ={}))
        for each in questions:
            picture = {"type": "image", "media_type": "image/png", "data": base64.b64encode(each.encode()).decode()}
            request = {"model": "m", "messages": [{"role": "user", "parts": [picture]}]}
            key, normal = cassette.normalise(request)
            outcome = Reply(response={"message": {"role": "assistant", "parts": [{"type": "text", "text": each}]}})
            cassette.record(Interaction(key=key, request=normal, outcome=outcome), source="stand-in")
        cassette.save(Header(format=1, recorded_at="2026-11-20T12:00:00Z", source="stand-in", lmtest="0.1.0"))
        return tmp_path / name

    return record


def places(path, *numbers):
    return [Index(path).entries[number].start for number in numbers]


def blobs(path):
    return {file.read_bytes().decode() for file in (path.parent / "blobs").iterdir()}


def test_what_stays_stays_byte_for_byte_in_a_file_of_the_same_mode(record):
    path = record("a.yaml", "one", "two", "three")
    path.chmod(0o640)
    header, one, _, three = path.read_text().split("---\n")

    library.drop(path, places(path, 1))

    assert path.read_text().split("---\n") == [header, one, three]
    assert path.stat().st_mode & 0o777 == 0o640


def test_blobs_go_but_for_those_that_another_cassette_refers_to(record):
    path = record("a.yaml", "one", "two", "three")
    record("b.yaml", "two")

    library.drop(path, places(path, 0, 1))
    assert blobs(path) == {"two", "three"}

    library.drop_whole(path)
    assert blobs(path) == {"two"}


def test_with_its_last_recording_a_cassette_goes_and_what_a_refresh_recorded_for_it(record):
    path = record("a.yaml", "one")
    record("a.new.yaml", "two")

    library.drop(path, places(path, 0))

    assert not list(path.parent.glob("*.yaml"))
    assert not blobs(path)


def test_what_was_written_since_it_was_read_stays(record):
    path = record("a.yaml", "one", "two")
    stale = [place + 7 for place in places(path, 1)]
    before = path.read_bytes()

    with pytest.raises(CassetteError, match="was written since the run read it"):
        library.drop(path, stale)

    assert path.read_bytes() == before


@pytest.mark.parametrize("drop", [lambda path: library.drop(path, places(path, 0)), library.drop_whole])
def test_nothing_goes_while_another_process_saves_it(record, monkeypatch, drop):
    path = record("a.yaml", "one", "two")
    before = path.read_bytes()
    monkeypatch.setattr(locks, "LOCK_TIMEOUT", 0.01)

    with locks.locked(path), pytest.raises(CassetteLocked):
        drop(path)

    assert path.read_bytes() == before


def test_what_does_not_read_can_go_whole(record):
    path = record("a.yaml", "one")
    path.write_text("nothing")

    library.drop_whole(path)

    assert not path.exists()
    assert blobs(path) == {"one"}, "nobody can tell what it referred to; lmtest prune removes it"


@pytest.mark.parametrize(("take", "left"), [(library.accept, {"two", "three"}), (library.discard, {"one", "two"})])
def test_what_is_accepted_or_discarded_takes_the_blobs_of_the_other_along(record, take, left):
    path = record("a.yaml", "one", "two")
    record("a.new.yaml", "two", "three")

    take(path)

    assert [file.name for file in path.parent.glob("*.yaml")] == ["a.yaml"]
    assert blobs(path) == left
