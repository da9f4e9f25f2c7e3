"""The report over a ledger: what was spent, what replay saved, what recording anew would cost.

All sums are made by SQLite, each from an index that holds all it needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, get_args

from lmtest import clock
from lmtest.cassette.interaction import ESTIMATED
from lmtest.money.amounts import to_usd
from lmtest.money.ledger import microseconds

if TYPE_CHECKING:
    from lmtest.money.database import Connection
    from lmtest.money.ledger import Ledger

By = Literal["test", "model", "day", "cassette", "run"]
"""What a line of the report stands for."""

BY: tuple[By, ...] = get_args(By)

_ALWAYS = -(2**63)


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """The calls of one test, model, day, cassette or run, or of all.

    Attributes:
        name: Whose; None for the calls that belong to none.
        calls: All of them: live, replayed and mocked.
        live: Sent to a provider.
        replayed: Answered from a cassette.
        spent: USD, by known prices.
        saved: USD that the replayed calls would have cost, by known prices.
        refresh: USD to record anew what was replayed, each recording once, in the line of its last replay.
        stand_in: USD that live calls which a stand-in answered would have cost; nothing was charged, and it is in no
            other sum.
        unpriced_live: Live calls of unknown price; they are in no sum.
        unpriced_replayed: Replayed calls of unknown price; they are in no sum.
        unpriced_refresh: Recordings whose price was never known; they are in no sum.
    """

    name: str | None = None
    calls: int = 0
    live: int = 0
    replayed: int = 0
    spent: Decimal = Decimal(0)
    saved: Decimal = Decimal(0)
    refresh: Decimal = Decimal(0)
    stand_in: Decimal = Decimal(0)
    unpriced_live: int = 0
    unpriced_replayed: int = 0
    unpriced_refresh: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Month:
    """A calendar month (UTC) so far.

    Attributes:
        name: Such as ``2026-11``.
        spent: USD, by known prices.
        projected: USD by the month's end if it goes on like this; at least a day is taken to have passed.
        limit: USD, where there is one.
    """

    name: str
    spent: Decimal
    projected: Decimal
    limit: Decimal | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What a ledger says.

    Attributes:
        place: Where the ledger is.
        by: What its lines stand for.
        since: When it begins, or None for the ledger's own beginning.
        total: All calls.
        lines: Dearest first; days in order.
        unpriced: Models of unknown price and how many calls each had.
        estimated: Those among them whose live calls were answered, and nobody counted the tokens.
        month: The current month, whatever ``since`` says.
    """

    place: str
    by: By
    since: datetime | None
    total: Line
    lines: tuple[Line, ...]
    unpriced: tuple[tuple[str, int], ...]
    estimated: tuple[tuple[str, int], ...]
    month: Month


def cost_report(
    ledger: Ledger,
    *,
    by: By = "test",
    since: datetime | None = None,
    now: datetime | None = None,
    monthly_limit: Decimal | None = None,
) -> Report:
    """Sum a ledger up.

    Args:
        ledger: The ledger; it may be empty or absent.
        by: What a line stands for.
        since: Leave out what was before.
        now: The moment whose month is reported; by default, now.
        monthly_limit: USD to hold the month against.

    Raises:
        ConfigurationError: The ledger cannot be read.
    """
    now = (now or clock.utc_now()).astimezone(UTC)
    start = _ALWAYS if since is None else microseconds(since)
    estimated = list[tuple[str, int]]()
    lines, unpriced, spent = list[Line](), list[tuple[str, int]](), Decimal(0)
    with ledger.database.reading() as connection:
        if connection is not None:
            lines = _lines(connection, by, start)
            unpriced = _unpriced(connection, start)
            estimated = _estimated(connection, start) if unpriced else []
            spent = _spent(connection, now)
    return Report(
        place=ledger.database.place,
        by=by,
        since=since,
        total=_total(lines),
        lines=tuple(lines),
        unpriced=tuple(unpriced),
        estimated=tuple(estimated),
        month=_month(now, spent, monthly_limit),
    )


def parse_since(text: str, *, now: datetime) -> datetime:
    """Read a beginning: a date or time in ISO 8601 (UTC unless it says otherwise), or an age such as ``7d``.

    Args:
        text: What to read; an age counts hours (``12h``), days (``7d``) or weeks (``2w``).
        now: The moment an age counts from.

    Raises:
        ValueError: It is neither.

    >>> parse_since("7d", now=datetime(2026, 11, 20, tzinfo=UTC)).isoformat()
    '2026-11-13T00:00:00+00:00'
    >>> parse_since("2026-11-01", now=datetime.now(UTC)).isoformat()
    '2026-11-01T00:00:00+00:00'
    """
    hours = {"h": 1, "d": 24, "w": 168}.get(text[-1:])
    try:
        if hours and text[:-1].isdecimal():
            return now - timedelta(hours=hours * int(text[:-1]))
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is neither a date such as 2026-11-01 nor an age such as 12h, 7d or 2w") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _lines(connection: Connection, by: By, start: int) -> list[Line]:
    name = "call.day" if by == "day" else f"(SELECT text FROM label WHERE id = call.{by})"  # noqa: S608 - one of BY
    live, cassette = _label(connection, "live"), _label(connection, "cassette")
    calls = connection.execute(
        f"""
        SELECT {name}, count(*), count(*) FILTER (WHERE hit = :live), count(*) FILTER (WHERE hit = :cassette),
            sum(cost), sum(would_cost) FILTER (WHERE hit = :cassette), count(*) FILTER (WHERE cost IS NULL),
            count(*) FILTER (WHERE hit = :cassette AND would_cost IS NULL),
            sum(would_cost) FILTER (WHERE hit = :live)
        FROM call WHERE time >= :start GROUP BY call.{by}
        """,  # noqa: S608 - `by` is one of BY
        {"live": live, "cassette": cassette, "start": start},
    )
    refresh = _refresh(connection, name, by, start)
    lines = [
        Line(
            name=_day(row[0]) if by == "day" else row[0],
            calls=row[1],
            live=row[2],
            replayed=row[3],
            spent=_usd(row[4]),
            saved=_usd(row[5]),
            refresh=_usd(refresh.get(row[0], (0, 0))[0]),
            stand_in=_usd(row[8]),
            unpriced_live=row[6],
            unpriced_replayed=row[7],
            unpriced_refresh=refresh.get(row[0], (0, 0))[1],
        )
        for row in calls
    ]
    if by == "day":
        return sorted(lines, key=lambda line: line.name or "")
    return sorted(lines, key=lambda line: (-line.spent, -line.stand_in, -line.saved, line.name or ""))


def _refresh(connection: Connection, name: str, by: By, start: int) -> dict[str | int | None, tuple[int, int]]:
    """Picodollars to record anew what each line replayed last, and how many recordings have no known price."""
    found = connection.execute(
        f"""
        SELECT {name}, coalesce(sum(recording.would_cost), 0), count(*) FILTER (WHERE recording.would_cost IS NULL)
        FROM recording JOIN call ON call.id = recording.call WHERE recording.time >= ? GROUP BY call.{by}
        """,  # noqa: S608 - `by` is one of BY
        (start,),
    )
    return {row[0]: row[1:] for row in found}


def _unpriced(connection: Connection, start: int) -> list[tuple[str, int]]:
    return connection.execute(
        """
        SELECT (SELECT text FROM label WHERE id = model), count(*) FROM call
        WHERE time >= ? AND (cost IS NULL OR (hit = ? AND would_cost IS NULL)) GROUP BY model ORDER BY 2 DESC, 1
        """,
        (start, _label(connection, "cassette")),
    ).fetchall()


def _estimated(connection: Connection, start: int) -> list[tuple[str, int]]:
    # The few of unknown price are found by an index, which does not hold how a call ended.
    return connection.execute(
        """
        SELECT (SELECT text FROM label WHERE id = model), count(*) FROM call
        WHERE id IN (SELECT id FROM call WHERE time >= ? AND cost IS NULL) AND outcome = ?
        GROUP BY model ORDER BY 2 DESC, 1
        """,
        (start, _label(connection, ESTIMATED)),
    ).fetchall()


def _spent(connection: Connection, now: datetime) -> Decimal:
    month = (microseconds(_first(now)), microseconds(now))
    return _usd(connection.execute("SELECT sum(cost) FROM call WHERE time BETWEEN ? AND ?", month).fetchone()[0])


def _month(now: datetime, spent: Decimal, limit: Decimal | None) -> Month:
    first = _first(now)
    whole = (first + timedelta(days=32)).replace(day=1) - first
    passed = max(now - first, timedelta(days=1))
    projected = spent * (whole // timedelta(seconds=1)) / (passed // timedelta(seconds=1))
    return Month(name=f"{now:%Y-%m}", spent=spent, projected=projected, limit=limit)


def _first(now: datetime) -> datetime:
    return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _total(lines: list[Line]) -> Line:
    return Line(
        calls=sum(line.calls for line in lines),
        live=sum(line.live for line in lines),
        replayed=sum(line.replayed for line in lines),
        spent=sum((line.spent for line in lines), Decimal(0)),
        saved=sum((line.saved for line in lines), Decimal(0)),
        refresh=sum((line.refresh for line in lines), Decimal(0)),
        stand_in=sum((line.stand_in for line in lines), Decimal(0)),
        unpriced_live=sum(line.unpriced_live for line in lines),
        unpriced_replayed=sum(line.unpriced_replayed for line in lines),
        unpriced_refresh=sum(line.unpriced_refresh for line in lines),
    )


def _label(connection: Connection, text: str) -> int | None:
    found = connection.execute("SELECT id FROM label WHERE text = ?", (text,)).fetchone()
    return found[0] if found else None


def _day(days: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=days)).isoformat()


def _usd(pico: int | None) -> Decimal:
    return to_usd(pico or 0)
