"""A request's key, asked for the first time and again."""

from __future__ import annotations

import marshal

from hypothesis import given
from hypothesis import strategies as st

from lmtest.cassette.fingerprint import Rules, normalise
from lmtest.cassette.keys import Keys
from lmtest.cassette.memo import Memo
from lmtest.cassette.redact import Redactor

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=5,
)
REQUESTS = st.fixed_dictionaries(
    {"model": st.sampled_from(["m", "n"])}, optional={"system": VALUES, "config": st.just({})}
)
PLAIN = Rules(), Redactor(environ={})


@given(st.lists(REQUESTS, max_size=8))
def test_a_key_that_is_remembered_is_the_key(requests):
    remembering, plain = Keys(*PLAIN), Keys(*PLAIN)

    for request in [*requests, *requests]:
        exactly = marshal.dumps(request, 2)
        assert remembering.of(lambda r=request: r, exactly=exactly) == plain.of(lambda r=request: r)


def test_a_request_that_is_asked_again_is_not_made_again():
    keys = Keys(*PLAIN)
    first = keys.of(lambda: {"model": "m"}, exactly=b"m")

    assert keys.of(lambda: {}["never made"], exactly=b"m") == first


def test_a_request_with_media_is_keyed_each_time_for_its_media_must_be_kept():
    media = {"type": "image", "media_type": "image/png", "data": "aGk="}
    keys = Keys(*PLAIN)

    for _ in range(2):
        assert list(keys.of(lambda: {"parts": [media]}, exactly=b"m").media.values()) == [b"hi"]


@given(st.integers(0, 20), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12)), max_size=40))
def test_a_memo_gives_what_was_put_or_nothing_and_never_holds_more_than_it_may(most, puts):
    memo, given, weights = Memo(most), {}, {}
    for key, weight in puts:
        if memo.get(key) is None:
            given[key], weights[key] = (key, weight), weight
            memo.put(key, (key, weight), weight=weight)
        assert sum(weights[each] for each in given if memo.get(each) is not None) <= most
        assert all(memo.get(each) in {None, given[each]} for each in given)


LOGIN = {"type": "tool_call", "id": "1", "name": "login", "input": {"user": "ada", "password": "hunter2-very-secret"}}


def agent(part, **beside):
    """A request of an agent whose model has called a tool."""
    asked = {"role": "user", "parts": [{"type": "text", "text": "Log me in."}]}
    return {"model": "m", "messages": [asked, {"role": "assistant", "parts": [part]}], **beside}


def test_what_is_secret_in_an_answer_is_secret_in_the_request_that_quotes_it():
    redactor = Redactor(environ={})
    normal = Keys(Rules(), redactor).of(lambda: agent(LOGIN)).normal

    assert normal == agent(redactor.value(LOGIN))
    assert normal["messages"][1]["parts"][0]["input"] == {"user": "ada", "password": "<redacted>"}


FIELDS = st.dictionaries(st.sampled_from(["password", "token", "hush-hush-hush", "text"]), VALUES, max_size=3)


@given(FIELDS | st.lists(FIELDS, max_size=2))
def test_a_request_is_redacted_as_an_answer_is(value):
    redactor = Redactor(environ={"A_TOKEN": "hush-hush-hush"})
    keyed = Keys(Rules(), redactor).of(lambda: {"model": "m", "system": value})

    assert keyed.normal == normalise({"model": "m", "system": redactor.value(value)})


def test_a_setting_named_like_a_credential_is_taken_out():
    request = {"model": "m", "config": {"extensions": {"client_secret": "abcdefghijkl", "style": "plain"}}}

    assert Keys(*PLAIN).of(lambda: request).normal["config"]["extensions"] == {
        "client_secret": "<redacted>",
        "style": "plain",
    }


def test_a_schema_of_fields_named_like_credentials_stays_whole():
    schema = {
        "type": "object",
        "properties": {"password": {"type": "string"}, "api_key": {"$ref": "#/$defs/Key"}},
        "required": ["password"],
        "discriminator": {"mapping": {"password": "#/$defs/Password"}},
    }
    request = agent(LOGIN | {"input": {"token": 3, "password": ""}}, tools=[{"name": "login", "parameters": schema}])

    assert Keys(*PLAIN).of(lambda: request).normal == request
