"""Personal data, which ``redact`` knows by name and nobody else asks for."""

from __future__ import annotations

import json
import sys
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import lmtest
from lmtest.cassette import personal
from lmtest.cassette.interaction import EventStream, StreamedEvent
from lmtest.cassette.redact import Redactor
from lmtest.cassette.streamed import changed
from lmtest.cassette.verify import verify
from lmtest.errors import ConfigurationError
from lmtest.modes import Mode

REDACTOR = Redactor(environ={}, patterns=personal.NAMES)

# The examples of the standards and of the issuers; nobody's.
TRUE = {
    "email": ["ada@example.org", "b.c+news@mail.example.co.uk", "ünal@exämple.org", "A_B@EXAMPLE.ORG"],
    "phone": ["+1 650 253 0000", "+49 30 901820", "+44 20 7946 0958", "+33 1 42 68 53 00"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819", "fr1420041010050500013m02606"],
    "card": ["4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005", "3782 822463 10005", "6011000990139424"],
}
ALL = [(kind, each) for kind, several in TRUE.items() for each in several]
NEARLY = [
    "git@github.com:org/repository.git", "icon@2x.png", "react@18.2.0", "@pytest.mark.lmtest", "https://me@host.example/",
    "ada at example", "a@b", "2026-11-30 12:00:00", "1733000000", "+1 234", "max_tokens=4096",
    "DE88 3704 0044 0532 0130 00", "XX12 3456 7890 1234 5678", "4111 1111 1111 1112", "1733000000000000",
    "4111111111111111.5", "9999 9999 9999 9995", "0.4111111111111111", "12345678901234567890",
]  # fmt: skip


@pytest.mark.parametrize(("kind", "said"), ALL)
def test_it_is_taken_out_where_it_is_asked_for(kind, said):
    for text in ("{}", "He is {}.", "a {}, b", "x\n{}\ny", "({})", '{{"to": "{}"}}', "12, {}; 12/27"):
        clean = Redactor(environ={}, patterns=[kind]).text(text.format(said))
        assert clean == text.format(f"<redacted:{kind}>")


@pytest.mark.parametrize(("kind", "said"), ALL)
def test_it_is_left_where_it_is_not(kind, said):
    others = [each for each in personal.NAMES if each != kind]

    assert Redactor(environ={}).text(said) == said
    assert Redactor(environ={}, patterns=others).text(said) == said


@pytest.mark.parametrize("text", NEARLY)
def test_what_is_none_is_left(text):
    assert REDACTOR.text(f"see {text} there") == f"see {text} there"


def test_what_stands_around_it_is_left():
    assert REDACTOR.text("To DE89 3704 0044 0532 0130 00 BIC COBADEFF") == "To <redacted:iban> BIC COBADEFF"
    assert REDACTOR.text("In 2024 4111 1111 1111 1111 2025") == "In 2024 <redacted:card> 2025"
    assert REDACTOR.text("12 4111 1111 1111 1111 12/27") == "12 <redacted:card> 12/27"
    assert REDACTOR.text("name,4111111111111111,12/27") == "name,<redacted:card>,12/27"


def test_a_phone_number_without_its_countrys_code_is_known_where_the_country_is_said():
    assert REDACTOR.text("call (650) 253-0000") == "call (650) 253-0000"
    assert Redactor(environ={}, patterns=["phone:US"]).text("call (650) 253-0000") == "call <redacted:phone>"


def test_a_number_becomes_a_text_so_that_json_stays_json():
    value = {"card": 4111111111111111, "n": 41}

    assert REDACTOR.value(value) == {"card": "<redacted:card>", "n": 41}
    assert json.loads(REDACTOR.text(json.dumps(value))) == REDACTOR.value(value)
    assert Redactor(environ={}).value(value) == value


@given(
    st.lists(st.sampled_from([*(said for _, said in ALL), *NEARLY, " ", ", ", "\n", "12", "a", "-", "@"])).map("".join)
)
def test_redacting_twice_changes_nothing_more(text):
    once = REDACTOR.text(text)

    assert REDACTOR.text(once) == once


@given(st.sampled_from(ALL), st.lists(st.integers(0, 40), max_size=6))
@example(ALL[0], [3, 9, 12])
def test_it_is_taken_out_wherever_a_stream_cuts_it(told, cuts):
    kind, said = told
    text = f"It is {said}, I think."
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    cut = [text[start:end] for start, end in pairwise(places)]
    events = [{"type": "delta", "delta": {"type": "text", "text": piece, "part_index": 0}} for piece in cut]
    kept = changed(events, REDACTOR.value, REDACTOR.streamed)

    assert "".join(each["delta"]["text"] for each in kept) == f"It is <redacted:{kind}>, I think."
    assert len(kept) == len(cut)


def test_it_reaches_neither_key_nor_file_and_verify_finds_what_an_older_recording_holds(
    tmp_path, ask, recorded, open_cassette, header
):
    asked, answered = ask("Write to ada@example.org."), "I wrote to ada@example.org."
    path = tmp_path / "qa.yaml"
    before = open_cassette(path, Mode.RECORD)
    before.record(recorded(answer=answered), source="stand-in")
    before.save(header)
    [finding] = verify(path, REDACTOR)
    assert "holds what looks like a secret" in str(finding)
    assert list(verify(path, Redactor(environ={}))) == []

    path.unlink()
    cassette = open_cassette(path, Mode.RECORD, patterns=personal.NAMES)
    cassette.record(recorded("Write to <redacted:email>.", answer=answered), source="stand-in")
    cassette.save(header)
    assert "ada@" not in path.read_text()
    assert list(verify(path, REDACTOR)) == []
    played = open_cassette(path, patterns=personal.NAMES).play(asked)
    assert played.outcome.response["message"]["parts"][0]["text"] == "I wrote to <redacted:email>."


def test_it_is_asked_for_by_the_project(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[tool.lmtest]\nredact = ["email", "phone", "iban", "card"]\n')
    monkeypatch.chdir(tmp_path)

    assert lmtest.redact([said for _, said in ALL]) == [f"<redacted:{kind}>" for kind, _ in ALL]


@pytest.mark.parametrize(("name", "package"), [("phone", "phonenumbers"), ("iban", "stdnum"), ("card", "stdnum")])
def test_a_package_that_is_not_installed_is_named_with_its_extra(name, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError, match=rf"redact='{name}' needs a package .* pip install 'lmtest\[pii\]'"):
        Redactor(environ={}, patterns=[name])
    assert Redactor(environ={}, patterns=["email"]).text("ada@example.org") == "<redacted:email>"


def test_a_country_that_is_none_is_named():
    with pytest.raises(ConfigurationError, match="there is no country 'XY'; say it in two letters, as in 'phone:DE'"):
        Redactor(environ={}, patterns=["phone:XY"])


def test_a_stream_that_was_left_holds_none_of_it_either(recorded, open_cassette, tmp_path):
    event = {"type": "delta", "delta": {"type": "text", "text": "ada@example.org", "part_index": 0}}
    cassette = open_cassette(tmp_path / "qa.yaml", Mode.RECORD, patterns=["email"])
    left = EventStream(events=(StreamedEvent(at=0.1, event=event),), left=True)
    cassette.record(recorded(outcome=left), source="stand-in")

    [kept] = cassette.recorded
    assert kept.outcome.events[0].event["delta"]["text"] == "<redacted:email>"
