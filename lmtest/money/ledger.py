"""The ledger: one row for every call, replayed ones included, with what it cost or would have cost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from lmtest import variables
from lmtest.cassette.interaction import STAND_IN, Usage
from lmtest.money.amounts import to_pico, to_usd
from lmtest.money.places import open_database

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lmtest.money.database import Connection

__all__ = ["ALL_MODELS", "Hit", "Ledger", "LedgerRow", "default_path", "microseconds", "periods"]

ALL_MODELS = ""
"""What stands for all models together where spending is kept."""

Hit = Literal["live", "cassette", "mock"]
"""Where the answer came from."""

_LABELS = ("run", "test", "cassette", "model", "provider", "mode", "hit", "outcome", "price_version")
_PLAIN = ("execution", "key", "latency")
_TOKENS = Usage.__slots__
_COLUMNS = ("time", *_LABELS, *_PLAIN, *_TOKENS, "cost", "would_cost", "dspy_cost")
_INSERT = f"INSERT INTO call ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - our names
# Materialized, so that what was appended is found by its ids and not by walking an index over all that was before.
_NOTE_REPLAYS = """
WITH appended AS MATERIALIZED (
    SELECT cassette, key, time, id, would_cost FROM call
    WHERE id > ? AND hit = ? AND cassette IS NOT NULL AND key IS NOT NULL
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY cassette, key ORDER BY would_cost IS NULL, time DESC, id DESC) AS nth
    FROM appended
)
INSERT INTO recording (cassette, key, time, call, would_cost)
SELECT cassette, key, time, id, would_cost FROM ranked WHERE nth = 1
ON CONFLICT (cassette, key) DO UPDATE
SET time = excluded.time, call = excluded.call, would_cost = excluded.would_cost
WHERE excluded.time >= recording.time AND (excluded.would_cost IS NOT NULL OR recording.would_cost IS NULL)
"""
_NOTE_SPENDING = """
INSERT INTO spend (period, model, usd) VALUES (?, ?, ?)
ON CONFLICT (period, model) DO UPDATE SET usd = spend.usd + excluded.usd
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerRow:
    """One call.

    Attributes:
        time: When it was sent, with its time zone.
        model: As DSPy names it.
        mode: The mode's name.
        hit: Where the answer came from.
        cost: USD it cost: 0 where nothing was charged, None where the price is unknown.
        would_cost: USD that a call would have cost live that was replayed, or that a stand-in answered; None where that
            is unknown, and of all others.
        dspy_cost: USD by DSPy's own estimate, where it has one.
        outcome: ``ok``, or the error's code.
        usage: Its tokens.
        run: The run's id.
        test: The test's id.
        cassette: The cassette's path, relative to the project.
        execution: The worker's execution.
        provider: Who answered.
        price_version: The price list, such as ``genai-prices 0.2.3``.
        key: The request's fingerprint.
        latency: Seconds.
    """

    time: datetime
    model: str
    mode: str
    hit: Hit
    cost: Decimal | None
    would_cost: Decimal | None = None
    dspy_cost: Decimal | None = None
    outcome: str = "ok"
    usage: Usage = field(default_factory=Usage)
    run: str | None = None
    test: str | None = None
    cassette: str | None = None
    execution: str | None = None
    provider: str | None = None
    price_version: str | None = None
    key: str | None = None
    latency: float | None = None

    @property
    def held(self) -> Decimal | None:
        """USD that budgets count: of a stand-in's answer the list price, so that a rehearsal goes as it would live."""
        return self.would_cost if self.provider == STAND_IN else self.cost


def default_path(environ: Mapping[str, str], root: Path, configured: str | None = None) -> Path | str:
    """Where the ledger is: ``LMTEST_LEDGER``, else ``[tool.lmtest] ledger``, else ``.lmtest/ledger.sqlite3``.

    Args:
        environ: The environment.
        root: The project's directory, which relative paths start from.
        configured: What ``[tool.lmtest]`` says.

    Returns:
        A file, or the URL of a database.

    >>> default_path({}, Path("project")).as_posix()
    'project/.lmtest/ledger.sqlite3'
    >>> default_path({"LMTEST_LEDGER": "money.db"}, Path("project"), "other.db").as_posix()
    'project/money.db'
    """
    place = environ.get(variables.LEDGER) or configured or ".lmtest/ledger.sqlite3"
    return place if "://" in place else root / Path(place).expanduser()


class Ledger:
    """The calls of all runs, processes and threads of a project, in one database.

    Args:
        place: SQLite's file, or PostgreSQL's URL; see `default_path`. It is made on the first write.

    Raises:
        ConfigurationError: The URL is of no kind that is known.

    >>> from decimal import Decimal
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> row = LedgerRow(time=_EPOCH, model="gemini/gemini-2.5-flash", mode="live", hit="live", cost=Decimal("0.01"))
    >>> with TemporaryDirectory() as directory, Ledger(Path(directory, "ledger.sqlite3")) as ledger:
    ...     ledger.append([row])
    ...     list(ledger) == [row]
    True
    """

    def __init__(self, place: Path | str) -> None:
        self.database = open_database(place)

    def append(self, rows: Sequence[LedgerRow]) -> None:
        """Add rows in one transaction: all of them or, on an error, none.

        Raises:
            ConfigurationError: The file cannot be used; the message says why and how to mend it.
            ValueError: A row's time has no time zone.
        """
        if rows:
            with self.database.writing() as connection:
                self.append_in(connection, rows)

    def append_in(self, connection: Connection, rows: Sequence[LedgerRow], *, at_most: Decimal | None = None) -> None:
        """Add rows within a transaction of the caller's, as the settling of a reservation does.

        Args:
            connection: What `Database.writing` gave.
            rows: As for `append`.
            at_most: USD to hold against budgets for a live row whose cost is unknown.
        """
        ids = _labels(connection, rows)
        (before,) = connection.execute("SELECT coalesce(max(id), 0) FROM call").fetchone()
        connection.executemany(_INSERT, [_values(row, ids) for row in rows])
        connection.execute(_NOTE_REPLAYS, (before, ids.get("cassette")))
        connection.executemany(_NOTE_SPENDING, _spending(rows, at_most))

    @property
    def is_there(self) -> bool:
        """Whether anything was ever written into it."""
        with self.database.reading() as connection:
            return connection is not None

    def open(self) -> None:
        """Make sure that a call's row can be written: it opens, and is made where it is not there.

        Raises:
            ConfigurationError: It cannot be; the message says why and how to mend it.
        """
        with self.database.writing() as connection:
            connection.execute(
                "DELETE FROM reservation WHERE id = ''"
            )  # of none: SQLite begins on what it cannot write

    def check(self) -> None:
        """See that calls can be written down, where there is a ledger already; makes none, and changes nothing.

        Raises:
            ConfigurationError: It cannot be read or written; the message says why and how to mend it.
        """
        with self.database.reading() as connection:
            if connection is None:
                return
        with self.database.writing() as connection:
            connection.execute("DELETE FROM reservation WHERE id = ''")  # of none, which only who may write may do

    def __iter__(self) -> Iterator[LedgerRow]:
        """Every row, oldest entry first."""
        with self.database.reading() as connection:
            if connection is None:
                return
            labels = dict(connection.execute("SELECT id, text FROM label"))
            found = connection.execute(f"SELECT {', '.join(_COLUMNS)} FROM call ORDER BY id").fetchall()  # noqa: S608 - our names
        for values in found:
            yield _row(dict(zip(_COLUMNS, values, strict=True)), labels)

    def estimates(self) -> tuple[tuple[str, Decimal, Decimal], ...]:
        """For each model of live calls that both priced: the model, USD by our list, USD by DSPy's."""
        with self.database.reading() as connection:
            if connection is None:
                return ()
            found = connection.execute(
                """
                SELECT (SELECT text FROM label WHERE id = model), sum(coalesce(would_cost, cost)), sum(dspy_cost)
                FROM call WHERE cost IS NOT NULL AND dspy_cost IS NOT NULL GROUP BY model ORDER BY 1
                """
            ).fetchall()
        return tuple(
            (model, to_usd(int(ours)) or Decimal(0), to_usd(int(theirs)) or Decimal(0)) for model, ours, theirs in found
        )

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def periods(*, time: datetime, run: str | None, test: str | None) -> dict[str, str]:
    """The periods a call's cost belongs to, by the field of `lmtest.money.limits.Limits` that limits each.

    >>> periods(time=_EPOCH, run="r1", test=None)
    {'usd_per_month': 'month 1970-01', 'usd_per_run': 'run r1'}
    """
    found = {"usd_per_month": f"month {time.astimezone(UTC):%Y-%m}"}
    if run is not None:
        found["usd_per_run"] = f"run {run}"
    if run is not None and test is not None:
        found["usd_per_test"] = f"test {run} {test}"
    return found


def microseconds(time: datetime) -> int:
    """A time as the ledger keeps it: microseconds since 1970, UTC.

    Raises:
        ValueError: The time has no time zone, so nobody knows when it was.

    >>> microseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    if time.tzinfo is None:
        raise ValueError(f"{time.isoformat()} has no time zone; give one, such as datetime.now(UTC)")
    return (time - _EPOCH) // timedelta(microseconds=1)


def _labels(connection: Connection, rows: Sequence[LedgerRow]) -> dict[str, int]:
    texts = [(text,) for text in sorted({getattr(row, name) for row in rows for name in _LABELS} - {None})]
    connection.executemany("INSERT INTO label (text) VALUES (?) ON CONFLICT DO NOTHING", texts)
    return dict(connection.execute("SELECT text, id FROM label WHERE text = ?", text).fetchone() for text in texts)


def _spending(rows: Iterable[LedgerRow], at_most: Decimal | None) -> list[tuple[str, str, int]]:
    sums: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if row.hit == "live" and (usd := to_pico(at_most if row.held is None else row.held)):
            for period in periods(time=row.time, run=row.run, test=row.test).values():
                sums[period, ALL_MODELS] += usd
                sums[period, row.model] += usd
    return [(*key, usd) for key, usd in sums.items()]


def _values(row: LedgerRow, ids: dict[str, int]) -> tuple[object, ...]:
    return (
        microseconds(row.time),
        *(None if (text := getattr(row, name)) is None else ids[text] for name in _LABELS),
        *(getattr(row, name) for name in _PLAIN),
        *(getattr(row.usage, name) for name in _TOKENS),
        to_pico(row.cost),
        to_pico(row.would_cost),
        to_pico(row.dspy_cost),
    )


def _row(values: dict[str, Any], labels: dict[int, str]) -> LedgerRow:
    texts: dict[str, Any] = {name: labels.get(values[name]) for name in _LABELS}
    return LedgerRow(
        time=_EPOCH + timedelta(microseconds=values["time"]),
        cost=to_usd(values["cost"]),
        would_cost=to_usd(values["would_cost"]),
        dspy_cost=to_usd(values["dspy_cost"]),
        usage=Usage.from_mapping({name: values[name] for name in _TOKENS}),
        **texts,
        **{name: values[name] for name in _PLAIN},
    )
