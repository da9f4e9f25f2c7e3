"""An open cassette: what it plays, what it records, what was asked of it."""

from __future__ import annotations

import base64
from decimal import Decimal

import pytest

from lmtest.cassette.cassette import Call
from lmtest.cassette.interaction import EventStream, Failure, Reply, StreamedEvent, Usage
from lmtest.errors import CassetteExhausted, CassetteMiss, CassetteNotFound, CassetteTampered
from lmtest.modes import Mode

SECRET = {"GEMINI_API_KEY": "hush-hush-hush"}
IMAGE = base64.b64encode(b"\x89PNG and more").decode()


@pytest.fixture
def with_image(ask):
    def with_image(data=IMAGE, media_type="image/png"):
        request = ask("What is this?")
        request["messages"][0]["parts"].append({"type": "image", "media_type": media_type, "data": data})
        return request

    return with_image


@pytest.fixture
def record(tmp_path, open_cassette, recorded, header):
    """Records one request with its outcome, under a redactor that knows a secret; gives the file."""

    def record(request, outcome):
        cassette = open_cassette(tmp_path / "qa.yaml", Mode.RECORD, environ=SECRET, record_failures=True)
        key, normal = cassette.normalise(request)
        interaction = recorded(outcome=outcome)
        cassette.record(
            type(interaction)(key=key, request=normal, outcome=outcome, cost=Decimal("0.01")), source="stand-in"
        )
        cassette.save(header)
        return tmp_path / "qa.yaml"

    return record


def test_what_was_recorded_is_played(write, recorded, ask, open_cassette):
    assert open_cassette(write(recorded())).play(ask()) == recorded()


def test_a_request_that_is_not_recorded_is_a_miss_that_explains_itself(write, recorded, ask, open_cassette, header):
    path = write(recorded())
    cassette = open_cassette(
        path, command="LM_MODE=record pytest 't.py::test'", versions={"dspy": "9", "lmtest": "0.1.0"}
    )

    with pytest.raises(CassetteMiss) as caught:
        cassette.play(ask("What is the capital of Spain?"))

    told = str(caught.value)
    assert told.startswith(f"{path}: this request to gemini/gemini-2.5-flash is not recorded")
    assert "messages[0].user: What is the capital of [-France-]{+Spain+}?" in told
    assert "dspy was 3.4.1, is 9." in told
    assert "lmtest was" not in told
    assert "To record it: LM_MODE=record pytest 't.py::test'\n" in told
    assert told.endswith("If its provider failed then, and the program went on: record it with record_failures=True.")
    assert cassette.missed == (caught.value,)
    assert caught.value.nearest[0].key == recorded().key


def test_asking_beyond_the_last_recording_is_its_own_miss(write, recorded, ask, open_cassette):
    cassette = open_cassette(write(recorded(), recorded()))
    cassette.play(ask())
    cassette.play(ask())

    with pytest.raises(CassetteExhausted, match=r'recorded 2 times and was asked for once more .*repeat="last"'):
        cassette.play(ask())


def test_the_last_recording_is_repeated_where_that_is_wanted(write, recorded, ask, open_cassette):
    cassette = open_cassette(write(recorded()), repeat_last=True)

    assert cassette.play(ask()) == cassette.play(ask())


def test_replaying_a_file_that_is_not_there_says_how_to_record_it(tmp_path, open_cassette):
    with pytest.raises(CassetteNotFound, match=r"there is no cassette .* to replay\. Record it: LM_MODE=record pytest"):
        open_cassette(tmp_path / "qa.yaml")


def test_a_file_that_may_be_absent_is_missed_only_when_it_is_asked(tmp_path, open_cassette, ask):
    cassette = open_cassette(tmp_path / "qa.yaml", may_be_absent=True)

    with pytest.raises(CassetteNotFound):
        cassette.play(ask())
    assert len(cassette.missed) == 1


def test_nothing_is_written_until_it_is_saved(tmp_path, open_cassette, recorded):
    cassette = open_cassette(tmp_path / "qa.yaml", Mode.RECORD)
    cassette.record(recorded(), source="stand-in")

    assert cassette.recorded == (recorded(),)
    assert not (tmp_path / "qa.yaml").exists()


def test_a_run_that_recorded_nothing_leaves_the_file(write, recorded, open_cassette, header):
    path = write(recorded())
    before = path.read_bytes()
    open_cassette(path, Mode.RECORD).save(header)

    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [Mode.REPLAY, Mode.MOCK, Mode.LIVE])
def test_modes_that_do_not_write_record_nothing(write, recorded, open_cassette, mode):
    cassette = open_cassette(write(recorded()), mode)
    cassette.record(recorded(), source="stand-in")

    assert cassette.recorded == ()


def test_a_failure_is_recorded_only_where_that_is_wanted(tmp_path, open_cassette, recorded):
    failed = recorded(outcome=Failure(code="rate_limit", message="slow down", retry_after=3.0))
    kept = open_cassette(tmp_path / "a.yaml", Mode.RECORD, record_failures=True)
    dropped = open_cassette(tmp_path / "b.yaml", Mode.RECORD)
    for cassette in (kept, dropped):
        cassette.record(failed, source="stand-in")

    assert [len(kept.recorded), len(dropped.recorded)] == [1, 0]


@pytest.mark.parametrize(
    "outcome",
    [
        Reply(response={"text": "it is hush-hush-hush", "provider_data": {"api_key": "abc"}}),
        Failure(
            code="auth", message="bad key hush-hush-hush", events=(StreamedEvent(at=0, event={"t": "hush-hush-hush"}),)
        ),
        EventStream(events=(StreamedEvent(at=0.5, event={"delta": {"text": "hush-hush-hush"}}),)),
    ],
)
def test_no_secret_of_a_request_or_an_outcome_reaches_the_file(record, ask, outcome):
    path = record(ask("Is it hush-hush-hush?", extensions={"note": "hush-hush-hush"}), outcome)

    assert "hush-hush" not in path.read_text()
    assert "abc\n" not in path.read_text()
    assert "<redacted:GEMINI_API_KEY>" in path.read_text()


def test_a_request_with_a_secret_is_still_found_when_replayed(record, ask, open_cassette):
    path = record(ask("Is it hush-hush-hush?"), Reply(response={"text": "yes"}))

    assert open_cassette(path, environ=SECRET).play(ask("Is it hush-hush-hush?")).cost == Decimal("0.01")


def test_a_request_that_quotes_a_secret_of_the_answer_before_it_is_found_when_replayed(record, ask, open_cassette):
    login = {"type": "tool_call", "id": "1", "name": "login", "input": {"password": "hunter2-very-secret"}}
    request = ask("Log me in.")
    request["messages"].append({"role": "assistant", "parts": [login]})
    path = record(request, Reply(response={"text": "you are in"}))

    assert "hunter2" not in path.read_text()
    replayed = open_cassette(path)
    quoted = replayed.play(request).request["messages"][1]["parts"][0]
    request["messages"][1]["parts"] = [quoted]
    assert open_cassette(path).play(request), "what was played is what the program asks with"
    with pytest.raises(CassetteMiss) as caught:
        replayed.play(request | {"system": "Be quick."})
    assert "hunter2" not in str(caught.value)


def test_media_of_request_and_answer_is_kept_beside_the_file_and_played(record, with_image, open_cassette):
    answer = {"message": {"role": "assistant", "parts": [{"type": "image", "media_type": "image/png", "data": IMAGE}]}}
    path = record(with_image(), Reply(response=answer))

    assert IMAGE not in path.read_text()
    assert [file.read_bytes() for file in (path.parent / "blobs").iterdir()] == [b"\x89PNG and more"]
    assert open_cassette(path).play(with_image()).outcome == Reply(response=answer)


def test_another_picture_is_another_request(record, with_image, open_cassette):
    path = record(with_image(), Reply(response={}))

    with pytest.raises(CassetteMiss):
        open_cassette(path).play(with_image(base64.b64encode(b"another").decode()))


def test_a_media_stream_is_kept_and_played(record, ask, open_cassette):
    events = tuple(
        StreamedEvent(at=0.1, event={"type": "delta", "delta": {"type": "audio", "data": data, "part_index": 0}})
        for data in (IMAGE, "cut", "d29yZHM=")
    )
    path = record(ask(), EventStream(events=events))

    assert IMAGE not in path.read_text()
    assert open_cassette(path).play(ask()).outcome == EventStream(events=events)


def test_a_secret_in_textual_media_reaches_no_blob_and_still_matches(record, with_image, open_cassette):
    data = base64.b64encode(b"it is hush-hush-hush").decode()
    path = record(with_image(data, "text/plain"), Reply(response={"text": "yes"}))

    assert [file.read_bytes() for file in (path.parent / "blobs").iterdir()] == [b"it is <redacted:GEMINI_API_KEY>"]
    assert open_cassette(path, environ=SECRET).play(with_image(data, "text/plain"))


def test_a_pattern_of_the_users_never_breaks_a_reference(tmp_path, with_image, open_cassette, recorded):
    cassette = open_cassette(tmp_path / "qa.yaml", Mode.RECORD, patterns=["[0-9a-f]{8}"])

    _, normal = cassette.normalise(with_image())

    assert normal["messages"][0]["parts"][1]["data"].startswith("blob:")


def test_media_of_what_was_not_recorded_leaves_no_blob(tmp_path, with_image, open_cassette, recorded, header):
    cassette = open_cassette(tmp_path / "qa.yaml", Mode.RECORD)
    cassette.normalise(with_image())
    cassette.record(recorded(), source="stand-in")
    cassette.save(header)

    assert not (tmp_path / "blobs").exists()


def test_an_answer_whose_blob_is_gone_is_refused_by_name(record, ask, open_cassette):
    path = record(ask(), Reply(response={"type": "image", "data": IMAGE}))
    [blob] = (path.parent / "blobs").iterdir()
    blob.unlink()

    with pytest.raises(CassetteTampered, match=blob.name):
        open_cassette(path).play(ask())


def test_it_keeps_what_was_answered_and_what_that_cost(open_cassette):
    cassette = open_cassette(None, Mode.LIVE)
    for hit, cost in (("live", Decimal("0.2")), ("live", None), ("cassette", Decimal(0))):
        cassette.note(Call(key="k", model="m", hit=hit, usage=Usage(), cost=cost, worth=None, latency=None))

    assert [call.hit for call in cassette.calls] == ["live", "live", "cassette"]
    assert len(cassette.played) == 1
    assert cassette.cost == Decimal("0.2")


def test_what_was_recorded_but_not_asked_for_is_unplayed(write, recorded, ask, open_cassette):
    cassette = open_cassette(write(recorded(), recorded("Why?")))
    cassette.play(ask())

    assert [entry.key for entry in cassette.unplayed] == [recorded("Why?").key]


def test_the_sources_of_a_recording_are_named_once_each(tmp_path, open_cassette, recorded):
    cassette = open_cassette(tmp_path / "qa.yaml", Mode.RECORD)
    for source in ("b.example", "a.example", "b.example"):
        cassette.record(recorded(), source=source)

    assert cassette.source == "a.example, b.example"
    assert len(cassette.recorded) == 3


def test_the_file_is_read_by_place_and_not_by_name_once_it_is_open(write, recorded, ask, open_cassette):
    path = write(recorded())
    cassette = open_cassette(path)
    path.unlink()

    assert cassette.play(ask()) == recorded()
