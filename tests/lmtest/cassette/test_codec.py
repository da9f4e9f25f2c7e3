"""Interactions to documents and back."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmtest.cassette import codec
from lmtest.cassette.fingerprint import fingerprint
from lmtest.cassette.index import Index
from lmtest.cassette.interaction import EventStream, Failure, Header, Interaction, Reply, StreamedEvent
from lmtest.errors import CassetteFormatError
from lmtest.modes import Mode

FILE = Path("qa.yaml")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=3)
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant"]), "parts": st.lists(OBJECTS, max_size=2)}
) | st.builds(
    lambda role, text: {"role": role, "parts": [{"type": "text", "text": text}]},
    st.sampled_from(["user", "assistant", "tool"]),
    TEXT,
)
EVENTS = st.lists(
    st.builds(StreamedEvent, at=st.floats(0, 60), event=st.dictionaries(TEXT, JSON, min_size=1)), max_size=3
).map(tuple)
OUTCOMES = (
    st.builds(Reply, response=OBJECTS | st.builds(lambda message: {"message": message}, MESSAGES))
    | st.builds(EventStream, events=EVENTS)
    | st.builds(
        Failure,
        code=TEXT,
        message=TEXT,
        status=st.none() | st.integers(100, 599),
        retry_after=st.none() | st.floats(0, 100),
        provider_code=st.none() | TEXT,
        events=EVENTS,
    )
)
INTERACTIONS = st.builds(
    lambda request, **fields: Interaction(key=fingerprint(request), request=request, **fields),
    request=OBJECTS | st.builds(lambda messages: {"model": "m", "messages": messages}, st.lists(MESSAGES)),
    outcome=OUTCOMES,
    provider=st.none() | TEXT,
    cost=st.none() | st.decimals(0, 100, allow_nan=False, allow_infinity=False),
    latency=st.none() | st.floats(0, 1000),
    thought=st.none() | st.just("reasoning"),
    recorded_at=st.none() | TEXT,
)


def document(interaction):
    return codec.encode(interaction).removeprefix("---\n")


@given(INTERACTIONS)
def test_an_interaction_comes_back_as_it_was(interaction):
    assert codec.decode(document(interaction), path=FILE) == interaction


@given(INTERACTIONS)
def test_it_comes_back_the_same_by_way_of_the_yaml_parser(interaction):
    # A comment is nothing the quick way reads.
    assert codec.decode(f"{document(interaction)}# seen\n", path=FILE) == interaction


@given(INTERACTIONS)
def test_what_was_written_is_intact(interaction):
    assert codec.is_intact(document(interaction), path=FILE)


def test_a_document_starts_with_its_key_and_ends_with_its_digest(recorded):
    lines = codec.encode(recorded()).splitlines()

    assert lines[:2] == ["---", f'key: "{recorded().key}"']
    assert lines[-1].startswith('digest: "')


def test_a_message_of_one_text_is_written_as_one_line(recorded):
    text = codec.encode(recorded("Why?", "Because."))

    assert '    - user: "Why?"\n' in text
    assert "  message:\n    assistant: Because.\n" in text


@pytest.mark.parametrize(
    ("was", "now"),
    [("Paris", "Lyon"), ("input_tokens: 12", "input_tokens: 13"), ("France", "Spain"), ("latency: 0.25", "latency: 1")],
)
def test_an_edit_by_hand_is_noticed_and_still_read(recorded, was, now):
    edited = document(recorded()).replace(was, now)

    assert not codec.is_intact(edited, path=FILE)
    assert codec.decode(edited, path=FILE).key == recorded().key


@given(INTERACTIONS, st.data())
def test_a_byte_that_is_changed_is_always_noticed(interaction, data):
    text = document(interaction)
    place = data.draw(st.integers(0, len(text) - 2))
    other = data.draw(st.characters(exclude_categories=["Cs"]).filter(lambda char: char != text[place]))

    try:
        assert not codec.is_intact(f"{text[:place]}{other}{text[place + 1 :]}", path=FILE)
    except CassetteFormatError:
        pass  # noticed, too


@given(INTERACTIONS)
def test_a_request_that_is_at_hand_is_not_read_and_the_rest_is(interaction):
    assert codec.decode(document(interaction), path=FILE, request=interaction.request) == interaction


def test_an_edited_document_is_read_whole_though_its_request_is_at_hand(recorded):
    edited = document(recorded()).replace("France", "Spain")

    assert codec.decode(edited, path=FILE, request=recorded().request).request != recorded().request


def test_line_ends_of_windows_are_no_edit(recorded):
    assert codec.is_intact(document(recorded("Why?\n\nSay it.")).replace("\n", "\r\n"), path=FILE)


WORDS = TEXT | st.sampled_from(["stand-in", "true", "null", "no", "~", "a: b", "a #b", "0.1.0", "1e3", "é", "a-", "-a"])


EXECUTED = st.fixed_dictionaries(
    {"program": WORDS},
    optional={
        "version": st.integers(0, 20),
        "signature": WORDS,
        "inputs": st.dictionaries(WORDS, WORDS | st.booleans() | st.integers() | st.none(), max_size=3),
    },
)


@given(
    st.builds(
        lambda **each: Header(format=1, **each),
        recorded_at=WORDS,
        source=WORDS,
        lmtest=WORDS,
        test=WORDS,
        executed=st.none() | EXECUTED,
    )
)
def test_a_header_is_read_the_same_either_way(header):
    text = codec.encode_header(header)

    assert codec.decode_header(text, path=FILE) == codec.decode_header(f"{text}# seen\n", path=FILE) == header


def test_a_cost_keeps_every_digit(recorded):
    interaction = recorded(cost=Decimal("0.00000012345678901234567890"))

    assert codec.decode(document(interaction), path=FILE).cost == Decimal("0.00000012345678901234567890")


@pytest.mark.parametrize(
    "text",
    [
        'key: "k"\n',
        'key: "k"\nrequest: {}\n',
        'key: "k"\nrequest: []\nreply: {}\n',
        'key: "k"\nrequest: {}\nreply: text\n',
        'key: "k"\nrequest: {}\nreply: []\n',
        'key: "k"\nrequest: {}\nstream: [1]\n',
        'key: "k"\nrequest: {}\nstream: [{at: x, event: {}}]\n',
        'key: "k"\nrequest: {}\nstream: [{at: 1, event: []}]\n',
        'key: "k"\nrequest: {}\nfailure: {code: x}\n',
        'key: "k"\nrequest: {}\nfailure: {code: x, message: y, colour: z}\n',
        'key: "k"\nrequest: {}\nreply: {}\ncost: cheap\n',
        'key: "k"\nrequest: {}\nreply: {}\ncost: [1]\n',
        'key: "k"\nrequest: {}\nreply: {}\nlatency: slow\n',
        "key: 12\nrequest: {}\nreply: {}\n",
        'key: "k"\nrequest: {messages: 3}\nreply: {}\n',
        'key: "k"\nrequest: {}\nreply: {}\nprovider: [x]\n',
        'key: "k"\nrequest: {}\nreply: {usage: 3}\n',
    ],
)
def test_a_document_that_is_not_whole_is_refused_by_its_line(text):
    with pytest.raises(CassetteFormatError) as caught:
        codec.decode(text, path=FILE, line=7)

    assert caught.value.line == 7
    assert str(caught.value).startswith("qa.yaml:7: this interaction is not whole")
    assert str(caught.value).endswith("record it again with LM_MODE=record.")


def test_a_header_comes_back_as_it_was(header):
    assert codec.decode_header(codec.encode_header(header), path=FILE) == header


@pytest.mark.parametrize("source", ["true", "null", "a\\\\u0062", "é", "a\x85b", "y"])
@pytest.mark.parametrize("quotes", ["", '"'])
def test_a_header_edited_by_hand_says_what_yaml_says(header, source, quotes):
    text = codec.encode_header(header).replace("source: stand-in", f"source: {quotes}{source}{quotes}")

    def read(text):
        try:
            return codec.decode_header(text, path=FILE)
        except CassetteFormatError as error:
            return str(error)

    assert read(text) == read(f"{text}# seen\n")


def test_what_a_later_lmtest_adds_to_a_header_stays_in_it(header):
    text = codec.encode_header(header) + "colour: blue\nshades: [1, 2]\n"
    read = codec.decode_header(text, path=FILE)

    assert read == replace(header, further={"colour": "blue", "shades": [1, 2]})
    assert codec.decode_header(codec.encode_header(read), path=FILE) == read


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello: world\n", "qa.yaml:1: no line 'format: 1' at the top, so this is not an lmtest cassette"),
        ("format: one\n", "no line 'format: 1' at the top"),
        ("format: true\n", "no line 'format: 1' at the top"),
        ("format: 1\n", "qa.yaml:1: the header is not whole"),
        ("format: 1\nrecorded_at: 3\nsource: x\nlmtest: '1'\n", "qa.yaml:1: the header is not whole"),
        (
            "format: 2\nlmtest: '9.1'\n",
            "of format 2, written by lmtest 9.1; this lmtest knows formats up to 1. Upgrade",
        ),
        ("format: -3\n", "of format -3, and this lmtest no longer reads format -3. Record it again"),
        ("format: -1000000000\n", "of format -1000000000, and this lmtest no longer reads"),
    ],
)
def test_a_header_that_cannot_be_used_is_refused(text, message):
    with pytest.raises(CassetteFormatError) as caught:
        codec.decode_header(text, path=FILE)

    assert message in str(caught.value)


def test_a_file_of_an_older_format_is_migrated_as_it_is_read(write, recorded, monkeypatch):
    # Format 0 is invented: in it an answer was called 'response'.
    path = write(recorded())
    path.write_text(path.read_text().replace("format: 1", "format: 0").replace("\nreply:", "\nresponse:"))
    monkeypatch.setitem(
        codec.MIGRATIONS, 0, lambda old: {("reply" if name == "response" else name): old[name] for name in old}
    )

    index = Index(path)

    assert index.header.format == 0
    assert index.read(index.entries[0]) == recorded()


def test_what_follows_an_older_recording_makes_the_file_one_of_the_newest_format(
    write, recorded, open_cassette, header, monkeypatch
):
    monkeypatch.setitem(
        codec.MIGRATIONS, 0, lambda old: {("reply" if name == "response" else name): old[name] for name in old}
    )
    path = write(recorded())
    cassette = open_cassette(path, mode=Mode.RECORD)
    path.write_text(path.read_text().replace("format: 1", "format: 0").replace("\nreply:", "\nresponse:"))
    cassette.record(recorded("And of Spain?", "Madrid"), source="stand-in")
    cassette.save(header)

    index = Index(path)

    assert index.header == replace(header, format=1)
    assert [index.read(entry) for entry in index.entries] == [recorded(), recorded("And of Spain?", "Madrid")]


def test_a_migration_that_fails_names_the_interaction(monkeypatch):
    monkeypatch.setitem(codec.MIGRATIONS, 0, lambda old: old["never there"])

    with pytest.raises(CassetteFormatError, match=r"qa\.yaml:5: this interaction is not whole"):
        codec.decode('key: "k"\nreply: {}\n', path=FILE, line=5, version=0)
