"""How many calls a second the worker answers as clients are added, each a process of its own, beside a bare echo.

    python benchmarks/worker_scaling.py [--seconds 2] [--database-url postgresql+psycopg://…] [--json figures.json]

Three kinds of clients: gets with a pause of 5 ms between them, as of a program that also does something else; gets as
fast as they are answered; and echoes as fast as they are answered. The server is one Python process, so it can use one
core: its share of that core is told beside each rate, and how much of the machine, which the clients use too, is idle.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import grpc
from measuring import Figures, cpu, idle_time, servers

from python_worker.client import connect
from python_worker.v1 import worker_pb2 as pb

CLIENTS = (1, 2, 4, 6, 8, 10)
PAUSE = 0.005


class Crowd(NamedTuple):
    """What as many clients together got."""

    clients: int
    rate: float
    server_share: float
    machine_idle: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--database-url")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--client", nargs=3, metavar=("KIND", "TARGET", "PAUSE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.client:
        kind, target, pause = arguments.client
        be_a_client(kind, target, float(pause), arguments.seconds)
        return
    figures, series = Figures(), {}
    with servers(arguments.database_url) as (worker, echo):
        with connect(worker[0]) as client:
            client.session("bench")["x"] = 1.5
        for name, kind, server, pause in (
            ("gets with a pause", "get", worker, PAUSE),
            ("gets", "get", worker, 0.0),
            ("echoes", "echo", echo, 0.0),
        ):
            client = ["--seconds", str(arguments.seconds), "--client", kind, server[0], str(pause)]
            series[name] = [crowd([sys.executable, __file__, *client], server[1], count) for count in CLIENTS]
            tell(name, series[name])
    one, ten = series["gets with a pause"][0], series["gets with a pause"][-1]
    linear = ten.rate / (ten.clients * one.rate)
    figures.add("10 clients with a pause / 10 times one", linear, "x", ">= 0.8 (linear)", met=linear >= 0.8)
    most = max(each.rate for each in series["gets"])
    figures.add("gets at most, all clients together", most, "/s")
    figures.add("echoes at most / gets at most", max(each.rate for each in series["echoes"]) / most, "x")
    if arguments.json:
        arguments.json.write_text(json.dumps({"figures": figures.lines, "scaling": series}))


def tell(name: str, measured: list[Crowd]) -> None:
    print(f"{name:<20} {'clients':>8} {'/s':>10} {'of linear':>10} {'server core':>12} {'machine idle':>13}")
    for each in measured:
        linear = each.rate / (each.clients * measured[0].rate)
        shares = f"{each.server_share:>12.0%} {each.machine_idle:>13.0%}"
        print(f"{'':<20} {each.clients:>8} {each.rate:>10,.0f} {linear:>10.0%} {shares}", flush=True)


def crowd(command: list[str], pid: int, count: int) -> Crowd:
    """Let as many clients call at once."""
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(count) as pool:
        clients = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(count)
        ]
        for each in clients:
            each.stdout.readline()  # it is connected and warm
        begun, used, idle = time.perf_counter(), cpu(pid), idle_time()
        for each in clients:
            each.stdin.write("\n")
            each.stdin.flush()
        counts = list(pool.map(lambda each: int(each.stdout.readline()), clients))
        took = time.perf_counter() - begun
        share, idle = (cpu(pid) - used) / took, (idle_time() - idle) / took / (os.cpu_count() or 1)
        return Crowd(count, sum(counts) / took, share, idle)


def be_a_client(kind: str, target: str, pause: float, seconds: float) -> None:
    request = pb.GetVariableRequest(session="bench", variable="x").SerializeToString()
    with grpc.insecure_channel(target) as channel, connect(target) as client:
        echo = channel.unary_unary("/echo.Echo/Echo")
        session = client.session("bench") if kind == "get" else None
        call = (lambda: session["x"]) if session else (lambda: echo(request, timeout=10))
        for _ in range(50):
            call()
        print("warm", flush=True)
        sys.stdin.readline()
        count, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            call()
            count += 1
            if pause:
                time.sleep(pause)
        print(count, flush=True)


if __name__ == "__main__":
    main()
