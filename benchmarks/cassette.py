"""Cassettes beside vcrpy's, on the same exchanges, in one run.

    python benchmarks/cassette.py [--full]

Each exchange is a prompt and an answer of some 3 KB together, each prompt its own. vcrpy is asked below HTTP, at
`Cassette.play_response`, so that nothing of a client is counted; once with its own matching of bodies, and once with a
matcher that compares bytes, which a skilled user would configure. Without `--full` the largest sizes are left out and
the run ends within a minute.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from lmtest.cassette import yamltext
from lmtest.cassette.cassette import Cassette
from lmtest.cassette.index import Index
from lmtest.cassette.interaction import Header, Interaction, Json, Reply
from lmtest.cassette.redact import Redactor
from lmtest.errors import CassetteMiss
from lmtest.modes import Mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from vcr.cassette import Cassette as VcrCassette
    from vcr.request import Request as VcrRequest

RULE = "Weigh what is known, say what is not, and prefer the shorter of two answers that say the same. "
SYSTEM = "\n".join(f"{number}. {RULE}" for number in range(1, 13))
HEADER = Header(format=1, recorded_at="2026-11-20T12:00:00Z", source="stand-in", lmtest="0.1.0", dspy="3.4.1")
REDACTOR = Redactor(environ={})

# Run in a process of its own, because a peak never goes down again.
MEMORY = r"""
import re, sys
from pathlib import Path

def peak():
    # Not getrusage: that begins with the peak of whoever started the process.
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

sys.path.insert(0, sys.argv[2])
import cassette as benchmark
benchmark.request(0)
before = peak()
opened = benchmark.opened(Path(sys.argv[1]))
for number in range(10):
    opened.play(benchmark.request(number * 2999))
print(peak() - before)
"""


# ── the exchanges ────────────────────────────────────────────────────────────────────────────────────────────────────


def question(number: int) -> str:
    return f"[[ ## question ## ]]\nWhat follows from {number} and {number * 7919 % 10007}?\n\n[[ ## completed ## ]]"


def answer(number: int) -> str:
    return f"[[ ## answer ## ]]\n{(RULE * 8).strip()}\nSo it is {number}.\n\n[[ ## completed ## ]]"


def request(number: int) -> Json:
    return {
        "model": "gemini/gemini-2.5-flash",
        "system": SYSTEM,
        "messages": [{"role": "user", "parts": [{"type": "text", "text": question(number)}]}],
        "config": {"temperature": 0.7},
    }


def reply(number: int) -> Reply:
    message = {"role": "assistant", "parts": [{"type": "text", "text": answer(number)}]}
    usage = {"input_tokens": 400, "output_tokens": 200, "total_tokens": 600}
    return Reply(
        response={
            "id": f"r-{number}",
            "message": message,
            "finish_reason": "stop",
            "usage": usage,
            "provider_data": gemini_answer(number),
        }
    )


def vcr_request(number: int) -> VcrRequest:
    from vcr.request import Request

    body = {
        "systemInstruction": {"parts": [{"text": SYSTEM}]},
        "contents": [{"role": "user", "parts": [{"text": question(number)}]}],
        "generationConfig": {"temperature": 0.7},
    }
    uri = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent"
    return Request("POST", uri, json.dumps(body).encode(), {"Content-Type": "application/json"})


def gemini_answer(number: int) -> Json:
    return {"candidates": [{"content": {"parts": [{"text": answer(number)}], "role": "model"}, "finishReason": "STOP"}]}


def vcr_response(number: int) -> dict[str, Any]:
    return {
        "status": {"code": 200, "message": "OK"},
        "headers": {"Content-Type": ["application/json"]},
        "body": {"string": json.dumps(gemini_answer(number)).encode()},
    }


# ── the cassettes ────────────────────────────────────────────────────────────────────────────────────────────────────


def record(path: Path, count: int) -> tuple[float, float]:
    """Record exchanges into a file; gives the seconds of recording and of saving."""
    cassette = Cassette(path, mode=Mode.RECORD, redactor=REDACTOR)
    requests, replies = [request(number) for number in range(count)], [reply(number) for number in range(count)]

    def all_of_them() -> None:
        for asked, told in zip(requests, replies, strict=True):
            key, normal = cassette.normalise(asked)
            cassette.record(
                Interaction(key=key, request=normal, outcome=told, cost=Decimal("0.001"), latency=0.25),
                source="stand-in",
            )

    return seconds(all_of_them), seconds(lambda: cassette.save(HEADER))


def opened(path: Path) -> Cassette:
    return Cassette(path, mode=Mode.REPLAY, redactor=REDACTOR)


def record_vcr(path: Path, count: int) -> None:
    from vcr.cassette import Cassette
    from vcr.record_mode import RecordMode

    cassette = Cassette(str(path), record_mode=RecordMode.ALL)
    for number in range(count):
        cassette.append(vcr_request(number), vcr_response(number))
    cassette._save(force=True)  # noqa: SLF001 - vcrpy saves when its context ends; there is none here


def same_bytes(one: VcrRequest, other: VcrRequest) -> None:
    assert one.body == other.body


def opened_vcr(path: Path, *, by_bytes: bool) -> VcrCassette:
    from vcr import matchers
    from vcr.cassette import Cassette
    from vcr.record_mode import RecordMode

    match_on = (matchers.method, matchers.uri, same_bytes if by_bytes else matchers.body)
    return Cassette.load(path=str(path), record_mode=RecordMode.NONE, match_on=match_on)


# ── the measuring ────────────────────────────────────────────────────────────────────────────────────────────────────


def seconds(what: Callable[[], object]) -> float:
    start = time.perf_counter()
    what()
    return time.perf_counter() - start


def best(what: Callable[[], object], *, times: int) -> float:
    return min(seconds(what) for _ in range(times))


def per_call(path: Path, count: int, *, calls: int = 400) -> float:
    """Seconds a call, over calls from all parts of a cassette; the best of five rounds."""
    asked = [request(number * count // calls if count >= calls else number % count) for number in range(calls)]
    rounds = []
    for _ in range(5):
        cassette = Cassette(path, mode=Mode.REPLAY, redactor=REDACTOR, repeat_last=True)
        rounds.append(seconds(lambda cassette=cassette: [cassette.play(each) for each in asked]) / calls)
    return min(rounds)


def miss(cassette: Cassette) -> None:
    try:
        cassette.play(request(-1))
    except CassetteMiss:
        return
    raise AssertionError("it was recorded")


def reading(path: Path) -> tuple[float, float]:
    """Seconds to read one interaction, and those that the YAML parser alone takes."""
    index = Index(path)
    entries = index.entries[:100]
    texts = [index.text(entry) for entry in entries]
    read = best(lambda: [index.read(entry) for entry in entries], times=7)
    return read / len(texts), best(lambda: [yamltext.load(text) for text in texts], times=7) / len(texts)


def measure(directory: Path, console: Console, *, full: bool) -> None:
    sizes = [10, 100, 1_000, 3_000, *([30_000] if full else [])]
    ours = {size: directory / f"ours-{size}.yaml" for size in sizes}
    saved = {size: record(path, size) for size, path in ours.items()}
    theirs = {size: directory / f"vcr-{size}.yaml" for size in (10, 100, 1_000, 3_000)}
    for size, path in theirs.items():
        record_vcr(path, size)
    console.print(lookup(ours, theirs))
    console.print(work(ours, theirs, full=full))
    console.print(writing(saved))
    if full:
        script = [sys.executable, "-c", MEMORY, str(ours[30_000]), str(Path(__file__).parent)]
        peak = float(subprocess.run(script, capture_output=True, text=True, check=True).stdout)
        size_mb = ours[30_000].stat().st_size / 1e6
        console.print(f"Peak memory over import, 10 of 30,000 played ({size_mb:.0f} MB): {peak:.1f} MB")
    cassette = opened(ours[3_000])
    console.print(f"A miss among 3,000, told with its nearest: {best(lambda: miss(cassette), times=5) * 1e3:.1f} ms")
    read, parsed = reading(ours[1_000])
    console.print(f"Reading an interaction: {read * 1e6:.0f} µs; the YAML parser alone: {parsed * 1e6:.0f} µs")


def lookup(ours: dict[int, Path], theirs: dict[int, Path]) -> Table:
    table = Table("interactions", "µs a call", "to the first", "vcrpy, body", "ratio", "vcrpy, bytes", "ratio")
    table.title = "A call that is played"
    times = {size: per_call(path, size) for size, path in ours.items()}
    for size, took in times.items():
        row = [f"{size:,}", f"{took * 1e6:.0f}", f"{took / times[10]:.2f}x"]
        for by_bytes in (False, True):
            if size not in theirs:
                row += ["-", "-"]
                continue
            cassette = opened_vcr(theirs[size], by_bytes=by_bytes)
            places = sorted({size // 4, size // 2, 3 * size // 4, size - 1})
            mean = seconds(lambda c=cassette, p=places: [c.play_response(vcr_request(n)) for n in p]) / len(places)
            row += [f"{mean * 1e6:,.0f}", f"{_ratio(mean / took)}"]
        table.add_row(*row)
    return table


def work(ours: dict[int, Path], theirs: dict[int, Path], *, full: bool) -> Table:
    table = Table("what", "lmtest", "vcrpy, body", "ratio", "vcrpy, bytes", "ratio", title="Opened cold")
    every = 1_000 if full else 100

    def play(size: int, numbers: range) -> float:
        return best(lambda: [c.play(request(n)) for c in [opened(ours[size])] for n in numbers], times=3)

    def play_vcr(size: int, numbers: range, *, by_bytes: bool) -> float:
        return seconds(
            lambda: [
                c.play_response(vcr_request(n)) for c in [opened_vcr(theirs[size], by_bytes=by_bytes)] for n in numbers
            ]
        )

    for what, size, numbers in (
        ("open 3,000 and play the last", 3_000, range(2_999, 3_000)),
        (f"open {every:,} and play all", every, range(every)),
    ):
        took = play(size, numbers)
        row = [what, f"{took * 1e3:.1f} ms"]
        for by_bytes in (False, True):
            other = play_vcr(size, numbers, by_bytes=by_bytes)
            row += [f"{other * 1e3:,.0f} ms", f"{_ratio(other / took)}"]
        table.add_row(*row)
    return table


def writing(saved: dict[int, tuple[float, float]]) -> Table:
    table = Table("calls", "µs to record one", "µs to save one", title="Recording, beyond the call itself")
    for size, (recording, saving) in saved.items():
        table.add_row(f"{size:,}", f"{recording / size * 1e6:.0f}", f"{saving / size * 1e6:.0f}")
    return table


def _ratio(value: float) -> str:
    return f"{value:,.0f}x" if value >= 10 else f"{value:.1f}x"


def main() -> None:
    parser = argparse.ArgumentParser(description="Cassettes beside vcrpy's, on the same exchanges.")
    parser.add_argument(
        "--full", action="store_true", help="with 30,000 interactions, and all of 1,000 played by vcrpy"
    )
    full = parser.parse_args().full
    with tempfile.TemporaryDirectory() as directory:
        measure(Path(directory), Console(width=120), full=full)


if __name__ == "__main__":
    main()
