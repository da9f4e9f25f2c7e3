"""How old a cassette is, and whether that is too old."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lmtest import clock, variables
from lmtest.cassette.index import Index
from lmtest.errors import ConfigurationError
from lmtest.here import here
from lmtest.modes import may_record
from lmtest.pytest_plugin.options import parse_age

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Age:
    """The age of a cassette, and the age it may have."""

    passed: timedelta
    allowed: timedelta

    @property
    def stale(self) -> bool:
        """Whether it is older than it may be."""
        return self.passed > self.allowed

    def __str__(self) -> str:
        return f"recorded {_told(self.passed)} ago, may be {_told(self.allowed)} old"


def age(path: Path, *, allowed: str | None, now: datetime | None = None) -> Age | None:
    """Measure a cassette's age.

    Args:
        path: The cassette.
        allowed: The age it may have, such as ``30d``.
        now: The moment to measure at; by default, now.

    Returns:
        None where no age is set or there is no file.

    Raises:
        ConfigurationError: ``allowed`` is no age.
        CassetteFormatError: The cassette does not read.
    """
    if not allowed or not path.exists():
        return None
    recorded = datetime.fromisoformat(Index(path).header.recorded_at)
    if recorded.tzinfo is None:
        recorded = recorded.replace(tzinfo=UTC)
    return Age(passed=(now or clock.utc_now()) - recorded, allowed=parse_age(allowed, source="max_age"))


def may_rerecord(environ: Mapping[str, str]) -> bool:
    """Whether a stale cassette may be recorded anew by itself: never in CI, nor where LM_MODE says what to do."""
    return may_record(environ) and not environ.get(variables.MODE) and not environ.get(variables.LAYER)


def refuse(path: Path, found: Age, *, command: str) -> ConfigurationError:
    """The error for a stale cassette that fails its test."""
    return ConfigurationError(f"{here(path)} is stale: {found} (lmtest_max_age). Record it again: {command}")


def _told(span: timedelta) -> str:
    """A span in its largest whole unit.

    >>> from datetime import timedelta
    >>> _told(timedelta(days=45)), _told(timedelta(hours=7))
    ('45 days', '7 hours')
    """
    amount, unit = (span.days, "day") if span.days else (span.seconds // 3600, "hour")
    return f"{amount} {unit}{'' if amount == 1 else 's'}"
