"""Seconds and times as protobuf's own messages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def duration(seconds: float) -> Duration:
    """Seconds as a message.

    >>> seconds(duration(1.5))
    1.5
    """
    message = Duration()
    put_duration(message, seconds)
    return message


def put_duration(message: Duration, seconds: float) -> None:
    """Write seconds into a message, as ``duration`` tells them; where it is part of another, that saves a copy."""
    message.FromNanoseconds(round(seconds * 1e9))


def seconds(message: Duration) -> float:
    """A message as seconds."""
    return float(message.seconds + message.nanos / 1e9)


def timestamp(moment: datetime) -> Timestamp:
    """A time as a message; one without a zone is in UTC.

    >>> moment(timestamp(datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC))).isoformat()
    '1969-12-31T23:59:59.500000+00:00'
    """
    message = Timestamp()
    put_timestamp(message, moment)
    return message


def put_timestamp(message: Timestamp, moment: datetime) -> None:
    """Write a time into a message, as ``timestamp`` reads it."""
    # Timestamp.FromDatetime goes by the calendar, which takes ten times as long.
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    message.seconds, microseconds = divmod((aware - _EPOCH) // _MICROSECOND, 1_000_000)
    message.nanos = microseconds * 1000


def moment(message: Timestamp) -> datetime:
    """A message as a time in UTC.

    Raises:
        ValueError: It is before the year 1 or after 9999.
    """
    try:
        return _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
    except OverflowError as error:
        raise ValueError(f"{message.seconds} s from 1970 is no time of the calendar") from error
