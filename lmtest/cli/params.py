"""Arguments of several commands: cassettes, amounts of money, and moments told as a date or an age."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

import click

from lmtest import clock


class Usd(click.ParamType):  # type: ignore[type-arg] # no release of click before 8.4 takes one
    """An amount in USD.

    Args:
        purpose: What it is for, for the message.
        or_none: Whether ``none`` may be said, which is 0.
    """

    name = "USD"

    def __init__(self, purpose: str, *, or_none: bool = False) -> None:
        self._purpose = purpose
        self._or_none = or_none

    def convert(self, value: str | Decimal, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Read an amount; one that is no number, infinite or negative ends the command."""
        if self._or_none and str(value).strip().lower() == "none":
            return Decimal(0)
        try:
            usd = Decimal(value)
        except InvalidOperation:
            self.fail(f"{value!r} is no amount; write one such as 0.50", param, ctx)
        if not usd.is_finite() or usd < 0:
            self.fail(f"{value!r} is no amount {self._purpose}", param, ctx)
        return usd


class Moment(click.ParamType):  # type: ignore[type-arg] # likewise
    """A date, or an age such as ``7d``.

    Args:
        name: What help calls it.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read a moment; what is neither a date nor an age ends the command."""
        from lmtest.money.report import parse_since

        if isinstance(value, datetime):
            return value
        try:
            return parse_since(value, now=clock.utc_now())
        except ValueError as error:
            self.fail(str(error), param, ctx)


class CassettePath(click.ParamType):  # type: ignore[type-arg] # likewise
    """A cassette or a directory: a path, or a name as it was printed, from where cassettes are kept or the project.

    A directory of tests means their cassettes.
    """

    name = "PATH"

    def convert(self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None) -> Path:  # noqa: ARG002 - click's signature
        """Find what is meant; a path that leads nowhere is given back as it is, for the command to refuse."""
        from lmtest.settings import cassette_directory

        path = Path(value)
        kept = cassette_directory() / path
        return kept if _is_of_tests(path, kept) else base_of(path) / path


def base_of(path: Path) -> Path:
    """The directory from which a name is meant: ``lmtest ls`` prints it from another one than reports and pytest do."""
    from lmtest.here import here
    from lmtest.settings import cassette_directory, load

    if not (path.is_absolute() or path.exists()):
        for base in (cassette_directory(), here(load()[1])):
            if (base / path).exists():
                return base
    return Path()


def _is_of_tests(path: Path, kept: Path) -> bool:
    """Whether a directory has no cassettes itself, and those of what is in it are kept elsewhere."""
    from lmtest.cassette import library

    return path.is_dir() and kept.is_dir() and not kept.samefile(path) and not any(library.find([path]))
