"""How long a cost report over a big ledger takes.

    python benchmarks/ledger.py [--rows 1000000] [--keep ledger.sqlite3]

Makes a ledger the size of a busy year (2,000 tests, 300 cassettes, 20,000 recordings, one call in ten live, one in
a hundred of unknown price) through `Ledger.append`, then times the report by each of its groupings.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from lmtest.cassette.interaction import Usage
from lmtest.money.ledger import Ledger
from lmtest.money.report import BY, cost_report
from lmtest.money.row import LedgerRow

if TYPE_CHECKING:
    from collections.abc import Iterator

START = datetime(2025, 11, 20, tzinfo=UTC)
NOW = datetime(2026, 11, 20, tzinfo=UTC)
MODELS = ("gemini/gemini-2.5-flash", "gemini/gemini-2.5-pro", "openai/gpt-5-mini", "anthropic/claude-sonnet-4-5")
BATCH = 1000


def rows(count: int) -> Iterator[LedgerRow]:
    random_ = random.Random(2026)
    usage = Usage(input_tokens=800, output_tokens=120, total_tokens=920)
    for number in range(count):
        recording = random_.randrange(20_000)
        live, priced = random_.random() < 0.1, random_.random() < 0.99
        cost = Decimal(100_000 + recording).scaleb(-9) if priced else None
        yield LedgerRow(
            time=START + (NOW - START) * number / count,
            run=f"run-{number // 2_000}",
            test=f"tests/test_{recording % 100}.py::test_answer[{recording % 2_000}]",
            cassette=f"cassettes/suite_{recording % 300}.yaml",
            model=MODELS[recording % len(MODELS)] if priced else "ollama/llama3",
            provider="gemini",
            mode="live" if live else "replay",
            hit="live" if live else "cassette",
            usage=usage,
            cost=cost if live else Decimal(0),
            would_cost=None if live else cost,
            price_version="genai-prices",
            key=f"{recording:064x}",
            latency=0.5,
        )


def fill(ledger: Ledger, count: int) -> float:
    batch, spent = [], 0.0
    for row in rows(count):
        batch.append(row)
        if len(batch) == BATCH:
            begun = time.perf_counter()
            ledger.append(batch)
            spent += time.perf_counter() - begun
            batch = []
    ledger.append(batch)
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="a ledger to make and keep, or to use again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = arguments.keep or Path(directory, "ledger.sqlite3")
        if not path.exists():
            with Ledger(path) as ledger:
                seconds = fill(ledger, arguments.rows)
            size = path.stat().st_size / 1e6
            each = seconds / arguments.rows * 1e6
            print(f"append {arguments.rows:,} rows, {BATCH:,} at a time: {each:.1f} us a row, {size:.0f} MB")
        print(f"{'report':<22} {'lines':>6} {'seconds':>8}")
        for since in (None, NOW - timedelta(days=30)):
            for by in BY:
                with Ledger(path) as ledger:
                    begun = time.perf_counter()
                    report = cost_report(ledger, by=by, since=since, now=NOW)
                    seconds = time.perf_counter() - begun
                name = f"--by {by}" + (" --since 30d" if since else "")
                print(f"{name:<22} {len(report.lines):>6,} {seconds:>8.2f}")


if __name__ == "__main__":
    main()
