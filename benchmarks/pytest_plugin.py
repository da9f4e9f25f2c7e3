"""What the pytest plugin costs: a suite of one Predict a test, replayed, against its floor and its peer.

    python benchmarks/pytest_plugin.py [--tests 200] [--rounds 3]

The floor is the same suite on an engine that answers at once from memory, without the plugin's marker. The peer is
pytest-recording, which records `engine="litellm"` only: lm15, DSPy's own client, it does not see. All are recorded from
a stand-in provider, and replayed without it. Every suite runs once unmeasured, with bytecode written, as it is for an
installed package. Wall and processor time are each the best of the rounds.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from lmtest.http.server import StandIn

TESTS = """
import dspy, pytest

predict = dspy.Predict("question -> answer")

{marker}
@pytest.mark.parametrize("number", range({count}))
def test_answer(number):
    assert predict(question=f"What is {{number}} plus one?").answer
"""

CONFTEST = """
import os, dspy, pytest

{engine}

@pytest.fixture(autouse=True)
def lm():
    with dspy.context(lm=dspy.LM("gemini/gemini-2.5-flash", {arguments})):
        yield
"""

NO_OP = """
from dspy.lm15 import Message, Response, TextPart, Usage

class NoOp:
    answer = Response(
        id="1", model="gemini-2.5-flash", finish_reason="stop",
        message=Message.assistant([TextPart("[[ ## answer ## ]]\\nParis\\n\\n[[ ## completed ## ]]")]),
        usage=Usage(input_tokens=1, output_tokens=1, total_tokens=2),
    )
    def complete(self, request):
        return self.answer
    def close(self):
        pass
"""

VCR = """
@pytest.fixture(scope="module")
def vcr_config():
    return {"filter_headers": ["x-goog-api-key"], "filter_query_parameters": ["key"], "ignore_localhost": False}
"""

_UNWANTED = {"LM_MODE", "TEST_MODE", "CI", "PYTHONDONTWRITEBYTECODE"}
EMPTY = "def test_nothing():\n    pass\n"


@dataclass(frozen=True, kw_only=True)
class Suite:
    name: str
    marker: str = ""
    engine: str = ""
    arguments: str = ""
    record: tuple[str, ...] = ()
    replay: tuple[str, ...] = ()
    without: str = "recording"


ELSEWHERE = 'api_base=os.environ.get("BENCHMARK_API_BASE", "http://127.0.0.1:9/v1beta"), api_key="k", '
FLOOR = Suite(name="no-op engine", engine=NO_OP, arguments="engine=NoOp(), cache=False")
OURS = Suite(name="lmtest replay", marker="@pytest.mark.lmtest", arguments=ELSEWHERE, record=("--lmtest-mode=record",))
TWO = Suite(name="lmtest replay -n 2", marker=OURS.marker, arguments=ELSEWHERE, record=OURS.record, replay=("-n", "2"))
PEER = Suite(
    name="pytest-recording, litellm",
    marker="@pytest.mark.vcr",
    engine=VCR,
    arguments=ELSEWHERE + 'engine="litellm", cache=False',
    record=("--record-mode=once",),
    replay=("--record-mode=none",),
    without="lmtest",
)
# What neither side needs is off for both.
ALIKE = (
    "-q",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:randomly",
    "-p",
    "no:hypothesispytest",
    "-p",
    "no:cov",
    "-p",
    "no:asyncio",
)


def write(suite: Suite, directory: Path, count: int) -> None:
    directory.mkdir()
    (directory / "pytest.ini").write_text("[pytest]\n")
    (directory / "conftest.py").write_text(CONFTEST.format(engine=suite.engine, arguments=suite.arguments))
    (directory / "test_answers.py").write_text(TESTS.format(marker=suite.marker, count=count))


def run(directory: Path, *arguments: str, **environ: str) -> tuple[float, float]:
    """Run a suite; give its wall and processor seconds."""
    environment = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *ALIKE, *arguments],
        cwd=directory,
        env=environment | {"LITELLM_LOCAL_MODEL_COST_MAP": "true"} | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{directory.name} {' '.join(arguments)}: exit {done.returncode}\n{done.stdout[-3000:]}{done.stderr}")
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def import_cost(directory: Path, rounds: int) -> float:
    """Milliseconds that importing the plugin adds to a run that uses none of it: the median."""
    directory.mkdir()
    (directory / "test_nothing.py").write_text(EMPTY)
    costs = []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "pytest", *ALIKE],
            cwd=directory,
            env={name: value for name, value in os.environ.items() if name not in _UNWANTED},
            capture_output=True,
            text=True,
            check=True,
        )
        costs.append(own_imports(done.stderr))
    return statistics.median(costs)


def own_imports(importtime: str) -> float:
    """Sum up what the outermost imports of lmtest took with all that they imported: milliseconds."""
    total, depths = 0, []
    for line in reversed(importtime.splitlines()):
        found = re.match(r"import time: +\d+ \| +(\d+) \|( +)(\S+)$", line)
        if found:
            depth = len(found[2])
            while depths and depths[-1] >= depth:
                depths.pop()
            if found[3].startswith("lmtest"):
                total += 0 if depths else int(found[1])
                depths.append(depth)
    return total / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    suites = (FLOOR, OURS, TWO, PEER)
    with tempfile.TemporaryDirectory() as temporary:
        directories = {suite.name: Path(temporary, f"suite{number}") for number, suite in enumerate(suites)}
        with StandIn(keep_requests=False) as server:
            for suite in suites:
                write(suite, directories[suite.name], arguments.tests)
                if suite.record:
                    run(
                        directories[suite.name],
                        "-p",
                        f"no:{suite.without}",
                        *suite.record,
                        BENCHMARK_API_BASE=f"{server.url}/v1beta",
                    )
        times = {suite.name: [] for suite in suites}
        for number in range(arguments.rounds + 1):
            for suite in suites:
                base = {"BENCHMARK_API_BASE": f"{server.url}/v1beta"} if suite is PEER else {}
                took = run(directories[suite.name], "-p", f"no:{suite.without}", *suite.replay, **base)
                if number > 0:
                    times[suite.name].append(took)
        imports = import_cost(Path(temporary, "empty"), arguments.rounds)
    best = {name: (min(wall for wall, _ in each), min(cpu for _, cpu in each)) for name, each in times.items()}
    print(f"{arguments.tests} tests, one Predict each; best of {arguments.rounds}")
    print(f"{'suite':<28} {'wall s':>8} {'cpu s':>8} {'wall/floor':>11} {'cpu/floor':>10}")
    floor = best[FLOOR.name]
    for name, (wall, cpu) in best.items():
        print(f"{name:<28} {wall:>8.2f} {cpu:>8.2f} {wall / floor[0]:>10.2f}x {cpu / floor[1]:>9.2f}x")
    ours, peer = best[OURS.name], best[PEER.name]
    print(f"over the floor, a test: {(ours[0] - floor[0]) / arguments.tests * 1e3:.2f} ms (wanted: wall <= 1.2x)")
    print(f"faster than pytest-recording: {peer[0] / ours[0]:.1f}x wall, {peer[1] / ours[1]:.1f}x cpu (wanted: >= 3x)")
    print(f"imports of a run that uses none of it: {imports:.1f} ms (wanted: <= 40 ms)")


if __name__ == "__main__":
    main()
