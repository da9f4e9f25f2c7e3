"""What an execution through the worker costs beside the same ``dspy.Predict`` in the caller's own process.

    python benchmarks/worker_executions.py [--calls 300] [--sustained SECONDS] [--database-url postgresql+psycopg://…]

Both replay the same recordings (made here, from the stand-in), each call from a cassette of its own. They are
interleaved, so that a machine whose speed drifts does not decide: the figures to read are the ratios. The worker runs
in a process of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

os.environ["LMTEST_LEDGER"] = "off"

import dspy

import lmtest
from lmtest.http.server import StandIn
from python_worker.client import AlreadyExists, WorkerError, connect
from python_worker.domain.value import fingerprint
from python_worker.signatures import parse, to_dspy
from python_worker.store import Database, SqlExecutions
from python_worker.store.execution_rows import to_row
from python_worker.store.executions import _INSERT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from python_worker.client import Client
    from python_worker.domain.execution import Execution

TEXT = "signature qa: :string question -> :string answer"
MODEL = "gemini/gemini-2.5-flash"


@contextlib.contextmanager
def worker(*options: str) -> Iterator[tuple[str, int]]:
    """A worker in a process of its own: its address and pid."""
    started = subprocess.Popen(
        [sys.executable, "-m", "python_worker", "serve", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"GEMINI_API_KEY": "any-key", "LM_MODE": ""},
    )
    try:
        yield f"127.0.0.1:{started.stdout.readline().decode().strip().removeprefix('GRPC_READY:')}", started.pid
    finally:
        started.kill()
        started.communicate()


def prepared(client: Client) -> Client:
    with contextlib.suppress(AlreadyExists):  # in a PostgreSQL of an earlier run
        client.create_signature(TEXT)
        client.create_program("qa", signature="qa")
    return client


def ask(client: Client, number: int) -> str:
    return client.execute("qa", {"question": question(number)}).outputs["answer"]


def question(number: int) -> str:
    return f"What is the capital of country number {number}?"


def in_process(folder: Path, lm: dspy.LM) -> Callable[[int], str]:
    """The same program under ``use_cassette``, opened for each call as the worker does."""
    predict = dspy.Predict(to_dspy(parse(TEXT)))

    def call(number: int) -> str:
        asked = {"question": question(number)}
        path = folder / "qa" / f"{fingerprint(asked)[:12]}.yaml"
        with lmtest.use_cassette(path, flag="replay"), dspy.context(lm=lm, disable_history=True):
            return predict(**asked).answer

    return call


def timed(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def p50(seconds: list[float]) -> float:
    return statistics.median(seconds) * 1000


def resident(pid: int) -> float:
    """MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def record(base: str, asked: int) -> None:
    options = ("--lm-mode", "record", "--api-base", base, "--data-dir", "recording")
    with worker(*options) as (target, _), connect(target) as client:
        prepared(client)
        for number in range(asked):
            ask(client, number)


def compare(client: Client, local: Callable[[int], str], calls: int, asked: int) -> dict[str, float]:
    here, there, empty = [], [], []
    for number in range(calls):
        here.append(timed(lambda n=number: local(n % asked)))
        there.append(timed(lambda n=number: ask(client, n % asked)))
        empty.append(timed(client.adapters))
    return {
        "in process, p50 ms": p50(here),
        "worker, p50 ms": p50(there),
        "a call that does nothing, p50 ms": p50(empty),
        "ratio": p50(there) / p50(here),
    }


def processor(client: Client, pid: int, local: Callable[[int], str], calls: int, asked: int) -> dict[str, float]:
    """The same in time of the processor, which other processes of a busy machine do not take."""
    begun = time.process_time()
    for number in range(calls):
        local(number % asked)
    here = (time.process_time() - begun) / calls
    begun, worked = time.process_time(), worked_by(pid)
    for number in range(calls):
        ask(client, number % asked)
    there = (worked_by(pid) - worked + time.process_time() - begun) / calls
    figures = {"in process, processor ms": here * 1000, "worker and client, processor ms": there * 1000}
    return figures | {"ratio of the processor": there / here}


def worked_by(pid: int) -> float:
    """Seconds of the processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def concurrent(client: Client, asked: int) -> dict[str, float]:
    def one(number: int) -> bool:
        try:
            ask(client, number % asked)
        except WorkerError as error:
            print(error, file=sys.stderr)
            return False
        return True

    with ThreadPoolExecutor(50) as pool:
        begun = time.perf_counter()
        answered = sum(pool.map(one, range(500)))
        seconds = time.perf_counter() - begun
    return {"50 at once, errors": 500 - answered, "50 at once, executions/s": answered / seconds}


def memory(client: Client, pid: int, asked: int) -> dict[str, float]:
    for number in range(100):
        ask(client, number % asked)
    before = resident(pid)
    for number in range(1000):
        ask(client, number % asked)
    after = resident(pid)
    return {"MiB before 1,000": before, "MiB after": after, "growth of 1,000, %": 100 * (after / before - 1)}


def sustained(client: Client, pid: int, seconds: float, asked: int) -> dict[str, float]:
    took: list[float] = []
    before, begun = resident(pid), time.perf_counter()
    for number in range(int(seconds * 10)):
        time.sleep(max(0.0, begun + number / 10 - time.perf_counter()))
        took.append(timed(lambda n=number: ask(client, n % asked)))
    tenth = max(1, len(took) // 10)
    first, last = p50(took[:tenth]), p50(took[-tenth:])
    return {
        f"10/s for {seconds:.0f} s, first tenth, p50 ms": first,
        "last tenth, p50 ms": last,
        "slower, %": 100 * (last / first - 1),
        "memory growth, %": 100 * (resident(pid) / before - 1),
    }


def audit_share(client: Client, database: Database, asked: int) -> dict[str, float]:
    """What keeping an execution costs with its trail and without, on the worker's own database."""
    store, (latest, *_) = SqlExecutions(database), client.list_executions()
    execution = client.get_execution(latest.id)
    whole, bare, answered = [], [], []
    for number in range(300):
        one, other = (replace(execution, id=f"{execution.id}_{which}_{number}") for which in ("a", "b"))
        whole.append(timed(lambda kept=one: store.keep(kept)))
        bare.append(timed(lambda kept=other: keep_the_row_alone(database, kept)))
        answered.append(timed(lambda n=number: ask(client, n % asked)))
    trail = p50(whole) - p50(bare)
    return {"kept with its trail, p50 ms": p50(whole), "the row alone, p50 ms": p50(bare)} | {
        "audit adds, % of an execution without": 100 * trail / (p50(answered) - trail)
    }


def keep_the_row_alone(database: Database, execution: Execution) -> None:
    row = to_row(execution, owner="")
    with database.write_directly() as connection:
        _INSERT.run(connection, row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--asked", type=int, default=50, help="how many different questions")
    parser.add_argument("--sustained", type=float, default=0.0, help="seconds of 10 executions a second")
    parser.add_argument("--database-url")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        with StandIn(keep_requests=False) as provider:
            base = f"{provider.url}/v1beta"
            record(base, given.asked)
        database = ["--database-url", given.database_url] if given.database_url else []
        lm = dspy.LM(MODEL, api_base=base, api_key="any-key", cache=False)
        with worker("--lm-mode", "replay", "--api-base", base, *database) as (target, pid), connect(target) as client:
            prepared(client)
            local = in_process(Path("cassettes"), lm)
            compare(client, local, given.asked, given.asked)  # warm
            figures |= compare(client, local, given.calls, given.asked)
            figures |= processor(client, pid, local, given.calls, given.asked)
            figures |= concurrent(client, given.asked)
            figures |= memory(client, pid, given.asked)
            with contextlib.closing(
                Database(given.database_url) if database else Database.in_directory(Path(".lmtest/worker"))
            ) as opened:
                figures |= audit_share(client, opened, given.asked)
            if given.sustained:
                figures |= sustained(client, pid, given.sustained, given.asked)
    for what, figure in figures.items():
        print(f"{what:<42}{figure:>10.2f}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
