"""Fields that are named like a credential: whatever they hold is taken out, in data and in JSON inside of a text."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import lmtest
from lmtest.cassette.fingerprint import fingerprint, normalise
from lmtest.cassette.interaction import Result
from lmtest.cassette.redact import Redactor
from lmtest.modes import Mode

REDACTOR = Redactor(environ={})
NAMES = st.sampled_from(
    ["password", "api_key", "Authorization", "client-secret", "secret", "credentials", "accessToken"]
)
HELD = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: not text.startswith("#/$defs/"))
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda each: st.lists(each, min_size=1) | st.dictionaries(st.text(st.characters(codec="ascii")), each, min_size=1),
    max_leaves=5,
)
SCHEMA = {"type": "string", "description": "How to log in.", "minLength": 8}


def escaped(text, times):
    """A text inside of a text inside of a text."""
    for _ in range(times):
        text = json.dumps(text)[1:-1]
    return text


@pytest.mark.parametrize(
    "held", ["x", "hunter2", "correct horse battery", 1234, 0, -1.5, ["hunter2"], {"value": "hunter2"},
             {"type": "hunter2"}, [{"user": "ada"}], {**SCHEMA, "default": "hunter2"}, 'with "quotes" and \\'],
)  # fmt: skip
def test_what_such_a_field_holds_is_taken_out_whatever_it_is(held):
    clean = {"password": "<redacted>", "user": "ada"}

    assert REDACTOR.value({"password": held, "user": "ada"}) == clean
    assert json.loads(REDACTOR.text(json.dumps({"password": held, "user": "ada"}))) == clean


@given(NAMES, HELD, st.integers(0, 3), st.sampled_from([None, 2]))
@example("password", {"": 0}, 1, None)
def test_it_is_taken_out_however_deep_the_json_is_escaped(name, held, times, indent):
    whole = escaped(json.dumps({"before": "[1, {", name: held, "after": ["x"]}, indent=indent), times)
    clean = escaped(json.dumps({"before": "[1, {", name: "<redacted>", "after": ["x"]}, indent=indent), times)

    assert REDACTOR.text(f"Say {whole}, please.") == f"Say {clean}, please."


@given(NAMES, HELD)
def test_redacting_it_twice_changes_nothing_more(name, held):
    once = REDACTOR.text(f'He said {{"{name}": {held!r}}} and {{"{name}": {json.dumps(held)}')

    assert REDACTOR.text(once) == once


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("{'password': 'hunter2', 'n': 1}", "{'password': '<redacted>', 'n': 1}"),
        (r"{'password': 'it\'s', 'n': 1}", "{'password': '<redacted>', 'n': 1}"),
        ('{"password" : "hunter2"}', '{"password" : "<redacted>"}'),
        ('connect(user="ada", password="hunter2")', 'connect(user="ada", password="<redacted>")'),
        ('password: "correct horse"\nuser: ada', 'password: "<redacted>"\nuser: ada'),
        ('{"Authorization": "Bearer abcdefghijk"}', '{"Authorization": "Bearer <redacted>"}'),
        ('{"password": "hunter2', '{"password": "<redacted>'),
        ('{"a": {"password": {"b": ["hunter2', '{"a": {"password": "<redacted>"'),
        ('{"password": [1, 2\n\nAnd then?', '{"password": "<redacted>"\n\nAnd then?'),
    ],
)
def test_other_languages_and_what_was_cut_short(text, clean):
    assert REDACTOR.text(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        '{"password": "", "secret": null, "credentials": {}, "api_key": [], "authorization": true}',
        json.dumps({"type": "object", "properties": {"password": SCHEMA}, "required": ["password"]}),
        json.dumps({"properties": {"secret": {"$ref": "#/$defs/Secret"}, "api_key": {"anyOf": [{"type": "null"}]}}}),
        escaped(json.dumps({"properties": {"password": SCHEMA}}, indent=2), 1),
        'input("Enter password: ") and then print("x")',
        'say("password: ", "user: ")',
        "def login(user: str, password: str) -> None: ...",
        '"password", "user": ["ada"]',
        'a "secret" is what nobody knows',
    ],
)
def test_what_tells_nothing_is_left(text):
    assert REDACTOR.text(text) == text
    if text.startswith('{"'):
        assert REDACTOR.value(json.loads(text)) == json.loads(text)


@pytest.mark.parametrize(
    "name",
    ["max_tokens", "max_completion_tokens", "token_count", "tokens", "total_tokens", "input_tokens", "token",
     "tokenizer", "password_hint", "secretary", "key", "keys", "keyword", "cookies", "authorized", "credentialed",
     "apikeys"],
)  # fmt: skip
@pytest.mark.parametrize("held", [7, "seven", [7], {"n": 7}])
def test_a_name_that_only_holds_such_a_word_is_none(name, held):
    assert REDACTOR.value({name: held}) == {name: held}
    assert REDACTOR.text(json.dumps({name: held})) == json.dumps({name: held})


@given(HELD, st.sampled_from(["password", "tokens"]), st.integers(0, 1))
def test_lmtest_redact_the_key_and_the_recorder_are_one(held, name, times):
    value = {"model": "m", name: held, "text": escaped(json.dumps({name: held}), times)}

    assert lmtest.redact(value) == REDACTOR.value(value) == normalise(value, redactor=REDACTOR)


# ── recordings from before ───────────────────────────────────────────────────────────────────────────────────────────

ASKED = {
    "model": "gemini/gemini-2.5-flash",
    "messages": [{"role": "user", "parts": [{"type": "text", "text": 'Log in: {"password": "hunter2"}'}]}],
}
TOKEN = "xai-" + "Ab3dEf6hIj9kLm2nOp5qRs8t" * 3


KNOWN_THEN = {
    **ASKED,
    "system": 'api_key=abcdefgh12, {"secret": "abcdefgh12"}, ' + "sk-" + "proj-abcdefghijklmnopqrstuvwxyz",
}


@pytest.mark.parametrize(
    ("request_", "key"),
    [
        (ASKED, "01e40dc26085030a8e160b32344a36dea5e8826e1a727199ceab24611c942b1e"),
        (KNOWN_THEN, "5403d688a3680a03eecc380518e080cc7efe7e6dd4d4722f4afb75b8032bf009"),
        (
            {"tool": "login", "arguments": {"password": 1234}},
            "24fe694c8e52913326e08a7ea7b22b798bb8bf847261ef4f0d2c52d22fd29166",
        ),
    ],
)
def test_the_key_that_a_request_had_under_the_first_edition_never_changes(request_, key):
    assert fingerprint(normalise(request_, redactor=Redactor(environ={}, edition=1))) == key


@pytest.fixture
def then(recorded):
    """Makes what was recorded of a request under an edition of the rules."""

    def then(request, edition=1):
        normal = normalise(request, redactor=Redactor(environ={}, edition=edition))
        outcome = {"outcome": Result(value="in")} if "tool" in request else {}
        return replace(recorded(), key=fingerprint(normal), request=normal, **outcome)

    return then


@pytest.mark.parametrize(
    "request_", [ASKED, {**ASKED, "system": f"Use {TOKEN}."}, {"tool": "login", "arguments": {"password": 1234}}]
)
def test_a_recording_from_when_less_was_known_for_a_secret_is_found(open_cassette, then, write, request_):
    cassette = open_cassette(write(then(request_)), Mode.REPLAY)

    assert then(request_).key != then(request_, edition=2).key
    assert cassette.play(request_) == then(request_)
    with pytest.raises(lmtest.CassetteExhausted, match="recorded 1 time and was asked for once more"):
        cassette.play(request_)


def test_a_recording_under_todays_key_goes_before_one_from_then(open_cassette, then, write):
    cassette = open_cassette(write(then(ASKED), then(ASKED, edition=2)), Mode.REPLAY)

    assert [cassette.play(ASKED).key for _ in range(2)] == [then(ASKED, edition=2).key, then(ASKED).key]


def test_a_miss_tells_no_secret_of_a_recording_from_then(open_cassette, then, write):
    cassette = open_cassette(write(then(ASKED)), Mode.REPLAY)

    with pytest.raises(lmtest.CassetteMiss, match="differs in 1 place") as caught:
        cassette.play({**ASKED, "system": "Be brief."})
    assert "hunter2" not in str(caught.value)
