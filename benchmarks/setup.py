"""A stranger's first minutes, beside those of another commit: both cloned anew, with an empty HOME and so no caches.

The two take turns, command by command. Commits from before constraints.txt was installed without resolving fail on any
day on which a newer release of a locked package is out; PIP_NO_DEPS=1, which later ones ignore, lets them pass, in
somewhat less time than they would take.

Usage: python benchmarks/setup.py [OTHER COMMIT] [STARTS]
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
STEPS = {
    "make demo, nothing there yet": (["make", "demo"], False),
    "make demo again": (["make", "demo"], True),
    "lmtest --help": ([".venv/bin/lmtest", "--help"], True),
    "lmtest ls": ([".venv/bin/lmtest", "ls"], True),
}


def main() -> None:
    """Print a table of medians in seconds, and of this commit's share of the other's."""
    other = sys.argv[1] if len(sys.argv) > 1 else "HEAD~1"
    starts = int(sys.argv[2]) if len(sys.argv) > 2 else 11
    with tempfile.TemporaryDirectory() as folder:
        clones = {name: clone(Path(folder, name), commit) for name, commit in (("other", other), ("this", "HEAD"))}
        print(f"{'':32}{other[:12]:>14}{'this commit':>14}{'ratio':>9}")
        for step, (command, repeated) in STEPS.items():
            times = {name: [] for name in clones}
            for _ in range(starts if repeated else 1):
                for name, place in clones.items():
                    times[name].append(timed(command, place))
            before, now = (statistics.median(times[name]) for name in ("other", "this"))
            print(f"{step:32}{before:12.2f} s{now:12.2f} s{now / before:8.2f}x", flush=True)


def clone(folder: Path, commit: str) -> Path:
    """Clone this repository at a commit."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder / "clone")], check=True)
    subprocess.run(["git", "-C", str(folder / "clone"), "checkout", "--quiet", commit], check=True)
    (folder / "home").mkdir()
    return folder / "clone"


def timed(command: list[str], place: Path) -> float:
    """Seconds that a command takes in a clone."""
    environ = {**os.environ, "HOME": str(place.parent / "home"), "PIP_NO_DEPS": "1"}
    shutil.rmtree(place / ".lmtest", ignore_errors=True)
    begun = time.perf_counter()
    subprocess.run(command, cwd=place, env=environ, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
