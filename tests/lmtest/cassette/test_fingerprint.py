"""Whether two requests are the same."""

from __future__ import annotations

import copy
import unicodedata

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from lmtest.cassette.fingerprint import Rules, fingerprint, normalise
from lmtest.errors import ConfigurationError

EXACT = 2**53 - 1
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(lambda t: unicodedata.normalize("NFC", t))
SCALARS = st.none() | st.booleans() | st.integers(-EXACT, EXACT) | st.floats(-1e9, 1e9) | TEXT
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6
)
CONFIG = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0, 1),
        "max_tokens": st.integers(1, 10_000),
        "seed": st.integers(0, 1000),
        "stop": st.lists(TEXT, min_size=1, max_size=2),
        "response_format": st.dictionaries(TEXT, JSON, min_size=1, max_size=2),
        "extensions": st.dictionaries(st.sampled_from(["safety", "n", "style"]), JSON, min_size=1),
    },
)
REQUESTS = st.fixed_dictionaries(
    {
        "model": TEXT.filter(bool),
        "messages": st.lists(
            st.fixed_dictionaries(
                {
                    "role": st.sampled_from(["user", "assistant", "tool", "developer"]),
                    "parts": st.lists(
                        st.fixed_dictionaries({"type": st.just("text"), "text": TEXT})
                        | st.fixed_dictionaries({"type": st.just("data"), "value": JSON}),
                        min_size=1,
                        max_size=2,
                    ),
                }
            ),
            min_size=1,
            max_size=3,
        ),
    },
    optional={"system": TEXT, "tools": st.lists(st.dictionaries(TEXT, JSON), max_size=2), "config": CONFIG},
)


def key(request, **rules):
    return fingerprint(normalise(request, Rules(**rules)))


def shuffled(value, random):
    if isinstance(value, dict):
        keys = list(value)
        random.shuffle(keys)
        return {name: shuffled(value[name], random) for name in keys}
    return [shuffled(item, random) for item in value] if isinstance(value, list) else value


def leaves(value, path=()):
    """The places of a request at which something stands."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from leaves(item, (*path, name))
    elif isinstance(value, list) and value:
        for position, item in enumerate(value):
            yield from leaves(item, (*path, position))
    else:
        yield path


def changed(request, path, replacement):
    request = copy.deepcopy(request)
    holder = request
    for step in path[:-1]:
        holder = holder[step]
    was, holder[path[-1]] = holder[path[-1]], replacement
    return was, request


@given(REQUESTS, st.randoms())
def test_the_order_of_keys_never_matters(request_, random):
    assert key(shuffled(request_, random)) == key(request_)


@given(REQUESTS, st.data())
def test_changing_anything_else_always_does(request_, data):
    path = data.draw(st.sampled_from(sorted(leaves(request_), key=repr)))
    was, other = changed(request_, path, data.draw(SCALARS))
    now = data.draw(st.just(changed(other, path, None)[0]))
    assume(type(was) is not type(now) or was != now)
    assume({type(was), type(now)} != {int, float} or was != now)
    # An empty part of the settings says as much as none.
    assume(path[0] != "config" or (was not in ([], {}) and now not in ([], {})))

    assert key(other) != key(request_)


@given(REQUESTS, CONFIG)
def test_changing_an_ignored_part_never_matters(request_, config):
    assert key(request_ | {"config": config}, ignore=("config",)) == key(request_, ignore=("config",))


@given(REQUESTS, TEXT, TEXT)
def test_an_ignored_path_reaches_into_every_message(request_, one, other):
    ignore = ("$.messages[*].parts[*].text",)
    parts = [{"type": "text", "text": one}], [{"type": "text", "text": other}]

    assert key(request_ | {"messages": [{"role": "user", "parts": parts[0]}]}, ignore=ignore) == key(
        request_ | {"messages": [{"role": "user", "parts": parts[1]}]}, ignore=ignore
    )


@given(REQUESTS)
def test_the_normal_form_is_its_own(request_):
    rules = Rules(scrub=("date", "time", "uuid", "tmp-path"))
    normal = normalise(request_, rules)

    assert normalise(normal, rules) == normal


@given(REQUESTS)
def test_the_request_itself_is_left_as_it_was(request_):
    before = copy.deepcopy(request_)
    normalise(request_, Rules(ignore=("messages[0]",), scrub=("date",)))

    assert request_ == before


def in_form(value, form):
    """The value with each text and each name in a form of Unicode."""
    if isinstance(value, str):
        return unicodedata.normalize(form, value)
    if isinstance(value, dict):
        return {in_form(name, form): in_form(item, form) for name, item in value.items()}
    return [in_form(item, form) for item in value] if isinstance(value, list) else value


@given(REQUESTS)
@example({"model": "m", "messages": [{"role": "assistant", "parts": [{"type": "tool_call", "input": {"é": "é"}}]}]})
def test_the_form_of_unicode_never_matters(request_):
    assert key(in_form(request_, "NFD")) == key(request_)


@pytest.mark.parametrize(
    "config",
    [
        {"frequency_penalty": 0.0},
        {"presence_penalty": 0},
        {"tool_choice": {"mode": "auto"}},
        {"cache": {"mode": "auto"}},
        {"extensions": {}},
        {"timeout": 30, "num_retries": 3, "api_key": "k", "api_base": "http://127.0.0.1:1"},
        {"extensions": {"headers": {"x": "y"}, "timeout": 1}},
    ],
)
def test_defaults_credentials_retries_and_transport_never_enter(config):
    assert key({"model": "m", "config": config}) == key({"model": "m"})


@pytest.mark.parametrize("config", [{"temperature": 0.0}, {"store": False}, {"seed": 0}, {"frequency_penalty": 0.1}])
def test_a_setting_that_is_no_default_does_enter(config):
    assert key({"model": "m", "config": config}) != key({"model": "m"})


def test_one_and_one_point_nought_are_the_same_setting():
    assert key({"model": "m", "config": {"temperature": 1}}) == key({"model": "m", "config": {"temperature": 1.0}})


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("date", "on 2026-11-20", "on 1999-01-31"),
        ("time", "at 23:59:59.123Z", "at 00:00"),
        ("uuid", "id 3f2b6a1e-0000-4000-8000-00000000000a", "id FFFFFFFF-0000-4000-8000-00000000000B"),
        ("tmp-path", "in /tmp/pytest-of-me/x1", "in /private/var/folders/ab/x"),
        (r"run \d+", "run 1", "run 22"),
    ],
)
def test_a_scrubbed_pattern_does_not_matter(name, one, other):
    assert key({"model": "m", "system": one}, scrub=(name,)) == key({"model": "m", "system": other}, scrub=(name,))
    assert key({"model": "m", "system": one}) != key({"model": "m", "system": other})


@pytest.mark.parametrize("text", ["2026-13-20", "12026-11-20", "25:00", "1:2", "3f2b6a1e-0000"])
def test_what_only_resembles_a_named_pattern_does_matter(text):
    rules = {"scrub": ("date", "time", "uuid")}

    assert key({"model": "m", "system": text}, **rules) != key({"model": "m", "system": f"{text}0"}, **rules)


def test_two_items_of_a_list_can_be_ignored_at_once():
    request = {"model": "m", "tools": [{"n": 1}, {"n": 2}, {"n": 3}]}

    assert normalise(request, Rules(ignore=("tools[0,2]",))) == {"model": "m", "tools": [{"n": 2}]}


def test_overlapping_paths_are_ignored_together():
    request = {"model": "m", "a": {"b": {"c": 1}}}

    assert normalise(request, Rules(ignore=("a..*",))) == {"model": "m", "a": {}}


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"ignore": ("messages[",)}, r"ignore='messages\[' is no JSONPath"),
        ({"scrub": ("(",)}, r"scrub='\(' is neither one of date, time, .*, traceback nor a regular expression"),
    ],
)
def test_a_rule_that_does_not_compile_is_named(rules, message):
    with pytest.raises(ConfigurationError, match=message):
        key({"model": "m"}, **rules)


def test_the_whole_request_cannot_be_ignored_away():
    assert key({"model": "a"}, ignore=("$",)) != key({"model": "b"}, ignore=("$",))
