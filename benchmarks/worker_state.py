"""What the worker's state costs beside a bare gRPC echo, both in processes of their own on loopback.

    python benchmarks/worker_state.py [--calls 2000] [--database-url postgresql+psycopg://…] [--json figures.json]

The figure to read is the ratio: calls are interleaved with the echo's, so that a machine whose speed drifts does not
decide. docs/state.md has the targets. On PostgreSQL, a durable write waits for its disk: what that takes by itself is
told too. `benchmarks/plots.py` draws what `--json` keeps.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import psycopg
import sqlalchemy as sa
from measuring import Figures, cpu, interleaved, p, rss, servers, timed

from python_worker.client import connect
from python_worker.v1 import worker_pb2 as pb

BATCHES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--database-url")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures, series = Figures(), {}
    with (
        servers(arguments.database_url) as ((target, pid), (echo_target, _)),
        grpc.insecure_channel(echo_target) as channel,
        connect(target) as client,
        bare_write(arguments.database_url) as write,
    ):
        session = client.session("bench")
        session["x"] = 1.5
        request = pb.GetVariableRequest(session="bench", variable="x").SerializeToString()
        echo = channel.unary_unary("/echo.Echo/Echo")
        calls = {
            "echo": lambda: echo(request, timeout=10),
            "get": lambda: session["x"],
            "set, durable": lambda: session.set("x", 2.5),
        } | ({"a bare durable write": write} if write else {})
        series["latencies"] = unary(figures, calls, session, arguments.calls)
        cached(figures, client, arguments.calls)
        series["batches"] = batches(figures, session)
        watching(figures, session, pid)
        increments(figures, client, session)
        idle(figures, client, session, pid, arguments.calls)
        session.end()
    if arguments.json:
        arguments.json.write_text(json.dumps({"figures": figures.lines, **series}))


@contextlib.contextmanager
def bare_write(url):
    """One row changed on PostgreSQL by the driver alone, durably; nothing for SQLite, which waits for no disk."""
    if url is None:
        yield None
        return
    plain = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS benchmark_bare (n int)")
        try:
            connection.execute("INSERT INTO benchmark_bare VALUES (0)")
            yield lambda: connection.execute("UPDATE benchmark_bare SET n = n + 1")
        finally:
            connection.execute("DROP TABLE benchmark_bare")


def unary(figures: Figures, calls, session, count: int):
    numbers = iter(range(10**9))
    times = dict(zip(calls, interleaved(count, *calls.values()), strict=True))
    (times["register"],) = interleaved(count // 2, lambda: session.register(f"r{next(numbers)}", 1))
    half = {name: p(each, 50) for name, each in times.items()}
    for name in calls:
        figures.add(f"{name} p50", half[name] * 1e3, "ms")
    for name, most in (("get", 1.5), ("set, durable", 2.5)):
        ratio = half[name] / half["echo"]
        figures.add(f"{name} p50 / echo p50", ratio, "x", f"<= {most}", met=ratio <= most)
    if bare := half.get("a bare durable write"):
        figures.add("set p50 / (echo p50 + bare write p50)", half["set, durable"] / (half["echo"] + bare), "x")
    p99 = p(times["register"], 99)
    figures.add("register p99", p99 * 1e3, "ms", "< 10", met=p99 < 0.010)
    return times


def cached(figures: Figures, client, calls: int) -> None:
    session = client.session("bench", cache_ttl=60)
    (times,) = interleaved(calls * 5, lambda: session["x"])
    figures.add("cached get p50", p(times, 50) * 1e6, "us", "< 5", met=p(times, 50) < 5e-6)
    session.close()


def batches(figures: Figures, session):
    names = [f"b{number}" for number in range(BATCHES[-1])]
    session.set_many(dict.fromkeys(names, 0))
    singles, together = dict.fromkeys(BATCHES, 0.0), dict.fromkeys(BATCHES, 0.0)
    for count in BATCHES:
        some = dict.fromkeys(names[:count], 2)
        # In turn, and singles up to 100: beyond, each costs what it costs.
        few = names[: min(count, 100)]
        each = [(timed(lambda: session.set_many(some)), one_by_one(session, few)) for _ in range(9)]  # noqa: B023
        together[count] = statistics.median(batch for batch, _ in each)
        singles[count] = statistics.median(single for _, single in each) * count
    for count in (10, 100, 1000):
        figures.add(f"batch set of {count}, each", together[count] / count * 1e6, "us")
    ratio = singles[100] / together[100]
    figures.add("100 single sets / one batch of 100", ratio, "x", ">= 10", met=ratio >= 10)
    linear = together[1000] / 10 / together[100]
    figures.add("cost of one in 1,000 / one in 100", linear, "x", "<= 1.2 (linear)", met=linear <= 1.2)
    read = statistics.median(timed(lambda: session.get_many(names)) for _ in range(9)) / len(names)
    figures.add("batch get of 1,000, each", read * 1e6, "us")
    return {"counts": BATCHES, "singles": list(singles.values()), "together": list(together.values())}


def one_by_one(session, names: list[str]) -> float:
    """Seconds of one set among as many."""
    return timed(lambda: [session.set(name, 1) for name in names]) / len(names)


def watching(figures: Figures, session, pid: int) -> None:
    updates = 20_000
    names = [f"w{number}" for number in range(500)]
    session.set_many(dict.fromkeys(names, 0))
    with session.watch("w*") as watch, ThreadPoolExecutor(1) as pool:
        reading = pool.submit(lambda: [next(watch) for _ in range(updates)])
        begun, used = time.perf_counter(), cpu(pid)
        for number in range(updates // 500):
            session.set_many(dict.fromkeys(names, number))
        reading.result(timeout=120)
        rate, used = updates / (time.perf_counter() - begun), cpu(pid) - used
    figures.add("updates written and told to one watcher", rate, "/s", ">= 5,000", met=rate >= 5000)
    figures.add("of which the server's processor time, each", used / updates * 1e6, "us")
    with session.watch("x") as watch:
        times = []
        for number in range(200):
            begun = time.perf_counter()
            session.set("x", float(number))
            next(watch)
            times.append(time.perf_counter() - begun)
    figures.add("set and told, p99", p(times, 99) * 1e3, "ms", "< 1,000", met=p(times, 99) < 1)


def increments(figures: Figures, client, session) -> None:
    session["count"] = 0
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: [client.session("bench").increment("count") for _ in range(10)], range(5)))
    figures.add("5 clients, 10 increments each", session["count"], "", "50", met=session["count"] == 50)


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
    figures.add("memory of an idle watcher", held * 1e3, "KB")


if __name__ == "__main__":
    main()
