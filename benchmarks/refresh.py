"""What planning a refresh takes, what a refresh adds to recording, and how much memory it needs at ten times the calls.

    python benchmarks/refresh.py [--cassettes 300] [--rounds 5] [--latency 0.2]

The plan is `lmtest refresh --all --dry-run`, beside `lmtest ls` of the same cassettes and a Python that only imports
what both need. A refresh is `lmtest refresh --all --again --yes`, beside `LM_MODE=record pytest` of the same tests, in
turn: of a provider on loopback that answers at once, and of one that answers after a while, as providers do. Memory is
the most that the process of `lmtest refresh` holds while it compares what is re-recorded.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lmtest.testing.provider import ScriptedProvider

TESTS = """
import dspy, pytest

predict = dspy.Predict("question -> answer")

@pytest.mark.lmtest
@pytest.mark.parametrize("number", range({count}))
def test_answer(number):
    assert predict(question=f"What is {{number}} plus one?").answer
"""

CONFTEST = """
import os, dspy, pytest

@pytest.fixture(autouse=True)
def lm():
    base = os.environ["BENCHMARK_API_BASE"]
    with dspy.context(lm=dspy.LM("gemini/gemini-2.5-flash", api_base=base, api_key="k" * 12, max_tokens=200)):
        yield
"""

Times = tuple[float, float]
IMPORTS = "import click, pydantic, rich.console, rich.table, genai_prices.data_snapshot as s; s.get_snapshot()"
_UNWANTED = {"LM_MODE", "TEST_MODE", "CI", "LMTEST_RUN", "PYTHONDONTWRITEBYTECODE"}


def run(directory: Path, *command: str, **environ: str) -> tuple[float, float]:
    """Run a command; give its wall seconds and its processor seconds, its children's too."""
    kept = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *command], cwd=directory, env=kept | environ, capture_output=True, text=True, check=False
    )
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def peak(directory: Path, *arguments: str) -> float:
    """MB that the process of a command holds at most; not its children."""
    program = (
        "import resource, sys\nfrom click.testing import CliRunner\nfrom lmtest.cli import cli\n"
        "told = CliRunner().invoke(cli, sys.argv[1:])\nassert told.exit_code == 0, told.output[-2000:]\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=directory, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return int(done.stdout) / 1024


def write(directory: Path, count: int) -> None:
    directory.mkdir()
    (directory / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (directory / "conftest.py").write_text(CONFTEST)
    (directory / "test_answers.py").write_text(TESTS.format(count=count))


class Provider(ScriptedProvider):
    """Gives every call the stand-in's answer, after a while."""

    def __init__(self, latency: float) -> None:
        super().__init__([])
        self._latency = latency

    def _next(self, body: dict[str, Any]) -> None:
        time.sleep(self._latency)


def compare(
    directory: Path, rounds: int, latency: float = 0.0
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Record and refresh in turn."""
    recorded, refreshed = [], []
    with Provider(latency) as provider:
        environ = {"BENCHMARK_API_BASE": f"{provider.url}/v1beta", "LMTEST_USD_PER_RUN": "none"}
        for _ in range(rounds):
            recorded.append(run(directory, "-m", "pytest", "-q", LM_MODE="record", **environ))
            refreshed.append(run(directory, "-m", "lmtest", "refresh", "--all", "--again", "--yes", **environ))
    return recorded, refreshed


def multiply(directory: Path, times: int) -> Path:
    """Copy a suite's cassettes, and what waits for each, so many times over."""
    larger = directory.with_name("larger")
    larger.mkdir()
    for name in ("pyproject.toml", "conftest.py", "test_answers.py"):
        shutil.copy(directory / name, larger / name)
    for number in range(times):
        shutil.copytree(directory / "cassettes", larger / "cassettes" / str(number))
    return larger


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cassettes", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--latency", type=float, default=0.2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        suite = Path(temporary).resolve() / "suite"
        write(suite, arguments.cassettes)
        compare(suite, 1)
        plans, lists, floors = [], [], []
        for _ in range(arguments.rounds):
            plans.append(run(suite, "-m", "lmtest", "refresh", "--all", "--again", "--dry-run"))
            lists.append(run(suite, "-m", "lmtest", "ls"))
            floors.append(run(suite, "-c", IMPORTS))
        print(
            f"{arguments.cassettes} cassettes of one call; wall and processor seconds, the best of {arguments.rounds}"
        )
        for name, times in (("refresh --dry-run", plans), ("lmtest ls", lists), ("imports alone", floors)):
            print(f"{name:<24} {min(wall for wall, _ in times):>8.2f} {min(cpu for _, cpu in times):>8.2f}")
        print("wanted: refresh --dry-run <= 0.8")
        print("memory of lmtest refresh, MB at most (wanted: <= 128)")
        print(f"{'as many':<24} {peak(suite, 'refresh', '--all', '--yes'):>8.0f}")
        print(f"{'ten times as many':<24} {peak(multiply(suite, 10), 'refresh', '--all', '--yes'):>8.0f}")
        print("record, refresh; wall seconds, medians")
        for latency in (0.0, arguments.latency):
            pair = compare(suite, max(2, arguments.rounds // 2), latency)
            record, refresh = (statistics.median(wall for wall, _ in times) for times in pair)
            ratio = f"{refresh / record - 1:+.1%}"
            wanted = " (wanted: <= +5 %)" if latency else ""
            print(f"{f'answers after {latency:g} s':<24} {record:>8.2f} {refresh:>8.2f} {ratio:>8}{wanted}", flush=True)


if __name__ == "__main__":
    main()
