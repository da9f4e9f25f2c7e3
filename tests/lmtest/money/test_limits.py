"""What a user may write as a limit."""

from __future__ import annotations

from decimal import Decimal

import pytest

from lmtest.errors import ConfigurationError
from lmtest.money.limits import Limits


def test_no_limit_is_the_default():
    assert not Limits()
    assert Limits(max_concurrency=1)


@pytest.mark.parametrize("written", [1.10, "1.10", Decimal("1.10")])
def test_an_amount_means_what_it_looks_like(written):
    assert Limits(usd_per_run=written).usd_per_run == Decimal("1.10")


def test_nothing_may_be_spent_at_all():
    assert Limits(usd_per_run=0).usd_per_run == 0


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
    with pytest.raises(ConfigurationError, match=r"^the environment \(LMTEST_...\): max_concurrency is 'x'"):
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
