"""How long a live call is held up by its limits and its row: let through and settled, beside a bare insert.

    python benchmarks/settling.py [--calls 2000] [--processes 8] [--database-url URL]

Each call is held by a budget of its run, as every call of a test is by default. `lmtest.money.queue.Queue` lets it
through, and `Ledger.settle` enters it. The bare insert is one row in a table of its own in the same database.
With several processes, what they do together in a second stands beside what one does alone, of bare inserts too: one
writes at a time, so they set what is possible. On PostgreSQL it is done in a database that is made for it.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import statistics
import tempfile
import time
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg

from lmtest.cassette.interaction import Usage
from lmtest.money.budget import Budget
from lmtest.money.ledger import Ledger
from lmtest.money.limits import Limits
from lmtest.money.queue import Asked, Queue
from lmtest.money.row import LedgerRow
from lmtest.money.under_way import UNSETTLED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODEL = "gemini/gemini-2.5-flash"
CENT = Decimal("0.01")
LIMITS = Limits(usd_per_run=1_000_000)


def call(ledger: Ledger) -> None:
    """Let one call through, and settle it."""
    row = LedgerRow(
        time=datetime.now(UTC),
        model=MODEL,
        mode="live",
        hit="live",
        cost=None,
        run="run",
        test="tests/test_qa.py::test_answer",
        outcome=UNSETTLED,
        usage=Usage(),
    )
    asked = Asked(model=MODEL, row=row, estimate=CENT)
    limits = Budget(ledger, LIMITS, run="run").holding(asked)
    Queue(ledger).enter(asked, limits)
    settled = LedgerRow(
        time=row.time,
        model=MODEL,
        mode="live",
        hit="live",
        cost=CENT / 10,
        run="run",
        test=row.test,
        usage=Usage(input_tokens=800, output_tokens=120, total_tokens=920),
        provider="gemini",
        price_version="genai-prices 0.2.3",
        key=uuid.uuid4().hex * 2,
        latency=0.5,
    )
    ledger.settle(asked.id, settled, at_most=asked.estimate)


def bare(ledger: Ledger) -> None:
    """Insert one row, and commit."""
    with ledger.database.writing() as connection:
        connection.execute("INSERT INTO bare (text) VALUES (?)", ("a row",))


def median(action: Callable[[Ledger], None], ledger: Ledger, calls: int) -> float:
    """The median of so many, in microseconds."""
    taken = []
    for _ in range(calls):
        begun = time.perf_counter()
        action(ledger)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1e6


def work(action: Callable[[Ledger], None], place: Path | str, calls: int, barrier: Any, taken: Any) -> None:
    """Do it so often as one of several processes, and say how long it took."""
    with Ledger(place) as ledger:
        action(ledger)
        barrier.wait()
        begun = time.perf_counter()
        for _ in range(calls):
            action(ledger)
        taken.put((begun, time.perf_counter()))


def together(action: Callable[[Ledger], None], place: Path | str, calls: int, processes: int) -> float:
    """How often several processes together do it in a second."""
    context = multiprocessing.get_context("spawn")
    barrier, taken = context.Barrier(processes), context.Queue()
    workers = [context.Process(target=work, args=(action, place, calls, barrier, taken)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    spans = [taken.get() for _ in workers]
    for worker in workers:
        worker.join()
    return processes * calls / (max(end for _, end in spans) - min(begun for begun, _ in spans))


@contextlib.contextmanager
def places(url: str) -> Iterator[dict[str, Path | str]]:
    """A ledger in a file and one on a server."""
    name = f"lmtest_{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory() as directory, psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]  # made of hexadecimal digits
        try:
            yield {
                "SQLite": Path(directory, "ledger.sqlite3"),
                "PostgreSQL": urlsplit(url)._replace(path=f"/{name}").geturl(),
            }
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]  # likewise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--database-url", default="postgresql://postgres@127.0.0.1:5432/test")
    arguments = parser.parse_args()
    with places(arguments.database_url) as found:
        print(
            "             call, us  insert, us  ratio  alone/s  together/s  ratio  inserts alone/s  together/s  ratio"
        )
        for name, place in found.items():
            with Ledger(place) as ledger:
                call(ledger)
                with ledger.database.writing() as connection:
                    connection.execute("CREATE TABLE bare (text TEXT)")
                held, insert = median(call, ledger, arguments.calls), median(bare, ledger, arguments.calls)
            share = arguments.calls // arguments.processes
            alone, bare_alone = (together(action, place, arguments.calls, 1) for action in (call, bare))
            all_, bare_all = (together(action, place, share, arguments.processes) for action in (call, bare))
            print(
                f"{name:<12} {held:>9.0f} {insert:>11.0f} {held / insert:>6.1f} {alone:>8.0f} {all_:>11.0f} "
                f"{all_ / alone:>6.2f} {bare_alone:>16.0f} {bare_all:>11.0f} {bare_all / bare_alone:>6.2f}"
            )


if __name__ == "__main__":
    main()
