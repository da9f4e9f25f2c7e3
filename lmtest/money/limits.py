"""The limits a user sets on live calls."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, fields, replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from lmtest.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

Usd = Decimal | float | str
"""An amount as people write it; ``1.10`` means one dollar ten exactly, whichever way it is written."""


@dataclass(frozen=True, init=False)
class Limits:
    """What live calls may use up. None is no limit.

    Attributes:
        requests_per_minute: Calls in any minute, evenly spaced.
        tokens_per_minute: Tokens, sent and received together, in a minute.
        max_concurrency: Calls under way at once, over all processes.
        usd_per_run: USD of one run: a pytest session, or a worker's life.
        usd_per_month: USD of a calendar month, UTC.
        usd_per_test: USD of one test in one run.
        max_wait: Seconds a call may wait for its turn or a place before it is refused; None waits as long as it takes.

    Raises:
        ConfigurationError: A limit is negative, not finite or no number; nothing may be used up only for USD.

    >>> Limits(requests_per_minute=10, usd_per_run=1.10).usd_per_run
    Decimal('1.1')
    """

    requests_per_minute: int | None
    tokens_per_minute: int | None
    max_concurrency: int | None
    usd_per_run: Decimal | None
    usd_per_month: Decimal | None
    usd_per_test: Decimal | None
    max_wait: float | None

    def __init__(
        self,
        *,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        max_concurrency: int | None = None,
        usd_per_run: Usd | None = None,
        usd_per_month: Usd | None = None,
        usd_per_test: Usd | None = None,
        max_wait: float | None = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name != "self"}
        for name, value in given.items():
            read = _amount if name.startswith("usd_") else _seconds if name == "max_wait" else _count
            object.__setattr__(self, name, None if value is None else read(name, value))

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any], *, source: str) -> Limits:
        """Read limits by name, numbers as numbers or as text.

        Args:
            data: Names and values, such as a table of pyproject.toml.
            source: Who gave them, for the message.

        Raises:
            ConfigurationError: A name is no limit, the message has the nearest that is; or a value is none.

        >>> Limits.from_mapping({"usd_per_month": "10"}, source="pyproject.toml").usd_per_month
        Decimal('10')
        """
        known = [field.name for field in fields(cls)]
        for name in data:
            if name not in known:
                nearest = difflib.get_close_matches(name, known, n=1)
                hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
                raise ConfigurationError(f"{source} has {name!r}, which is no limit.{hint} Known: {', '.join(known)}.")
        try:
            return cls(**data)
        except ConfigurationError as error:
            raise ConfigurationError(f"{source}: {error}") from None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Limits:
        """Read ``LMTEST_REQUESTS_PER_MINUTE``, ``LMTEST_USD_PER_RUN`` and so on; an empty one is not set.

        Raises:
            ConfigurationError: A value is no number.

        >>> Limits.from_environ({"LMTEST_USD_PER_RUN": "0.05"}).usd_per_run
        Decimal('0.05')
        """
        names = {field.name: f"LMTEST_{field.name.upper()}" for field in fields(cls)}
        return cls.from_mapping(
            {name: environ[variable] for name, variable in names.items() if environ.get(variable)},
            source="the environment (LMTEST_...)",
        )

    def or_else(self, other: Limits) -> Limits:
        """These limits, and the other's where there is none here.

        >>> Limits(usd_per_run=1).or_else(Limits(usd_per_run=5, max_concurrency=2))
        Limits(max_concurrency=2, usd_per_run=Decimal('1'))
        """
        return replace(other, **{name: value for name, value in vars(self).items() if value is not None})

    @property
    def in_usd(self) -> bool:
        """Whether any of them is an amount of money."""
        return any(value is not None for name, value in vars(self).items() if name.startswith("usd_"))

    def __bool__(self) -> bool:
        """Whether anything is limited."""
        return any(value is not None for name, value in vars(self).items() if name != "max_wait")

    def __repr__(self) -> str:
        set_ = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if value is not None)
        return f"Limits({set_})"


def _count(name: str, value: int | str) -> int:
    try:
        count = int(value)
    except (TypeError, ValueError, OverflowError):
        count = 0
    if count < 1 or isinstance(value, bool) or (isinstance(value, float) and value != count):
        raise ConfigurationError(f"{name} is {value!r}; give a whole number from 1 up, or leave it out for no limit.")
    return count


def _seconds(name: str, value: float | str) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < 0 or isinstance(value, bool):
        raise ConfigurationError(f"{name} is {value!r}; give seconds from 0 up, or leave it out to wait.")
    return seconds


def by_model(data: Mapping[str, Any], *, source: str) -> tuple[Limits, dict[str, Limits]]:
    """Read a table of limits in which a table under a model's name holds for that model beside the others.

    Args:
        data: Names and values, and tables of them by model.
        source: Who gave them, for the message.

    Raises:
        ConfigurationError: A name is no limit, or a value is none.

    >>> by_model({"usd_per_run": 5, "openai/gpt-5": {"usd_per_run": 1}}, source="pyproject.toml")
    (Limits(usd_per_run=Decimal('5')), {'openai/gpt-5': Limits(usd_per_run=Decimal('1'))})
    """
    tables = {name: value for name, value in data.items() if isinstance(value, dict)}
    plain = {name: value for name, value in data.items() if name not in tables}
    named = {model: Limits.from_mapping(table, source=f"{source}, {model!r}") for model, table in tables.items()}
    return Limits.from_mapping(plain, source=source), named


def _amount(name: str, value: Usd) -> Decimal:
    try:
        usd = Decimal(str(value))
    except InvalidOperation:
        usd = Decimal("NaN")
    if not usd.is_finite() or usd < 0 or isinstance(value, bool):
        raise ConfigurationError(f"{name} is {value!r}; give USD such as 1.50, or leave it out for no limit.")
    return usd
