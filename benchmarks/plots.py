"""Draws what the benchmarks of the worker's state have measured.

    python benchmarks/plots.py build/bench

The folder holds `worker_state.json` and `worker_scaling.json`, and gets `latency.png`, `batches.png` and `scaling.png`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

COLOURS = {
    "echo": "#7f7f7f",
    "get": "#1f77b4",
    "set, durable": "#d62728",
    "register": "#9467bd",
    "a bare durable write": "#bcbd22",
    "gets": "#1f77b4",
    "gets with a pause": "#2ca02c",
    "echoes": "#7f7f7f",
}


def main() -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    folder = Path(sys.argv[1])
    state = json.loads((folder / "worker_state.json").read_text())
    scaling = json.loads((folder / "worker_scaling.json").read_text())
    for name, figure in (
        ("latency.png", latency(state["latencies"])),
        ("batches.png", batches(state["batches"])),
        ("scaling.png", scaled(scaling["scaling"])),
    ):
        figure.savefig(folder / name, dpi=150)
        print(folder / name)


def axes(title: str, across: str, up: str, *, count: int = 1):
    import matplotlib.pyplot as plt

    figure, several = plt.subplots(1, count, figsize=(8 if count == 1 else 12, 5), squeeze=False, layout="constrained")
    figure.suptitle(title)
    for each in several[0]:
        each.set(xlabel=across, ylabel=up)
        each.grid(alpha=0.3)
    return figure, *several[0]


def latency(times: dict[str, list[float]]):
    """How many calls of each kind were answered within how long."""
    figure, plot = axes("One call on loopback, one client", "milliseconds (log)", "calls answered within, %")
    half = sorted(times["echo"])[len(times["echo"]) // 2] * 1e3
    for name, each in times.items():
        ordered = sorted(each)
        middle = ordered[len(ordered) // 2] * 1e3
        shares = [100 * (number + 1) / len(ordered) for number in range(len(ordered))]
        label = f"{name}: p50 {middle:.2f} ms, {middle / half:.2f} x echo"
        plot.plot([second * 1e3 for second in ordered], shares, label=label, color=COLOURS[name])
    for name, most in (("get", 1.5), ("set, durable", 2.5)):
        plot.axvline(most * half, color=COLOURS[name], linestyle="--", linewidth=1)
        plot.text(
            most * half, 3, f" p50 of {name.partition(',')[0]}:\n <= {most} x echo", color=COLOURS[name], fontsize=8
        )
    plot.axhline(50, color="black", linewidth=0.5)
    longest = max(sorted(each)[int(len(each) * 0.999)] for each in times.values()) * 1e3
    plot.set(xscale="log", xlim=(half / 2, longest), ylim=(0, 101))
    number_ticks(plot, [0.5, 1, 2, 3, 5, 10, 20, 50])
    plot.legend(loc="center right")
    return figure


def batches(measured: dict[str, list[float]]):
    """Many sets one by one, and in one batch."""
    figure, plot, ratio = axes("Setting many variables", "variables", "milliseconds (log)", count=2)
    counts = measured["counts"]
    for name, key in (("one by one", "singles"), ("in one batch", "together")):
        plot.plot(counts, [second * 1e3 for second in measured[key]], marker="o", label=name)
    plot.plot(
        counts, [second * 1e2 for second in measured["singles"]], "--", color="grey", label="a tenth of one by one"
    )
    plot.set(xscale="log", yscale="log", title="time of all")
    plot.legend()
    gains = [single / batch for single, batch in zip(measured["singles"], measured["together"], strict=True)]
    ratio.plot(counts, gains, marker="o", color="#2ca02c")
    ratio.axhline(10, color="grey", linestyle="--")
    ratio.text(1, 10.2, "target from 100 on: 10 x", color="grey", fontsize=9)
    ratio.set(xscale="log", title="how many times as fast in a batch", ylabel="x", ylim=(0, None))
    plot.yaxis.set_major_formatter("{x:g}")
    for each in (plot, ratio):
        number_ticks(each, [1, 10, 100, 1000])
    return figure


def scaled(series: dict[str, list[list[float]]]):
    """Calls a second, and what the server used for them, by the number of clients."""
    title = "Clients in processes of their own; the server is one process"
    figure, rate, share = axes(title, "clients", "calls a second", count=2)
    for name, measured in series.items():
        clients, rates, shares, _ = zip(*measured, strict=True)
        rate.plot(clients, rates, marker="o", label=name, color=COLOURS[name])
        share.plot(clients, [100 * each for each in shares], marker="o", label=name, color=COLOURS[name])
    first = series["gets with a pause"][0][1]
    clients = [each[0] for each in series["gets with a pause"]]
    linear = [first * count for count in clients]
    rate.plot(
        clients, linear, "--", color=COLOURS["gets with a pause"], linewidth=1, label="linear, from one with a pause"
    )
    idle = [100 * each[3] for each in series["gets"]]
    share.plot(clients, idle, ":", color="black", label="idle cores of the machine, during gets")
    share.axhline(100, color="black", linewidth=0.8)
    rate.set(ylim=(0, None), title="throughput")
    share.set(ylim=(0, 135), title="processor time of the server", ylabel="% of one core")
    share.text(1, 102, "the one core a Python process can fill", fontsize=8)
    share.legend(fontsize=8, loc="upper left", ncols=2)
    rate.legend(fontsize=8)
    return figure


def number_ticks(plot, ticks: list[float]) -> None:
    low, high = plot.get_xlim()
    shown = [tick for tick in ticks if low <= tick <= high]
    plot.set_xticks(shown, [f"{tick:g}" for tick in shown])
    plot.minorticks_off()


if __name__ == "__main__":
    main()
