"""The ledger: one row for every call, replayed ones included, with what it cost or would have cost."""

from __future__ import annotations

import contextlib
import functools
import logging
import uuid
from collections import defaultdict
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from lmtest import clock, variables
from lmtest.cassette.interaction import Usage
from lmtest.errors import ConfigurationError
from lmtest.money import under_way
from lmtest.money.amounts import to_pico, to_usd
from lmtest.money.database import PATIENCE, Duplicate
from lmtest.money.places import open_database
from lmtest.money.row import LedgerRow
from lmtest.money.spool import Entry, Spool
from lmtest.money.under_way import UNSETTLED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from lmtest.money.database import Connection

__all__ = ["ALL_MODELS", "Ledger", "default_path", "microseconds", "periods"]

_LOG = logging.getLogger("lmtest")

ALL_MODELS = ""
"""What stands for all models together where spending is kept."""

_LABELS = ("run", "test", "cassette", "model", "provider", "mode", "hit", "outcome", "price_version")
_PLAIN = ("execution", "key", "latency")
_TOKENS = Usage.__slots__
_labels_of, _plain_of, _tokens_of = attrgetter(*_LABELS), attrgetter(*_PLAIN), attrgetter(*_TOKENS)
_COLUMNS = ("time", *_LABELS, *_PLAIN, *_TOKENS, "cost", "would_cost", "dspy_cost")
_INSERT_NEW = f"INSERT INTO call ({', '.join(_COLUMNS)}, claim) VALUES ({'?, ' * len(_COLUMNS)}?)"  # noqa: S608 - our names
_INSERT = f"{_INSERT_NEW} ON CONFLICT DO NOTHING"
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
INSERT INTO spend (period, model, usd) VALUES {}
ON CONFLICT (period, model) DO UPDATE SET usd = spend.usd + excluded.usd
"""
_AT_ONCE = 1_000  # of these, whose parameters every database takes in one statement
_SETTLING = 2.0  # seconds that a settling waits for another's transaction: an answer is waited for
_PAUSES = (0.05, 0.5, None)  # seconds between two tries
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Spending = tuple[str, str, int]  # a period, a model, picodollars


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

    def __init__(self, place: Path | str, *, root: Path | None = None) -> None:
        self.database = open_database(place)
        self._spool = Spool.of(place, root or Path())
        self._kept = list[Entry]()

    def append(self, rows: Sequence[LedgerRow]) -> None:
        """Add rows in one transaction: all of them or, on an error, none.

        Raises:
            ConfigurationError: The file cannot be used; the message says why and how to mend it.
            ValueError: A row's time has no time zone.
        """
        if rows:
            with self._entering() as (connection, labels):
                _insert(connection, labels, [(row, None) for row in rows])
                _note(connection, _spending(rows, None))

    def keep(self, rows: Sequence[LedgerRow]) -> None:
        """Keep rows beside the ledger until it can take them, which it does when it is opened next.

        Raises:
            OSError: They cannot be kept there.
        """
        self._spool.put([Entry(claim=uuid.uuid4().hex, row=row) for row in rows])

    def settle(
        self,
        claim: str,
        row: LedgerRow,
        *,
        at_most: Decimal | None = None,
        also: Callable[[Connection], None] | None = None,
    ) -> None:
        """Enter a call that was under way, and give back what it held, in one transaction.

        Never raises for a ledger that stumbles: the call was paid for, and its answer is there. It is tried again, then
        kept beside the ledger.

        Args:
            claim: The call's own name, by which it is entered once, however often it is tried.
            row: Its row; one of unknown cost is charged to budgets at the worst that it can have been.
            at_most: That worst case, in USD.
            also: What else is to be done in the transaction.
        """
        self._end(Entry(claim=claim, row=row, at_most=at_most), also)

    def release(self, claim: str, *, also: Callable[[Connection], None] | None = None) -> None:
        """Give back what a call held that was not sent; as `settle`, it never raises for a ledger that stumbles."""
        self._end(Entry(claim=claim, row=None), also)

    def take_in(self) -> None:
        """Enter what was kept beside the ledger.

        Raises:
            ConfigurationError: The ledger cannot be used.
        """
        for file, entries in self._spool.files():
            self._take_in(entries)
            file.unlink(missing_ok=True)
        if kept := self._kept:
            self._take_in(kept)
            self._kept = [entry for entry in self._kept if entry not in kept]

    def enter(self, connection: Connection, entry: Entry) -> None:
        """Enter a call within a transaction of the caller's, as `settle` does; once more does no harm."""
        labels = _Labels(connection, self.database.labels)
        self._enter(connection, labels, entry, _spent(entry))

    def _end(self, entry: Entry, also: Callable[[Connection], None] | None) -> None:
        spending = _spent(entry)  # beforehand, for while a transaction is open everybody waits
        for pause in _PAUSES:
            try:
                try:
                    self._try_to_end(entry, spending, also, new=True)
                except Duplicate:  # an earlier try came through, or it was taken for dead
                    self._try_to_end(entry, spending, also, new=False)
            except ConfigurationError as error:
                if pause is None:
                    self._keep(entry, error)
                else:
                    clock.sleep(pause)
            else:
                return

    def _try_to_end(
        self, entry: Entry, spending: list[_Spending], also: Callable[[Connection], None] | None, *, new: bool
    ) -> None:
        with self._entering(patience=_SETTLING) as (connection, labels):
            self._enter(connection, labels, entry, spending, new=new)
            if also is not None:
                also(connection)

    def _keep(self, entry: Entry, error: ConfigurationError) -> None:
        """Keep it in a file, or where that cannot be, in memory until the process ends."""
        try:
            self._spool.put([entry])
        except OSError:
            self._kept.append(entry)
            where = "in memory"
        else:
            where = f"in {self._spool.directory}"
        _LOG.warning("A call is not in the ledger yet, and kept %s until it can be. %s", where, error)

    def _take_in(self, entries: Sequence[Entry]) -> None:
        with self._entering() as (connection, labels):
            for entry in entries:
                self._enter(connection, labels, entry, _spent(entry))

    @contextmanager
    def _entering(self, *, patience: float = PATIENCE) -> Iterator[tuple[Connection, _Labels]]:
        with self.database.writing(patience=patience) as connection:
            labels = _Labels(connection, self.database.labels)
            yield connection, labels
        labels.remember()

    def _enter(
        self, connection: Connection, labels: _Labels, entry: Entry, spending: list[_Spending], *, new: bool = False
    ) -> None:
        """Book a call; with `new` it is taken for one that is not yet, so nothing is asked in the midst of it."""
        row, name = entry.row, entry.claim.rpartition("/")[2]
        under_way.end(connection, entry.claim)
        if row is None:
            return
        if not _insert(connection, labels, [(row, name)], new=new):
            before = self._rows(connection, "WHERE claim = ?", (name,))[0]
            if before.outcome != UNSETTLED or row.outcome == UNSETTLED:
                return  # it was entered, and whoever did so did not hear of it
            connection.execute("DELETE FROM call WHERE claim = ?", (name,))
            _note(connection, _spending([before], entry.at_most, sign=-1))
            _insert(connection, labels, [(row, name)])
        _note(connection, spending)

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
        self.take_in()
        with self.database.writing() as connection:
            connection.execute("DELETE FROM under_way WHERE id = ''")  # of none: SQLite begins on what it cannot write
            under_way.settle_dead(self, connection)

    def check(self) -> None:
        """See that calls can be written down, where there is a ledger already; makes none, and changes nothing.

        Raises:
            ConfigurationError: It cannot be read or written; the message says why and how to mend it.
        """
        with self.database.reading() as connection:
            if connection is None:
                return
        with self.database.writing() as connection:
            connection.execute("DELETE FROM under_way WHERE id = ''")  # of none, which only who may write may do

    def __iter__(self) -> Iterator[LedgerRow]:
        """Every row, oldest entry first."""
        with self.database.reading() as connection:
            if connection is None:
                return
            rows = self._rows(connection, "ORDER BY id")
        yield from rows

    def _rows(self, connection: Connection, which: str, parameters: Sequence[Any] = ()) -> list[LedgerRow]:
        labels = dict(connection.execute("SELECT id, text FROM label"))
        found = connection.execute(f"SELECT {', '.join(_COLUMNS)} FROM call {which}", parameters)  # noqa: S608 - our names
        return [_row(dict(zip(_COLUMNS, values, strict=True)), labels) for values in found]

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
        """Close the file; what it could not take is tried once more."""
        if self._kept:
            with contextlib.suppress(ConfigurationError):
                self.take_in()
        for entry in self._kept:
            _LOG.error("A call never came into the ledger: %s", entry.to_json())
        self._kept = []
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
    day = time.astimezone(UTC)
    return dict(_periods(day.year, day.month, run, test))


@functools.lru_cache(maxsize=256)
def _periods(year: int, month: int, run: str | None, test: str | None) -> dict[str, str]:
    found = {"usd_per_month": f"month {year:04}-{month:02}"}
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


class _Labels:
    """The ids of texts in one transaction; those that are new are remembered when it has ended well."""

    def __init__(self, connection: Connection, known: dict[str, int]) -> None:
        self._connection = connection
        self._known = known
        self._new = dict[str, int]()

    def id(self, text: str) -> int:
        found = self._known.get(text) or self._new.get(text)
        if found is None:
            self._connection.execute("INSERT INTO label (text) VALUES (?) ON CONFLICT DO NOTHING", (text,))
            (found,) = self._connection.execute("SELECT id FROM label WHERE text = ?", (text,)).fetchone()
            self._new[text] = found
        return found

    def remember(self) -> None:
        self._known |= self._new


def _insert(
    connection: Connection, labels: _Labels, rows: Sequence[tuple[LedgerRow, str | None]], *, new: bool = False
) -> bool:
    """Add calls, each with the name it is entered by once; false where a single one was there, unless it is `new`."""
    played = any(row.hit == "cassette" for row, _ in rows)
    before = connection.execute("SELECT coalesce(max(id), 0) FROM call").fetchone()[0] if played else 0
    values = [(*_values(row, labels), name) for row, name in rows]
    if new:
        connection.execute(_INSERT_NEW, values[0])
    elif len(values) == 1:
        if not connection.execute(_INSERT, values[0]).rowcount:
            return False
    else:
        connection.executemany(_INSERT, values)
    if played:
        connection.execute(_NOTE_REPLAYS, (before, labels.id("cassette")))
    return True


def _note(connection: Connection, spending: list[_Spending]) -> None:
    for first in range(0, len(spending), _AT_ONCE):
        some = spending[first : first + _AT_ONCE]
        connection.execute(_noting(len(some)), [value for each in some for value in each])


@functools.cache
def _noting(count: int) -> str:
    return _NOTE_SPENDING.format(", ".join(["(?, ?, ?)"] * count))


def _spent(entry: Entry) -> list[_Spending]:
    return [] if entry.row is None else _spending([entry.row], entry.at_most)


def _spending(rows: Iterable[LedgerRow], at_most: Decimal | None, *, sign: int = 1) -> list[_Spending]:
    sums: defaultdict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        if row.hit == "live" and (usd := to_pico(at_most if (held := row.held) is None else held)):
            for period in periods(time=row.time, run=row.run, test=row.test).values():
                sums[period, ALL_MODELS] += usd
                sums[period, row.model] += usd
    return [(*key, sign * usd) for key, usd in sums.items()]


def _values(row: LedgerRow, labels: _Labels) -> tuple[object, ...]:
    return (
        microseconds(row.time),
        *[None if text is None else labels.id(text) for text in _labels_of(row)],
        *_plain_of(row),
        *_tokens_of(row.usage),
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
