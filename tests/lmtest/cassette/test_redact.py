"""Secrets never reach a file."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import lmtest
from lmtest.cassette import shapes
from lmtest.cassette.redact import Redactor
from lmtest.errors import ConfigurationError

# Made up here, in the shape of the real ones.
GOOGLE = "AI" + "zaSy" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q"
OPENAI = "sk-" + "proj-" + "abcdefghijklmnopqrstuvwxyz012345"
ANTHROPIC = "sk-" + "ant-" + "api03-abcdefghijklmnopqrstuvwxyz"
GITHUB = "gh" + "p_" + "abcdefghijklmnopqrstuvwxyz0123456789"
AWS = "AK" + "IA" + "IOSFODNN7EXAMPLE"
SLACK = "xox" + "b-123456789012-abcdefghijklmnopqrstuvwx"
JWT = (
    "ey" + "J0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
)
TOKENS = [GOOGLE, OPENAI, ANTHROPIC, GITHUB, AWS, SLACK, JWT]

REDACTOR = Redactor(environ={"GEMINI_API_KEY": "hush-hush-hush", "DB_PASSWORD": "hush-hush", "HOME": "/home/me"})
PIECES = st.sampled_from(
    [*TOKENS, "hush-hush-hush", "Bearer abcdefghijkl", "?key=abcdefgh12", 'api_key="abcdefgh12"', "password: abcdefgh",
     "Cookie: ", "sid=", "abc;", "://u:", "pw@", "Basic ", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----",
     '"secret": "', "\\", "authorization: ",
     " ", "\n", "plain", "é", "<redacted>", "key", "token=", "x" * 40, "/", ".", "-", "=", '"']
)  # fmt: skip


# By the provider, a key of its shape and length; and what only begins like one.
PROVIDERS = {
    "xAI": ("xai-" + "Ab3dEf6hIj9kLm2nOp5q" * 4, "xai-grok-4-fast-reasoning"),
    "Perplexity": ("pplx-" + "Ab3dEf6hIj9k" * 4, "pplx-70b-online-is-a-model-of-its"),
    "NVIDIA": ("nvapi-" + "Ab3dEf6h-j9kLm2n" * 4, "nvapi-key"),
    "Cerebras": ("csk-" + "ab3def6hij9k" * 4, "task-csk-of-the-day-is-this-one"),
    "Replicate": ("r8_" + "Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb7cD", "r8_im2col"),
    "Fireworks": ("fw_" + "Ab3dEf6hIj9kLm2nOp5qRs8t", "fw_config_of_a_long_name_it_is"),
    "Together": ("tgp_v1_" + "Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb7cDe0fGh3", "tgp_v1_beta"),
    "Databricks": ("dapi" + "0123456789abcdef" * 2, "dapi-of-the-house-is-not-what-it-was"),
    "Amazon Bedrock": ("ABSK" + "Ab3dEf6hIj9k" * 10 + "Ab==", "ABSKETCH"),
    "GitHub Models": ("github_pat_" + "Ab3dEf6hIj9kLm2nOp5qRs_" + "Ab3dEf6hIj9k" * 5, "github_pat_name"),
    "Google, by OAuth": ("ya29." + "a0AfB3dEf6hIj9kLm2nOp5qRs8t", "ya29.md"),
    "Google, bound to an account": ("AQ." + "Ab8RN6" + "Ab3dEf6hIj9k" * 4, "AQ.pdf"),
    "LangSmith": ("lsv2_" + "pt_" + "0123456789abcdef" * 2 + "_0123456789", "lsv2_pt_none"),
    "Google": (GOOGLE, "AIzawa"),
    "OpenAI, Anthropic, OpenRouter, DeepSeek and others": (OPENAI, "sk-learn"),
    "Hugging Face": ("hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh", "hf_transfer"),
    "Groq": ("gsk_" + "Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4z" * 2, "gsk_of_a_name_that_is_a_long_one_and_no_key_at_all"),
}


@pytest.mark.parametrize("shape", shapes.PROVIDERS, ids=lambda shape: shape.provider)
def test_a_key_of_each_provider_in_the_table_is_taken_out_and_what_begins_like_one_is_left(shape):
    key, other = PROVIDERS[shape.provider]

    assert Redactor(environ={}).text(f"use {key} please") == "use <redacted> please"
    assert Redactor(environ={}).text(f"use {other} please") == f"use {other} please"
    assert shape.source.startswith("https://")


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_of_a_known_shape_is_taken_out(token):
    assert REDACTOR.text(f"use {token} please") == "use <redacted> please"


@pytest.mark.parametrize("token", TOKENS)
def test_nothing_of_it_stays_whatever_stands_around_it(token):
    for text in (f'{{"k": "{token}"}}', f"({token})", f"a\n{token}\nb", token):
        assert token[6:] not in REDACTOR.text(text)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Authorization: Bearer abc.def-ghi_jkl", "Authorization: Bearer <redacted>"),
        ("GET /v1beta/models?key=abcdefgh12&alt=sse", "GET /v1beta/models?key=<redacted>&alt=sse"),
        ('{"api_key": "abcdefgh12"}', '{"api_key": "<redacted>"}'),
        ("x-goog-api-key: abcdefgh12", "x-goog-api-key: <redacted>"),
        ("password=abcdefgh12", "password=<redacted>"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "Authorization: Basic <redacted>"),
        ("Proxy-Authorization: Basic dXNlcjpwYXNzd29yZA==\nHost: x", "Proxy-Authorization: Basic <redacted>\nHost: x"),
        ("X-Amz-Security-Token: abcdefgh12", "X-Amz-Security-Token: <redacted>"),
        ("?oauth_token=abcdefgh12&a=1", "?oauth_token=<redacted>&a=1"),
        ("postgresql://ada:hunter2@db.example/app", "postgresql://ada:<redacted>@db.example/app"),
        ("redis://:p@db:6379, see http://h:80/a@b", "redis://:<redacted>@db:6379, see http://h:80/a@b"),
        ("Cookie: sid=abcdefgh12; theme=dark\nHost: x", "Cookie: <redacted>\nHost: x"),
        ('Set-Cookie: sid="abc"; Path=/; HttpOnly', "Set-Cookie: <redacted>"),
        ('{"Cookie": "sid=abcdefgh12", "Host": "x"}', '{"Cookie": "<redacted>", "Host": "x"}'),
        (
            '{"secret": "abcdefgh12", "credentials": "abcdefgh12"}',
            '{"secret": "<redacted>", "credentials": "<redacted>"}',
        ),
        (r"{\"api_key\": \"abcdefgh12\", \"n\": 1}", r"{\"api_key\": \"<redacted>\", \"n\": 1}"),
        (r'"{\\\"password\\\": \\\"abcdefgh12\\\"}"', r'"{\\\"password\\\": \\\"<redacted>\\\"}"'),
        (r"password: abcd\efgh, and", "password: <redacted>, and"),
    ],
)
def test_what_stands_beside_a_word_for_a_secret_is_taken_out(text, clean):
    assert REDACTOR.text(text) == clean


BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\nVJTUt9Us8cKjMzEfYyji\n"


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
def test_a_private_key_is_taken_out_whole(kind):
    block = f"-----BEGIN {kind}PRIVATE KEY-----\n{BODY}-----END {kind}PRIVATE KEY-----"

    assert REDACTOR.text(f"use\n{block}\nplease") == "use\n<redacted>\nplease"
    assert REDACTOR.text(json.dumps({"pem": block, "n": 1})) == '{"pem": "<redacted>", "n": 1}'


@pytest.mark.parametrize("length", range(44, 28 + len(BODY), 4))
def test_of_a_private_key_that_was_cut_short_nothing_stays(length):
    assert REDACTOR.text(f"-----BEGIN PRIVATE KEY-----\n{BODY}"[:length]).rstrip() == "<redacted>"


@pytest.mark.parametrize(
    "text",
    [
        "A file that begins with -----BEGIN PRIVATE KEY----- is no certificate.",
        "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIB\n-----END CERTIFICATE-----",
        "The secret: everybody-knows. Credentials: none-at-all.",
        "Cookie: a biscuit, says http://example.org:8080/cookies and mailto:a@b.c",
        '{"token": "everybody-knows", "total_tokens": 12345678}',
        "Basic mathematics and basic arithmetic",
        r"C:\"quoted\"\path",
    ],
)
def test_what_only_speaks_of_secrets_is_left(text):
    assert REDACTOR.text(text) == text


def test_the_value_of_a_secret_variable_is_taken_out_by_its_name():
    assert REDACTOR.text("I say hush-hush-hush.") == "I say <redacted:GEMINI_API_KEY>."


def test_a_secret_that_is_the_beginning_of_another_hides_neither():
    assert REDACTOR.text("hush-hush-hush and hush-hush") == "<redacted:GEMINI_API_KEY> and <redacted:DB_PASSWORD>"


@pytest.mark.parametrize(
    "environ",
    [{"HOME": "hush-hush-hush"}, {"SSH_KEY": "/home/me/.ssh/id"}, {"API_KEY": "short"}, {"MONKEY": "banana-tree"}],
)
def test_a_variable_that_is_no_secret_is_left(environ):
    [value] = environ.values()

    assert Redactor(environ=environ).text(f"say {value}") == f"say {value}"


def test_a_field_named_like_a_credential_is_taken_out_whatever_it_holds():
    value = {"api_key": "x", "Authorization": "y", "nested": [{"client_secret": "z", "keys": ["kept"], "token": 3}]}

    assert REDACTOR.value(value) == {
        "api_key": "<redacted>",
        "Authorization": "<redacted>",
        "nested": [{"client_secret": "<redacted>", "keys": ["kept"], "token": 3}],
    }


@pytest.mark.parametrize(
    "name",
    ["secret", "credentials", "Cookie", "Set-Cookie", "Proxy-Authorization", "X-Auth-Token", "apiToken", "oauth_token",
     "aws_secret_access_key", "passphrase"],
)  # fmt: skip
def test_names_of_credentials(name):
    assert REDACTOR.value({name: "x"}) == {name: "<redacted>"}


@pytest.mark.parametrize("name", ["token", "secretary", "cookies", "tokens", "password_hint", "key"])
def test_names_that_are_none(name):
    assert REDACTOR.value({name: "x"}) == {name: "x"}


def test_a_pattern_of_the_users_own_is_taken_out():
    assert Redactor(environ={}, patterns=[r"cust-\d+"]).text("for cust-12345") == "for <redacted>"


def test_a_pattern_that_does_not_compile_is_named():
    with pytest.raises(ConfigurationError, match=r"redact='\(' is no regular expression"):
        Redactor(environ={}, patterns=["("])


@pytest.mark.parametrize("media_type", ["text/plain", "application/json", "image/svg+xml"])
@pytest.mark.parametrize("spelling", ["{}", "data:text/plain;base64,{}", "{}\n"])
def test_textual_media_is_cleaned(media_type, spelling):
    data = spelling.format(base64.b64encode(f"key {GOOGLE}".encode()).decode())

    assert base64.b64decode(REDACTOR.media(data, media_type)) == b"key <redacted>"


@pytest.mark.parametrize(
    ("data", "media_type"), [("AAAA", "image/png"), ("/w==", "text/plain"), ("aGk=", "text/plain")]
)
def test_media_that_is_no_text_or_holds_no_secret_is_left(data, media_type):
    assert REDACTOR.media(data, media_type) == data


@given(st.lists(PIECES).map("".join))
def test_redacting_twice_changes_nothing_more(text):
    once = REDACTOR.text(text)

    assert REDACTOR.text(once) == once


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_redacting_any_text_twice_changes_nothing_more(text):
    once = REDACTOR.text(text)

    assert REDACTOR.text(once) == once


@given(st.lists(st.sampled_from(["word", "a", "I", "42", "Paris", "user_id", "12-34"])).map(" ".join))
def test_an_ordinary_text_is_left_as_it_is(text):
    assert REDACTOR.text(text) == text


@given(st.lists(st.integers(0, 0x10FFFF).map(chr)).map("".join))
@example("\ud83d")
def test_half_a_character_becomes_one_that_a_file_can_hold(text):
    assert REDACTOR.text(text).encode().decode() == REDACTOR.text(text)


def test_two_halves_of_a_character_become_the_character():
    assert REDACTOR.text("\ud83d\ude00 \ud83d") == "😀 \ufffd"


def test_a_secret_that_names_a_field_is_taken_out_too():
    assert REDACTOR.value({"hush-hush-hush": [1]}) == {"<redacted:GEMINI_API_KEY>": [1]}


def test_anyone_can_redact_by_the_rules_of_the_project_and_the_process(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("[tool.lmtest]\nredact = ['cust-\\d+']\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MY_TOKEN", "hush-hush-hush")
    said = {"a": ["for cust-12345", "hush-hush-hush", 1, None], "password": "x"}
    assert lmtest.redact(said) == {"a": ["for <redacted>", "<redacted:MY_TOKEN>", 1, None], "password": "<redacted>"}
