"""`lmtest verify`, as its user sees it."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys

import pytest

GOOGLE = "AI" + "zaSy" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q"
IMAGE = base64.b64encode(b"a picture").decode()


def test_what_was_recorded_is_good(record, lmtest):
    record("cassettes/a.yaml", ("Why?", "Because."))
    record("cassettes/deeper/b.yaml", ("How?", "So."), media=IMAGE)

    result = lmtest("verify")

    assert (result.exit_code, result.stdout) == (0, "2 cassettes: good.\n")


@pytest.mark.parametrize(
    ("was", "now", "finding"),
    [
        ("Because.", "No reason.", "it was edited after it was recorded"),
        ("Why?", "Why not?", "its key is not that of its request: one of the two was edited"),
    ],
)
def test_an_edit_by_hand_is_found_with_its_line_and_accepted_on_demand(record, lmtest, was, now, finding):
    path = record("cassettes/a.yaml", ("Why?", "Because."), ("How?", "So."))
    path.write_text(path.read_text().replace(was, now))

    found = lmtest("verify", "cassettes/a.yaml")
    accepted = lmtest("verify", "--accept", "cassettes/a.yaml")

    assert found.exit_code == 1
    assert finding in found.stdout
    assert found.stdout.startswith("cassettes/a.yaml:")
    assert "To keep it so: lmtest verify --accept cassettes/a.yaml" in found.stdout
    assert accepted.exit_code == 0
    assert accepted.stdout == "cassettes/a.yaml: 1 interaction accepted as edited.\n1 cassette: good.\n"
    assert now in path.read_text()


def test_a_key_is_explained_by_what_it_is_over(record, lmtest):
    path = record("cassettes/a.yaml", ("Why?", "Because."), ("How?", "So."))
    key = path.read_text().split('key: "')[1][:64]

    result = lmtest("verify", "--explain", key[:8])

    where, canonical, said = result.stdout.splitlines()
    assert (result.exit_code, where.endswith(f": key {key}")) == (0, True)
    parts = [{"type": "text", "text": "Why?"}]
    request = {"model": "gemini/gemini-2.5-flash", "messages": [{"role": "user", "parts": parts}]}
    assert json.loads(canonical) == request
    assert hashlib.sha256(canonical.encode()).hexdigest() == key
    assert said == f"SHA-256 of that line: {key}"


def test_a_key_that_is_not_that_of_its_request_is_told_by_its_explanation(record, lmtest):
    path = record("cassettes/a.yaml", ("Why?", "Because."))
    path.write_text(path.read_text().replace("Why?", "Why not?"))

    result = lmtest("verify", "--explain", path.read_text().split('key: "')[1][:12])

    assert result.exit_code == 1
    assert ", which is not the key" in result.stdout
    assert "no call has a key that begins with 'zz'" in str(lmtest("verify", "--explain", "zz").exception)


def test_accepting_leaves_what_was_not_edited_byte_for_byte(record, lmtest):
    path = record("cassettes/a.yaml", ("Why?", "Because."), ("How?", "So."))
    before = path.read_text().split("---\n")
    path.write_text(path.read_text().replace("Because.", "No reason."))

    lmtest("verify", "--accept")

    after = path.read_text().split("---\n")
    assert [before[0], before[2]] == [after[0], after[2]]


def test_accepting_what_was_not_edited_does_not_touch_the_file(record, lmtest):
    path = record("cassettes/a.yaml", ("Why?", "Because."))
    before = path.stat()

    lmtest("verify", "--accept")

    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_file_that_does_not_read_is_a_finding_and_stays_one_when_accepting(record, lmtest):
    path = record("cassettes/a.yaml", ("Why?", "Because."))
    path.write_bytes(path.read_bytes()[:-30])

    result = lmtest("verify", "--accept")

    assert result.exit_code == 1
    assert "does not end with its digest" in result.stdout


def test_every_interaction_that_does_not_read_is_a_finding(record, lmtest):
    path = record("cassettes/a.yaml", ("Why?", "Because."), ("How?", "So."))
    path.write_text(path.read_text().replace("    assistant: ", "    assistant: ["))

    assert lmtest("verify").stdout.count("this is not YAML") == 2


def test_a_secret_in_a_cassette_is_found_on_its_line(record, lmtest):
    path = record("cassettes/a.yaml", ("Why?", "Because."))
    path.write_text(path.read_text().replace("Because.", f"It is {GOOGLE}"))

    result = lmtest("verify")

    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if GOOGLE in text)
    assert f"a.yaml:{line}: this holds what looks like a secret. Revoke it" in result.stdout
    assert GOOGLE not in result.stdout


@pytest.mark.parametrize(
    "text",
    [
        f"use {GOOGLE}",
        f"first\n{GOOGLE}\nlast",
        "Authorization: Bearer abcdefghijk",
        'call(api_key="abcdefgh12")',
        "password:\nabcdefgh12",
    ],
)
def test_what_was_taken_out_as_it_was_recorded_is_no_finding(record, lmtest, text):
    path = record("cassettes/a.yaml", (text, f'{{"said": "{text}"}}'))

    assert lmtest("verify").stdout == "1 cassette: good.\n"
    assert "<redacted>" in path.read_text()


def test_a_pattern_of_the_project_is_a_secret(record, lmtest, project):
    record("cassettes/a.yaml", ("Why?", "For cust-123."))
    (project / "pyproject.toml").write_text("[tool.lmtest]\nredact = ['cust-[0-9]+']\n")

    assert "holds what looks like a secret" in lmtest("verify").stdout


@pytest.mark.parametrize(
    ("harm", "finding"),
    [
        (lambda blob: blob.unlink(), "this blob is missing"),
        (lambda blob: blob.write_bytes(b"another"), "this blob was altered"),
    ],
)
def test_a_blob_that_is_gone_or_altered_is_found(record, lmtest, project, harm, finding):
    record("cassettes/a.yaml", ("What is this?", "A picture."), media=IMAGE)
    [blob] = (project / "cassettes/blobs").iterdir()
    harm(blob)

    result = lmtest("verify", "cassettes/a.yaml")

    assert result.exit_code == 1
    assert finding in result.stdout
    assert blob.name in result.stdout


def test_a_blob_that_no_cassette_refers_to_is_found(record, lmtest, project):
    record("cassettes/a.yaml", ("What is this?", "A picture."), media=IMAGE)
    (project / "cassettes/blobs/old.png").write_bytes(b"old")

    result = lmtest("verify")

    assert result.exit_code == 1
    assert "old.png: no cassette refers to this blob. Remove it: lmtest prune" in result.stdout


def test_where_there_is_no_cassette_nothing_is_good(lmtest, project):
    (project / "x.yaml").mkdir()

    result = lmtest("verify", "x.yaml")

    assert result.exit_code != 0
    assert str(result.exception) == "there is no cassette in x.yaml to verify. Record some: LM_MODE=record pytest"


def test_a_path_that_is_not_there_is_one_sentence(lmtest):
    result = lmtest("verify", "nowhere")

    assert result.exit_code != 0
    assert str(result.exception) == "there is no file or directory nowhere. Cassettes are usually in: cassettes/"


def test_a_project_without_cassettes_is_told_how_to_record_some(lmtest, project):
    (project / "cassettes").rmdir()
    said = str(lmtest("verify").exception)

    assert said.startswith("there is no file or directory ")
    assert said.endswith("cassettes. Record some: LM_MODE=record pytest")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("verify", "nowhere"), "there is no file or directory nowhere."),
        (("ls", "nowhere"), "there is no file or directory nowhere."),
        (("show", "nowhere.yaml"), "there is no cassette nowhere.yaml"),
        (("diff", "nowhere.yaml", "else.yaml"), "there is no cassette nowhere.yaml"),
        (("prune", "nowhere"), "there is no directory nowhere to prune."),
        (("show",), "Missing argument 'CASSETTE'."),
    ],
)
def test_a_bad_argument_of_any_command_is_a_sentence_and_exits_with_2(project, arguments, sentence):
    command = [sys.executable, "-c", "from lmtest.cli import main; main()", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert result.returncode == 2
    assert sentence in result.stderr.splitlines()[-1]
