"""`lmtest show`, as its user sees it."""

from __future__ import annotations

import base64

from lmtest.cassette.index import Index


def test_a_cassette_reads_like_a_conversation(record, lmtest):
    path = record("cassettes/a.yaml", ("Why?", "Because.\n\nThat is why."))

    lines = [line for line in lmtest("show", path).stdout.splitlines() if line]

    assert lines[0].startswith(f"{Index(path).entries[0].key[:12]}, line 7 ──")
    assert lines[1] == "gemini/gemini-2.5-flash · 12 → 3 tokens"
    assert lines[2:] == ["user:", "  Why?", "assistant:", "  Because.", "  That is why."]


def test_one_call_is_shown_by_the_beginning_of_its_key(record, lmtest):
    path = record("cassettes/a.yaml", ("Why?", "Because."), ("How?", "So."))

    result = lmtest("show", path, Index(path).entries[1].key[:8].upper())

    assert "How?" in result.stdout
    assert "Why?" not in result.stdout


def test_a_key_that_is_not_there_names_those_that_are(record, lmtest):
    path = record("cassettes/a.yaml", ("Why?", "Because."))

    result = lmtest("show", path, "zzz")

    assert f"Recorded: {Index(path).entries[0].key[:12]}." in str(result.exception)


def test_media_is_shown_by_its_file(record, lmtest, project):
    path = record("cassettes/a.yaml", ("What?", "A picture."), media=base64.b64encode(b"a picture").decode())
    [blob] = (project / "cassettes/blobs").iterdir()

    assert f"[image image/png: blob:{blob.name}]" in lmtest("show", path).stdout.replace("\n", "").replace("  ", "")
