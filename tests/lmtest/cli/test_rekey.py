"""`lmtest rekey`, as its user sees it: new rules reach what is recorded, and nobody is called."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from lmtest.cassette.cassette import Cassette
from lmtest.cassette.fingerprint import Rules
from lmtest.cassette.index import Index
from lmtest.cassette.redact import Redactor
from lmtest.modes import Mode

SECRET = ("Who is cust-1234?", "cust-1234 is Jane.")
DATED = ("What is on 2026-11-20?", "A Friday.")
PLAIN = ("Why?", "Because.")


@pytest.fixture
def configure(project):
    def configure(**settings):
        lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
        (project / "pyproject.toml").write_text(f"[tool.lmtest]\n{lines}")

    return configure


def play(path, question, *, redact=(), scrub=(), ignore=()):
    redactor = Redactor(environ={}, patterns=redact)
    cassette = Cassette(path, mode=Mode.REPLAY, redactor=redactor, rules=Rules(scrub=scrub, ignore=ignore))
    message = {"role": "user", "parts": [{"type": "text", "text": question}]}
    answered = cassette.play({"model": "gemini/gemini-2.5-flash", "messages": [message]})
    return answered.outcome.response["message"]["parts"][0]["text"]


def test_a_new_secret_leaves_requests_and_answers_and_both_replay(record, lmtest, configure):
    path = record("cassettes/a.yaml", SECRET, PLAIN)
    plain = path.read_text().split("---\n")[2]
    configure(redact=[r"cust-\d+"])
    assert "holds what looks like a secret. Revoke it, and take it out of what is recorded: lmtest rekey" in (
        lmtest("verify").stdout
    )

    result = lmtest("rekey")

    assert result.stdout == "cassettes/a.yaml: 1 of 2 calls changed, 1 of their keys\n1 file changed.\n"
    assert "cust-1234" not in path.read_text()
    assert path.read_text().split("---\n")[2] == plain, "what the rules leave alone stays byte for byte"
    assert lmtest("verify").stdout == "1 cassette: good.\n"
    assert play(path, "Who is cust-1234?", redact=[r"cust-\d+"]) == "<redacted> is Jane."


@pytest.mark.parametrize(("rule", "value"), [("scrub", "date"), ("ignore", "messages[*].parts")])
def test_what_does_not_matter_any_more_leaves_the_key(record, lmtest, configure, rule, value):
    path = record("cassettes/a.yaml", DATED)
    configure(**{rule: [value]})

    assert lmtest("rekey").exit_code == 0

    assert play(path, "What is on 2027-01-01?", **{rule: (value,)}) == "A Friday."
    assert lmtest("verify").stdout == "1 cassette: good.\n"


def test_rules_of_a_marker_are_given_as_options(record, lmtest):
    path = record("cassettes/a.yaml", DATED)
    record("cassettes/b.yaml", DATED)

    result = lmtest("rekey", "a.yaml", "--scrub", "date", "--redact", "Friday", "--ignore", "config.seed")

    assert result.stdout.endswith("1 file changed.\n")
    assert play(path, "What is on 2027-01-01?", scrub=("date",)) == "A <redacted>."


def test_it_changes_nothing_the_second_time(record, lmtest, configure):
    path = record("cassettes/a.yaml", SECRET, DATED)
    configure(redact=[r"cust-\d+"], scrub=["date"])
    lmtest("rekey")
    before = path.stat()

    assert lmtest("rekey").stdout == "0 files changed.\n"
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_dry_run_says_what_would_change_and_changes_nothing(record, lmtest, configure):
    path = record("cassettes/a.yaml", SECRET)
    before = path.read_bytes()
    configure(redact=[r"cust-\d+"])

    result = lmtest("rekey", "--dry-run")

    assert result.stdout == (
        "cassettes/a.yaml: 1 of 1 calls would be changed, 1 of their keys\n1 file would be changed.\n"
    )
    assert path.read_bytes() == before


def test_requests_that_are_one_now_keep_their_order_and_are_told(record, lmtest, configure):
    path = record("cassettes/a.yaml", ("On 2026-11-20?", "first"), PLAIN, ("On 2026-11-21?", "second"))
    lines = [Index(path).line(entry) for entry in Index(path).entries]
    configure(scrub=["date"])

    result = lmtest("rekey")

    first, _, second = Index(path).entries
    assert f"the requests on lines {lines[0]} and {lines[2]} are one now ({first.key[:12]})" in result.stdout
    assert first.key == second.key
    assert [Index(path).read(each).said[0]["message"]["parts"][0]["text"] for each in (first, second)] == [
        "first",
        "second",
    ]


def test_what_waits_to_be_accepted_is_changed_too(record, lmtest, configure, project):
    for name in ("a.yaml", "a.new.yaml", "a.failed.yaml"):
        record(f"cassettes/{name}", SECRET)
    configure(redact=[r"cust-\d+"])

    assert lmtest("rekey").stdout.endswith("3 files changed.\n")
    assert not [path for path in (project / "cassettes").iterdir() if "cust-1234" in path.read_text()]


def test_a_secret_in_media_leaves_with_its_blob(record, lmtest, configure, project):
    path = record("cassettes/a.yaml", PLAIN, media=base64.b64encode(b"a picture").decode())
    text = path.read_text().replace("image/png", "text/plain").replace("type: image", "type: document")
    path.write_text(text)
    (blob,) = (project / "cassettes/blobs").iterdir()
    content = b"see cust-1234"
    name = f"{hashlib.sha256(content).hexdigest()}.txt"
    (blob.parent / name).write_bytes(content)
    blob.unlink()
    path.write_text(path.read_text().replace(blob.name, name))
    assert lmtest("verify", "--accept").exit_code == 0
    configure(redact=[r"cust-\d+"])

    lmtest("rekey")

    (left,) = (project / "cassettes/blobs").iterdir()
    assert left.read_bytes() == b"see <redacted>"
    assert lmtest("verify").stdout == "1 cassette: good.\n"


def test_an_edit_by_hand_is_not_hidden(record, lmtest, configure):
    path = record("cassettes/a.yaml", SECRET)
    path.write_text(path.read_text().replace("is Jane", "is Joan"))
    before = path.read_bytes()
    configure(redact=[r"cust-\d+"])

    result = lmtest("rekey")

    assert result.exit_code == 1
    assert "was edited after it was recorded" in result.stderr
    assert "lmtest verify --accept cassettes/a.yaml" in result.stderr
    assert result.stdout == "0 files changed, 1 left as they were.\n"
    assert path.read_bytes() == before


def test_a_rule_that_changes_what_it_changed_is_refused(record, lmtest, configure):
    path = record("cassettes/a.yaml", PLAIN)
    before = path.read_bytes()
    configure(scrub=[r"[a-z]+"])

    result = lmtest("rekey")

    assert result.exit_code == 1
    assert "again when they are applied twice" in result.stderr
    assert path.read_bytes() == before


def test_a_place_in_a_list_cannot_be_left_out_of_what_may_lack_it(record, lmtest, configure):
    record("cassettes/a.yaml", PLAIN)
    configure(ignore=["messages[0]"])

    assert "leaves out a place in a list" in str(lmtest("rekey").exception)


def test_a_missing_blob_leaves_the_file_as_it_was(record, lmtest, configure, project):
    path = record("cassettes/a.yaml", SECRET, media=base64.b64encode(b"a picture").decode())
    next((project / "cassettes/blobs").iterdir()).unlink()
    before = path.read_bytes()
    configure(redact=[r"cust-\d+"])

    assert "this blob is missing" in lmtest("rekey").stderr
    assert path.read_bytes() == before
