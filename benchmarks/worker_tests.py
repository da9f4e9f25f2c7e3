"""What it costs that a worker plays from the cassette of a test, which the call's metadata name.

    python benchmarks/worker_tests.py [--calls 300] [--tests 200] [--database-url postgresql+psycopg://…]

The same executions are replayed by one worker in a process of its own, from cassettes named by their inputs, and each
by a test of its own from one that is named, opened and closed; then a suite of tests is held against the same
executions in mode mock. All kinds are interleaved: the figures to read are the ratios.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

os.environ["LMTEST_LEDGER"] = "off"

from measuring import Figures, process, schema_of_its_own, timed

from lmtest import running
from lmtest.http.server import StandIn
from python_worker.client import AlreadyExists, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_worker.client import Client

TEXT = "signature qa: :string question -> :string answer"
NAMING = 1.05
SUITE = 1.3


@contextlib.contextmanager
def worker(mode: str, *options: str) -> Iterator[Client]:
    os.environ["GEMINI_API_KEY"] = "any-key"
    serve = (sys.executable, "-m", "python_worker", "serve", "--port", "0", "--lm-mode", mode, *options)
    with process(*serve) as (target, _), connect(target) as client:
        with contextlib.suppress(AlreadyExists):
            client.create_program("qa", signature=TEXT)
        yield client


@contextlib.contextmanager
def a_test(number: int, mode: str) -> Iterator[running.RunningTest]:
    """A test as the plugin tells clients of it."""
    test = running.RunningTest(
        test=f"tests/test_qa.py::test_capital[{number}]",
        cassette=f"tests/test_qa/test_capital[{number}].yaml",
        mode=mode,
        run="benchmark",
    )
    running.begin(test)
    try:
        yield test
    finally:
        running.end(test)


def ask(client: Client, number: int, **options: list[str]) -> None:
    client.execute("qa", {"question": f"What is the capital of country number {number}?"}, **options)


def close(test: running.RunningTest) -> None:
    while test.openings:
        test.openings.popitem()[1]("")


def record(base: str, asked: int) -> None:
    with worker("record", "--api-base", base, "--data-dir", "recording") as client:
        for number in range(asked):
            ask(client, number)
            with a_test(number, "record") as test:
                ask(client, number)
                close(test)


def compare(client: Client, calls: int, asked: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {"mocked": [], "by its inputs": [], "by its test": [], "closed": []}
    for number in range(calls):
        each = number % asked
        times["mocked"].append(timed(lambda n=each: ask(client, n, adapters=["mock"])))
        times["by its inputs"].append(timed(lambda n=each: ask(client, n)))
        with a_test(each, "replay") as test:
            times["by its test"].append(timed(lambda n=each: ask(client, n)))
            times["closed"].append(timed(lambda: close(test)))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--tests", type=int, default=200)
    parser.add_argument("--database-url")
    given = parser.parse_args()
    asked, figures = 50, Figures()
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name), StandIn(keep_requests=False) as provider:
        Path("cassettes").mkdir()
        record(f"{provider.url}/v1beta", asked)
        with schema_of_its_own(given.database_url) as database, worker("replay", *database) as client:
            compare(client, asked, asked)  # warm
            times = compare(client, given.calls, asked)
            medians = {kind: statistics.median(each) for kind, each in times.items()}
            for kind, median in medians.items():
                figures.add(f"p50, {kind}", median * 1000, "ms")
            named = medians["by its test"] / medians["by its inputs"]
            figures.add("named by its test, to by its inputs", named, "times", f"<= {NAMING}", met=named <= NAMING)
            suite = compare(client, given.tests, asked)
            tests = sum(suite["by its test"]) + sum(suite["closed"])
            ratio = tests / sum(suite["mocked"])
            figures.add(f"{given.tests} tests, closed, to mock", ratio, "times", f"<= {SUITE}", met=ratio <= SUITE)


if __name__ == "__main__":
    main()
