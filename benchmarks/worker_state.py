"""What the worker's state costs beside a bare gRPC echo, both in processes of their own on loopback.

    python benchmarks/worker_state.py [--calls 2000] [--database-url postgresql+psycopg://…] [--json figures.json]

The figure to read is the ratio: calls are interleaved with the echo's, so that a machine whose speed drifts does not
decide. Targets are those of the issue.
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
from typing import TYPE_CHECKING

import grpc
import sqlalchemy as sa

from python_worker.client import connect
from python_worker.v1 import worker_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ECHO = """
import grpc, sys
from concurrent.futures import ThreadPoolExecutor
handler = grpc.method_handlers_generic_handler(
    "echo.Echo", {"Echo": grpc.unary_unary_rpc_method_handler(lambda request, context: request)}
)
server = grpc.server(ThreadPoolExecutor(40))
server.add_generic_rpc_handlers((handler,))
print(f"GRPC_READY:{server.add_insecure_port('127.0.0.1:0')}", flush=True)
server.start()
sys.stdin.read()
"""


@contextlib.contextmanager
def process(*command: str) -> Iterator[tuple[str, int]]:
    """A server in a process of its own: its address and pid."""
    environ = os.environ | {"LM_MODE": ""}
    started = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environ
    )
    try:
        yield f"127.0.0.1:{started.stdout.readline().decode().strip().removeprefix('GRPC_READY:')}", started.pid
    finally:
        started.kill()
        started.communicate()


@contextlib.contextmanager
def schema_of_its_own(url: str | None) -> Iterator[list[str]]:
    """The worker's options for a schema of the benchmark's own, dropped afterwards; none for SQLite."""
    if url is None:
        yield []
        return
    engine, schema = sa.create_engine(url), f"benchmark_{os.getpid()}"
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema(schema))
    own = engine.url.update_query_dict({"options": f"-csearch_path={schema}"})
    try:
        yield ["--database-url", own.render_as_string(hide_password=False)]
    finally:
        with engine.begin() as connection:
            connection.execute(sa.schema.DropSchema(schema, cascade=True))
        engine.dispose()


def timed(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def interleaved(calls: int, *several: Callable[[], object]) -> list[list[float]]:
    """Seconds of each call, one of each kind in turn."""
    for call in several:
        for _ in range(50):
            call()
    times: list[list[float]] = [[] for _ in several]
    for _ in range(calls):
        for kept, call in zip(times, several, strict=True):
            kept.append(timed(call))
    return times


def p(times: list[float], percent: int) -> float:
    return statistics.quantiles(times, n=100)[percent - 1]


def rss(pid: int) -> float:
    """MB of memory a process holds."""
    with open(f"/proc/{pid}/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * 4096 / 1e6


class Figures:
    """Lines of a table, each with its target."""

    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []

    def add(self, what: str, value: float, unit: str, target: str, *, met: bool) -> None:
        self.lines.append({"what": what, "value": value, "unit": unit, "target": target, "met": met})
        print(f"{what:<48} {value:>12,.3f} {unit:<12} {target:<22} {'yes' if met else 'NO'}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--database-url")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    figures = Figures()
    with tempfile.TemporaryDirectory() as folder:
        worker = [
            sys.executable,
            "-m",
            "python_worker",
            "serve",
            "--lm-mode",
            "mock",
            "--port",
            "0",
            "--data-dir",
            folder,
        ]
        with (
            schema_of_its_own(arguments.database_url) as database,
            process(*worker, *database) as (target, pid),
            process(sys.executable, "-c", ECHO) as (echo_target, _),
        ):
            measure(figures, target, pid, echo_target, arguments.calls)
    if arguments.json:
        with open(arguments.json, "w") as file:  # noqa: PTH123
            json.dump(figures.lines, file, indent=1)


def measure(figures: Figures, target: str, pid: int, echo_target: str, calls: int) -> None:
    with grpc.insecure_channel(echo_target) as channel, connect(target) as client:
        echo_method = channel.unary_unary("/echo.Echo/Echo")
        request = pb.GetVariableRequest(session="bench", variable="x").SerializeToString()
        session = client.session("bench")
        session["x"] = 1.5

        def echo() -> object:
            return echo_method(request, timeout=10)

        unary(figures, session, echo, calls)
        cached(figures, client, calls)
        batches(figures, session)
        watching(figures, session)
        idle(figures, client, session, pid, calls)
        scaling(figures, target, echo_target)
        session.end()


def unary(figures: Figures, session, echo, calls: int) -> None:
    numbers = iter(range(10**9))
    bare, get, set_ = interleaved(calls, echo, lambda: session["x"], lambda: session.set("x", 2.5))
    figures.add("echo p50", p(bare, 50) * 1e3, "ms", "the measure", met=True)
    for name, times, most in (("get", get, 1.5), ("set, durable", set_, 2.5)):
        ratio = p(times, 50) / p(bare, 50)
        figures.add(f"{name} p50", p(times, 50) * 1e3, "ms", "", met=True)
        figures.add(f"{name} p50 / echo p50", ratio, "x", f"<= {most}", met=ratio <= most)
    (register,) = interleaved(calls // 2, lambda: session.register(f"r{next(numbers)}", 1))
    figures.add("register p99", p(register, 99) * 1e3, "ms", "< 10", met=p(register, 99) < 0.010)


def cached(figures: Figures, client, calls: int) -> None:
    session = client.session("bench", cache_ttl=60)
    (times,) = interleaved(calls * 5, lambda: session["x"])
    figures.add("cached get p50", p(times, 50) * 1e6, "us", "< 5", met=p(times, 50) < 5e-6)
    session.close()


def batches(figures: Figures, session) -> None:
    names = [f"b{number}" for number in range(1000)]
    session.set_many(dict.fromkeys(names, 0))
    single = statistics.median(timed(lambda: [session.set(name, 1) for name in names[:100]]) for _ in range(5)) / 100
    each = {}
    for count in (10, 100, 1000):
        some = dict.fromkeys(names[:count], 2)
        each[count] = statistics.median(timed(lambda: session.set_many(some)) for _ in range(9)) / count  # noqa: B023
        figures.add(f"batch set of {count}, each", each[count] * 1e6, "us", "", met=True)
    figures.add("100 single sets / one batch of 100", single / each[100], "x", ">= 10", met=single / each[100] >= 10)
    linear = each[1000] / each[100]
    figures.add("cost of one in 1,000 / one in 100", linear, "x", "<= 1.2 (linear)", met=linear <= 1.2)
    read = statistics.median(timed(lambda: session.get_many(names)) for _ in range(9)) / 1000
    figures.add("batch get of 1,000, each", read * 1e6, "us", "", met=True)


def watching(figures: Figures, session) -> None:
    updates = 20_000
    names = [f"w{number}" for number in range(500)]
    session.set_many(dict.fromkeys(names, 0))
    with session.watch("w*") as watch, ThreadPoolExecutor(1) as pool:
        reading = pool.submit(lambda: [next(watch) for _ in range(updates)])
        begun = time.perf_counter()
        for number in range(updates // 500):
            session.set_many(dict.fromkeys(names, number))
        reading.result(timeout=120)
        rate = updates / (time.perf_counter() - begun)
    figures.add("updates written and told to one watcher", rate, "/s", ">= 5,000", met=rate >= 5000)
    with session.watch("x") as watch:
        times = []
        for number in range(200):
            begun = time.perf_counter()
            session.set("x", float(number))
            next(watch)
            times.append(time.perf_counter() - begun)
    figures.add("set and told, p99", p(times, 99) * 1e3, "ms", "< 1,000", met=p(times, 99) < 1)


def idle(figures: Figures, client, session, pid: int, calls: int) -> None:
    before = rss(pid)
    (alone,) = interleaved(calls, lambda: session["x"])
    others = [client.session("bench").watch("nothing") for _ in range(200)]
    (beside,) = interleaved(calls, lambda: session["x"])
    held = (rss(pid) - before) / 200
    for other in others:
        other.close()
    (again,) = interleaved(calls, lambda: session["x"])
    ratio = p(beside, 99) / max(p(alone, 99), p(again, 99))
    figures.add("get p99, 200 idle watchers / none", ratio, "x", "<= 1.5", met=ratio <= 1.5)
    figures.add("memory of an idle watcher", held * 1e3, "KB", "", met=True)


def scaling(figures: Figures, target: str, echo_target: str) -> None:
    request = pb.GetVariableRequest(session="bench", variable="x").SerializeToString()
    for clients in (1, 2, 5, 10):
        with ThreadPoolExecutor(clients) as pool, contextlib.ExitStack() as stack:
            sessions = [stack.enter_context(connect(target)).session("bench") for _ in range(clients)]
            channels = [stack.enter_context(grpc.insecure_channel(echo_target)) for _ in range(clients)]
            echoes = [channel.unary_unary("/echo.Echo/Echo") for channel in channels]
            bare = sum(pool.map(rate, [lambda echo=echo: echo(request, timeout=10) for echo in echoes]))
            gets = sum(pool.map(rate, [lambda one=one: one["x"] for one in sessions]))
        figures.add(f"gets, {clients} concurrent clients", gets, "/s", "", met=True)
        figures.add(f"echoes / gets, {clients} concurrent clients", bare / gets, "x", "", met=True)


def rate(call: Callable[[], object], seconds: float = 1.5) -> float:
    """Calls a second."""
    count, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        call()
        count += 1
    return count / seconds


if __name__ == "__main__":
    main()
