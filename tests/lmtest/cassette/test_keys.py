"""A request's key, asked for the first time and again."""

from __future__ import annotations

import marshal

from hypothesis import given
from hypothesis import strategies as st

from lmtest.cassette.fingerprint import Rules
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
