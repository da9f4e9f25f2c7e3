"""Finding interactions in a file, and refusing what is no cassette."""

from __future__ import annotations

import contextlib
import gc
import warnings

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmtest.cassette import codec, index
from lmtest.cassette.index import Index
from lmtest.errors import CassetteFormatError, CassetteNotFound


def read_all(path):
    opened = Index(path)
    return [opened.read(entry) for entry in opened.entries]


@pytest.fixture
def path(write, recorded):
    return write(recorded(), recorded("Why?\n\nSay it in full.", "Because.\n---\nkey: no mark"), recorded("And?", "é"))


def test_every_interaction_is_found_in_the_files_order(path, recorded):
    assert [entry.key for entry in Index(path).entries] == [
        recorded().key,
        recorded("Why?\n\nSay it in full.").key,
        recorded("And?").key,
    ]


def test_an_interaction_is_read_from_its_place(path, recorded):
    assert read_all(path)[2] == recorded("And?", "é")


def test_a_line_is_where_an_editor_finds_the_document(path):
    opened = Index(path)

    lines = path.read_text().splitlines()
    assert all(lines[opened.line(entry) - 1] == f'key: "{entry.key}"' for entry in opened.entries)


def test_windows_line_ends_change_nothing(path, recorded):
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))

    assert read_all(path)[0] == recorded()


def test_a_byte_order_mark_changes_nothing(path, recorded):
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())

    assert read_all(path)[0] == recorded()


@pytest.mark.parametrize("chunk", [96, 97, 101, 128, 1000])
def test_a_mark_is_found_wherever_the_reading_is_cut(path, monkeypatch, chunk):
    whole = Index(path).entries
    monkeypatch.setattr(index, "_CHUNK", chunk)

    assert Index(path).entries == whole


def test_what_was_opened_is_played_though_the_file_is_replaced_meanwhile(path, write, recorded):
    opened = Index(path)
    write(recorded("Quite another question", "x" * 5000))

    assert opened.read(opened.entries[0]) == recorded()


def test_an_index_that_is_dropped_closes_its_file(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Index(path)
        gc.collect()


def test_a_cassette_without_interactions_is_empty(tmp_path, header):
    (tmp_path / "qa.yaml").write_text(codec.encode_header(header))

    assert Index(tmp_path / "qa.yaml").entries == ()


# ── what is no cassette ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(CassetteNotFound, match=r"there is no cassette .*qa\.yaml"):
        Index(tmp_path / "qa.yaml")


def refused(path):
    with pytest.raises(CassetteFormatError) as caught:
        read_all(path)
    assert str(caught.value).startswith(str(path))
    return caught.value


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        (b"", 1, "the file is empty. Name a cassette, or record one here with LM_MODE=record."),
        (b"\n\n\n", 1, "the file is empty"),
        (b"hello\n", 1, "no line 'format: 1' at the top, so this is not an lmtest cassette"),
        (b"- a\n- b\n", 1, "no line 'format: 1' at the top, so this is not an lmtest cassette"),
        (b"\x00" * 5000, 1, "this is not YAML"),
        (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", 1, "this is not UTF-8 text, so not a cassette"),
        ("format: 1\n".encode("utf-16"), 1, "this is not UTF-8 text, so not a cassette. It looks like UTF-16"),
        (b"\n".join([b"<html>"] * 50_000), 1, "no line 'format: 1' at the top"),
        (b'{"version": 1, "interactions": []}', 1, "a cassette of another recorder, such as vcrpy or cassetter"),
        (b"interactions:\n- request: {}\nversion: 1\n", 1, "a cassette of another recorder, such as vcrpy"),
    ],
    ids=["empty", "blank", "a word", "a list", "zeros", "binary", "utf-16", "html", "json", "vcr"],
)
def test_a_file_that_is_no_cassette_is_refused(tmp_path, content, line, problem):
    (tmp_path / "qa.yaml").write_bytes(content)

    error = refused(tmp_path / "qa.yaml")

    assert problem in str(error)
    assert error.line is None or error.line >= line


def test_a_directory_is_refused(tmp_path):
    assert "cannot be read: Is a directory" in str(refused(tmp_path))


def test_a_gigabyte_is_refused_unread(tmp_path):
    with (tmp_path / "qa.yaml").open("wb") as file:
        file.truncate(1 << 30)

    assert "has 1,073,741,824 bytes, more than" in str(refused(tmp_path / "qa.yaml"))


def test_a_large_file_without_a_mark_is_refused_without_holding_it(tmp_path):
    with (tmp_path / "qa.yaml").open("wb") as file:
        file.truncate(index.LARGEST)

    assert "this is not YAML" in str(refused(tmp_path / "qa.yaml"))


def test_a_file_cut_short_says_where(path):
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"digest")])

    error = refused(path)

    assert error.line == path.read_text().count("\n")
    assert "does not end with its digest: the file was cut short" in str(error)
    assert "Restore it from version control, or record it again with LM_MODE=record" in str(error)


@pytest.mark.parametrize("mark", ["<<<<<<< HEAD", "=======", ">>>>>>> feature"])
def test_a_merge_conflict_says_what_to_do(path, mark):
    lines = path.read_text().split("\n")
    lines.insert(20, mark)
    path.write_text("\n".join(lines))

    error = refused(path)

    assert error.line == 21
    assert "a merge conflict is not resolved" in str(error)
    assert "git checkout -m" in str(error)


@pytest.mark.parametrize("key", ["", 'key: "abc"\n', "request: {}\n", f'key: "{"A" * 64}"\n'])
def test_a_document_without_a_key_is_refused(path, key):
    with path.open("a") as file:
        file.write(f"---\n{key}")

    assert "an interaction must start with its key" in str(refused(path))


def test_a_document_that_is_nothing_but_a_key_does_not_hide_the_next(path):
    path.write_text(path.read_text().replace("---\nkey", f'---\nkey: "{"0" * 64}"\n---\nkey', 1))

    assert "does not end with its digest" in str(refused(path))


def test_what_is_mangled_by_hand_says_in_which_line(path):
    lines = path.read_text().split("\n")
    place = next(number for number, line in enumerate(lines) if "input_tokens" in line)
    lines[place] = "    input_tokens: [12"
    path.write_text("\n".join(lines))

    error = refused(path)

    assert "this is not YAML" in str(error)
    assert place < error.line <= place + 3


def test_nothing_in_a_file_is_ever_run(path, tmp_path):
    canary = tmp_path / "canary"
    tag = f"!!python/object/apply:os.mkdir ['{canary}']"
    path.write_text(path.read_text().replace("reason: stop", f"reason: {tag}", 1))

    assert "python/object/apply:os.mkdir' is refused" in str(refused(path))
    assert not canary.exists()


PIECES = st.sampled_from(
    [b"\n---\n", b"\nkey: ", b"*a", b"&a ", b"!!python/name:os.system ", b"\x00", b"\xff", b"\r", b"\n", b"  ", b"[",
     b"{", b"|", b">-\n", b"? ", b'"', b"'", b"<<: ", b"=======\n", b"\xe2\x80\xa8", b"\xed\xa0\x80", b"1e999", b"-",
     b"\t"]
)  # fmt: skip
MUTATIONS = st.lists(
    st.tuples(st.sampled_from(["insert", "delete", "replace", "cut"]), st.floats(0, 1), st.integers(1, 40), PIECES),
    min_size=1,
    max_size=4,
)


def mutated(content, mutations):
    for kind, where, length, piece in mutations:
        at = int(where * len(content))
        rest = content[at + length :] if kind in {"delete", "replace"} else b"" if kind == "cut" else content[at:]
        content = content[:at] + (piece if kind in {"insert", "replace"} else b"") + rest
    return content


@settings(max_examples=500)
@given(MUTATIONS)
@example([("insert", 0.5, 1, b"1e999")])
def test_a_mutated_file_is_read_or_refused_by_name_and_nothing_else(path, tmp_path, mutations):
    other = tmp_path / "mutated.yaml"
    other.write_bytes(mutated(path.read_bytes(), mutations))
    with contextlib.suppress(CassetteFormatError):
        opened = Index(other)
        for entry in opened.entries:
            interaction = opened.read(entry)
            assert interaction.usage is not None
            assert isinstance(interaction.model, str)
            assert codec.is_intact(opened.text(entry), path=other) in {True, False}


def test_a_file_that_ends_between_two_documents_is_a_cassette_of_fewer(path):
    whole = Index(path)
    path.write_bytes(path.read_bytes()[: whole.entries[-1].start - len("---\n")])

    assert [entry.key for entry in Index(path).entries] == [entry.key for entry in whole.entries[:-1]]
