"""Types of time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from python_worker.domain.types.base import NotConvertible, Report, Schema, Type

if TYPE_CHECKING:
    from python_worker.domain.value import Value

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, kw_only=True)
class DateTimeType(Type):
    """A moment, held in UTC to the microsecond."""

    name = "datetime"

    def take(self, value: Value, path: str, report: Report) -> Value:
        """Take a time with its zone, or RFC 3339 text; coerced: one without a zone as UTC, or Unix seconds."""
        if isinstance(value, str) and _MOMENT.fullmatch(value):
            try:
                value = datetime.fromisoformat(value.upper())
            except ValueError:
                return report.wrong_type(path, value, _A_MOMENT)
        if isinstance(value, datetime) and value.tzinfo is not None:
            try:
                return value.astimezone(UTC)
            except OverflowError:  # a zone that moves it before the year 1 or after 9999
                return report.wrong_type(path, value, _A_MOMENT)
        return report.wrong_type(path, value, _A_MOMENT, convert=_to_moment)

    def plain_schema(self) -> Schema:
        """A string of the format ``date-time``."""
        return {"type": "string", "format": "date-time"}


@dataclass(frozen=True, kw_only=True)
class DateType(Type):
    """A day of the calendar."""

    name = "date"

    def take(self, value: Value, path: str, report: Report) -> Value:
        """Take a day, or its text such as ``2024-05-01``; coerced: the day, in UTC, of a moment."""
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        if isinstance(value, str) and _DAY.fullmatch(value):
            try:
                return date.fromisoformat(value)
            except ValueError:
                return report.wrong_type(path, value, _A_DAY)
        return report.wrong_type(path, value, _A_DAY, convert=_to_day)

    def plain_schema(self) -> Schema:
        """A string of the format ``date``."""
        return {"type": "string", "format": "date"}


_A_MOMENT = "a time with its zone, such as 2024-05-01T12:00:00Z"
_A_DAY = "a day, such as 2024-05-01"


def _to_moment(value: Any) -> Value:
    if isinstance(value, bool) or not isinstance(value, str | int | float | datetime):
        raise NotConvertible
    if isinstance(value, int | float):
        try:
            return datetime.fromtimestamp(value, UTC)
        except OSError as error:
            raise NotConvertible from error
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def _to_day(value: Any) -> Value:
    found = _to_moment(value) if isinstance(value, str | datetime) else None
    if not isinstance(found, datetime):
        raise NotConvertible
    return found.date()
