"""What was played, looked for where cassettes are now."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

import lmtest
from lmtest.cli import cli as lmtest_cli
from lmtest.testing import ScriptedProvider, fields
from python_worker.__main__ import cli
from python_worker.store import AuditLog

QUESTION = {"question": "What is the capital of France?"}


def invoke(*arguments, code=0):
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == code, (result.output, result.exception)
    return result.stdout


@pytest.fixture
def played(live, tmp_path, monkeypatch):
    """An execution that was recorded by one worker and played by another; the cassette."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'service'\n")
    recorder = live(fields(answer="Paris", confidence=0.9), mode=lmtest.Mode.RECORD, audit_values=True)
    recorder.client.execute("qa", QUESTION)
    (cassette,) = (tmp_path / "cassettes").rglob("*.yaml")
    cassette.write_text(re.sub(r'recorded_at: "\d{4}-\d\d', 'recorded_at: "2026-01', cassette.read_text()))
    take_as_it_is(cassette)
    player = live(mode=lmtest.Mode.REPLAY)
    player.cassette, player.execution = cassette, player.client.execute("qa", QUESTION).id
    return player


def take_as_it_is(cassette):
    """Have an edited cassette state the digest of what it says now."""
    CliRunner().invoke(lmtest_cli, ["verify", "--accept", str(cassette)])
    assert lmtest.recordings(cassette)[0].intact


def verify(code=0):
    return invoke("audit", "verify", "--cassettes", "cassettes", "--data-dir", "live-1", code=code)


def show(played, *options):
    return invoke("audit", "show", played.execution, "--data-dir", "live-1", *options)


def test_a_played_call_names_its_cassette_its_digest_and_the_recordings_age(played):
    (call,) = AuditLog(played.database).played()
    (recording,) = lmtest.recordings(played.cassette)
    told = call.recording
    assert (told.path, told.digest) == (f"qa/{played.cassette.name}", recording.digest)
    assert (told.recorded_at, call.call.key) == (recording.recorded_at, recording.key)
    age = datetime.now(UTC) - datetime.fromisoformat(recording.recorded_at)
    assert age.total_seconds() - 600 < told.age <= age.total_seconds()
    assert f"recorded {recording.recorded_at}, {timedelta(seconds=int(told.age))} before" in show(played)
    assert f"sha256 {recording.digest[:12]}" in show(played)


def test_a_second_play_which_is_remembered_names_it_too(played):
    played.client.execute("qa", QUESTION)
    first, second = AuditLog(played.database).played()
    assert first.recording.digest == second.recording.digest


def test_what_was_recorded_and_not_played_names_no_recording(played, live):
    recorder = live(fields(answer="Rome", confidence=0.9), mode=lmtest.Mode.RECORD)
    recorder.client.execute("qa", {"question": "And of Italy?"})
    assert list(AuditLog(recorder.database).played()) == []


def test_recordings_that_are_as_they_were_are_no_break(played):
    assert "all hold" in verify()
    assert "since then" not in show(played, "--cassettes", "cassettes")


def test_one_altered_answer_is_found_by_path_and_call(played):
    played.cassette.write_text(played.cassette.read_text().replace("Paris", "Lyon"))
    told = verify(code=1)
    assert re.search(
        rf"chain '\(worker\)', event \d+ \(execution {played.execution}\): call 1 was played from "
        rf"qa/{played.cassette.name} \(key \w{{12}}\), and that recording was changed since \(line \d+\)",
        told,
    )
    assert "1 break" in told
    assert "since then: that recording was changed since" in show(played, "--cassettes", "cassettes")


def test_an_answer_that_was_altered_with_its_digest_made_anew_is_found_too(played):
    played.cassette.write_text(played.cassette.read_text().replace("Paris", "Lyon"))
    take_as_it_is(played.cassette)
    assert "that recording was changed since" in verify(code=1)


def test_a_cassette_that_is_gone_is_found(played):
    played.cassette.unlink()
    assert "there is no such cassette in cassettes any more" in verify(code=1)


def test_a_request_that_is_recorded_no_more_is_found(played):
    text = played.cassette.read_text()
    played.cassette.write_text(text[: text.index("\n---\n") + 1])
    assert "nothing is recorded there for that request any more" in verify(code=1)


def test_a_cassette_that_does_not_read_is_found(played):
    played.cassette.write_text("no cassette")
    assert "does not read" in verify(code=1)


def test_what_was_recorded_anew_by_nobody_on_record_is_found(played, live, tmp_path):
    played.cassette.unlink()
    recorder = live(fields(answer="Lyon", confidence=0.9), mode=lmtest.Mode.RECORD, audit_values=True)
    recorder.client.execute("qa", QUESTION)
    assert "it was recorded anew since, at 20" in verify(code=1)


def test_what_a_refresh_on_record_replaced_is_told_and_is_no_break(played):
    with ScriptedProvider([fields(answer="Lyon", confidence=0.9)], repeat_last=True) as provider:
        base = f"{provider.url}/v1beta"
        invoke("refresh", "--data-dir", "live-1", "--api-base", base, "--yes", "--accept", "all")
    ((execution_id, _),) = AuditLog(played.database).refreshed()
    told = verify()
    assert "1 call played what a refresh that is on record replaced since" in told
    assert "all hold" in told
    assert f"by execution {execution_id}, which is on record" in show(played, "--cassettes", "cassettes")
    played.cassette.write_text(played.cassette.read_text().replace("\n---\n", "\nreviewed_by: ada\n---\n", 1))
    assert "it was recorded anew since" in verify(code=1), "that is no longer the file that the refresh wrote"


def test_an_export_has_no_cassettes_to_look_into(played):
    (played.cassette.parent / "export.jsonl").touch()
    result = CliRunner().invoke(cli, ["audit", "verify", "export.jsonl", "--cassettes", "cassettes"])
    assert "--cassettes asks the database" in result.output
