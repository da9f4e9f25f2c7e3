"""What the benchmarks of the worker share: servers in processes of their own, times, and a table with targets."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import sqlalchemy as sa

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


def cpu(pid: int) -> float:
    """Seconds of processor time a process has used."""
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        after_its_name = file.read().rpartition(")")[2].split()
    return (int(after_its_name[11]) + int(after_its_name[12])) / os.sysconf("SC_CLK_TCK")


def idle_time() -> float:
    """Seconds that cores of the machine had nothing to do."""
    with open("/proc/stat") as file:  # noqa: PTH123
        return int(file.readline().split()[4]) / os.sysconf("SC_CLK_TCK")


def rss(pid: int) -> float:
    """MB of memory a process holds."""
    with open(f"/proc/{pid}/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * 4096 / 1e6


@contextlib.contextmanager
def servers(database_url: str | None) -> Iterator[tuple[tuple[str, int], tuple[str, int]]]:
    """A worker and a bare echo: the address and pid of each."""
    worker = (sys.executable, "-m", "python_worker", "serve", "--lm-mode", "mock", "--port", "0")
    with (
        tempfile.TemporaryDirectory() as folder,
        schema_of_its_own(database_url) as database,
        process(*worker, "--data-dir", folder, *database) as served,
        process(sys.executable, "-c", ECHO) as echo,
    ):
        yield served, echo


class Figures:
    """Lines of a table, each with its target."""

    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []

    def add(self, what: str, value: float, unit: str, target: str = "", *, met: bool | None = None) -> None:
        self.lines.append({"what": what, "value": value, "unit": unit, "target": target, "met": met})
        print(
            f"{what:<48} {value:>12,.3f} {unit:<12} {target:<22} {'' if met is None else 'yes' if met else 'NO'}",
            flush=True,
        )
