"""What a user may write as a limit."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmtest.errors import ConfigurationError
from lmtest.money.limits import Limits


def test_no_limit_is_the_default():
    assert not Limits()
    assert Limits(max_concurrency=1)


@pytest.mark.parametrize("written", [1.10, "1.10", Decimal("1.10")])
def test_an_amount_means_what_it_looks_like(written):
    assert Limits(usd_per_run=written).usd_per_run == Decimal("1.10")


@pytest.mark.parametrize("written", [0, "0", "0.00", Decimal(0), "none", "None"])
def test_an_amount_of_nothing_or_none_lifts_the_limit_whoever_else_sets_one(written):
    lifted = Limits(usd_per_run=written)

    assert (lifted.held("usd_per_run"), bool(lifted), lifted.in_usd) == (None, False, False)
    assert lifted.or_else(Limits(usd_per_run=5, max_concurrency=1)) == Limits(usd_per_run="none", max_concurrency=1)
    assert Limits.parse(lifted.texts(), source="--limit") == lifted


def test_a_lifted_limit_is_no_tighter_than_any():
    assert Limits(usd_per_run=5).tightened(Limits(usd_per_run=0)) == Limits(usd_per_run=5)


@pytest.mark.parametrize("name", ["requests_per_minute", "tokens_per_minute", "max_concurrency", "max_wait"])
def test_none_lifts_any_limit(name):
    assert Limits(**{name: "none"}).or_else(Limits(**{name: 3})).held(name) is None


def test_limits_say_what_is_lifted():
    assert repr(Limits(usd_per_run=0, max_wait="none")) == "Limits(usd_per_run='none', max_wait='none')"


@pytest.mark.parametrize("value", [0, -1, 1.5, "many", True, float("inf")])
def test_a_count_is_a_whole_number_from_one_up(value):
    with pytest.raises(ConfigurationError, match=r"requests_per_minute is .*; give a whole number from 1 up"):
        Limits(requests_per_minute=value)


@pytest.mark.parametrize("value", [-0.01, "cheap", "NaN", "Infinity", True])
def test_an_amount_is_a_number_of_dollars(value):
    with pytest.raises(ConfigurationError, match=r"usd_per_month is .*; give USD such as 1\.50"):
        Limits(usd_per_month=value)


def test_an_unknown_limit_is_named_with_the_nearest():
    with pytest.raises(ConfigurationError, match=r"pyproject.toml has 'usd_per_mont'.* Did you mean 'usd_per_month'\?"):
        Limits.from_mapping({"usd_per_mont": 1}, source="pyproject.toml")


def test_a_bad_value_names_who_gave_it():
    with pytest.raises(ConfigurationError, match=r"^LMTEST_MAX_CONCURRENCY: max_concurrency is 'x'"):
        Limits.from_environ({"LMTEST_MAX_CONCURRENCY": "x"})


def test_the_environment_sets_any_limit():
    environ = {"LMTEST_REQUESTS_PER_MINUTE": "10", "LMTEST_USD_PER_TEST": "0.5", "LMTEST_USD_PER_RUN": ""}

    assert Limits.from_environ(environ) == Limits(requests_per_minute=10, usd_per_test="0.5")


def test_the_first_that_speaks_wins_limit_by_limit():
    flag, file = Limits(usd_per_run=1), Limits(usd_per_run=9, usd_per_month=10)

    assert flag.or_else(file) == Limits(usd_per_run=1, usd_per_month=10)


def test_limits_do_not_change():
    with pytest.raises(AttributeError):
        Limits().usd_per_run = 5


# ── limits of single models ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_models_limits_hold_beside_those_of_all():
    limits = Limits(usd_per_run=5, by_model={"openai/gpt-5": Limits(usd_per_run=1)})

    assert dict(limits.holding("openai/gpt-5")) == {"": limits, "openai/gpt-5": Limits(usd_per_run=1)}
    assert dict(limits.holding("openai/gpt-4")) == {"": limits}


def test_a_model_may_be_named_without_its_provider():
    limits = Limits.parse(["gpt-5:max_concurrency=1"], source="--limit")

    assert dict(limits.holding("openai/gpt-5"))["gpt-5"] == Limits(max_concurrency=1)


def test_the_first_that_speaks_wins_model_by_model():
    flag = Limits.parse(["a/b:usd_per_run=1"], source="--limit")
    file = Limits.from_mapping({"a/b": {"usd_per_run": 9, "max_concurrency": 2}, "c/d": {"max_wait": 0}}, source="file")

    assert flag.or_else(file).by_model == {"a/b": Limits(usd_per_run=1, max_concurrency=2), "c/d": Limits(max_wait=0)}


@pytest.mark.parametrize("name", ["", "gpt 5", " gpt-5"])
def test_a_models_name_is_one_word(name):
    with pytest.raises(ConfigurationError, match="names no model"):
        Limits(by_model={name: Limits(usd_per_run=1)})


def test_a_models_limits_have_no_models_in_turn():
    with pytest.raises(ConfigurationError, match="the limits of 'a/b' hold limits of c/d in turn"):
        Limits.from_mapping({"a/b": {"c/d": {"usd_per_run": 1}}}, source="file")


@pytest.mark.parametrize("given", [5, "usd_per_run=1"])
def test_what_are_no_limits_at_all_is_told(given):
    with pytest.raises(ConfigurationError, match=r"^use_cassette\(limits=...\) is .*; give lmtest.Limits"):
        Limits.of(given, source="use_cassette(limits=...)")


# ── as a command line and the environment say them ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", ["usd_per_run", "=1", "usd_per_run=", "openai/gpt-5:=1", ""])
def test_what_is_no_limit_is_told_the_form(text):
    with pytest.raises(ConfigurationError, match=r"^--limit .* is no limit: write NAME=VALUE"):
        Limits.parse([text], source="--limit")


def test_a_model_whose_name_has_colons_is_read_whole():
    limits = Limits.parse(["openai/ft:gpt-5-mini:acme:usd_per_run=1"], source="--limit")

    assert limits.by_model == {"openai/ft:gpt-5-mini:acme": Limits(usd_per_run=1)}


def test_of_a_flag_given_twice_the_last_holds():
    assert Limits.parse(["usd_per_run=1", "usd_per_run=2"], source="--limit") == Limits(usd_per_run=2)


def test_a_variable_of_its_own_goes_before_the_list():
    environ = {"LMTEST_LIMITS": "usd_per_run=5 max_concurrency=2 a/b:usd_per_run=1", "LMTEST_USD_PER_RUN": "3"}

    assert Limits.from_environ(environ) == Limits(
        usd_per_run=3, max_concurrency=2, by_model={"a/b": Limits(usd_per_run=1)}
    )


_COUNTS = st.none() | st.integers(1, 10**9)
_AMOUNTS = st.none() | st.decimals(0, 10**6, places=6)
_PLAIN = st.builds(
    Limits,
    requests_per_minute=_COUNTS,
    tokens_per_minute=_COUNTS,
    max_concurrency=_COUNTS,
    usd_per_run=_AMOUNTS,
    usd_per_month=_AMOUNTS,
    usd_per_test=_AMOUNTS,
    max_wait=st.none() | st.floats(0, 1e9),
)
_SOME = _PLAIN.filter(lambda limits: limits != Limits())
_LIMITS = st.builds(
    lambda plain, models: Limits(by_model=models).or_else(plain),
    _PLAIN,
    st.dictionaries(st.from_regex(r"[a-z]+/[a-z0-9:.=-]*[a-z0-9]", fullmatch=True), _SOME, max_size=3),
)


@given(_LIMITS, _LIMITS)
def test_what_is_said_over_an_environment_is_read_back_before_it(flag, outer):
    environ = outer.over({}, flag="outer")

    assert Limits.from_environ({**environ, **flag.over(environ, flag="--limit")}) == flag.or_else(outer)


@given(_LIMITS, _LIMITS)
def test_the_tighter_of_two_is_the_same_in_any_order_and_never_looser(one, other):
    both = one.tightened(other)

    assert both == other.tightened(one)
    assert both.tightened(one) == both
    assert one.tightened(one) == one
