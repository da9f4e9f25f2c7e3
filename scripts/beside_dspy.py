"""DSPy's own tests with the plugin and without it: where no test is marked, no verdict may differ.

    python scripts/beside_dspy.py CHECKOUT [PYTEST-ARGUMENT ...]

CHECKOUT is a directory with DSPy's ``tests``; nothing is fetched, and nothing in it is written. Its tests are copied
and run on the DSPy of this environment, which may be another: then some fail, in both runs alike. They are refused
whatever is not on this machine. Prints what each run came to and every verdict that differs; exits with 1 if one does.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

_SETTINGS = ("pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg", "conftest.py")
_KEYS = ("_API_KEY", "_API_BASE", "_BASE_URL")
_OURS = ("LM_MODE", "TEST_MODE", "PYTEST_ADDOPTS", "LITELLM_LOCAL_MODEL_COST_MAP")

_WITNESS = """
import json, os, socket

_told = open(os.environ["VERDICTS"], "a", encoding="utf-8", buffering=1)
_connect, _look_up = socket.socket.connect, socket.getaddrinfo
_HERE = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "", None}


def _refuse(host):
    if isinstance(host, bytes):
        host = host.decode()
    if host not in _HERE:
        raise OSError(f"no network: {host}")


def connect(self, address):
    if self.family in {socket.AF_INET, socket.AF_INET6}:
        _refuse(address[0])
    return _connect(self, address)


def getaddrinfo(host, *args, **kwargs):
    _refuse(host)
    return _look_up(host, *args, **kwargs)


socket.socket.connect, socket.getaddrinfo = connect, getaddrinfo


def _tell(test, phase, verdict):
    _told.write(json.dumps([test, phase, verdict]) + "\\n")


def pytest_runtest_logreport(report):
    expected = " as expected" if hasattr(report, "wasxfail") else ""
    _tell(report.nodeid, report.when, report.outcome + expected)


def pytest_collectreport(report):
    if report.outcome != "passed":
        _tell(report.nodeid, "collection", report.outcome)
"""

Verdicts = dict[str, str]


def main(arguments: list[str] | None = None) -> int:
    """Run both, compare, and tell."""
    parser = argparse.ArgumentParser(description="Run DSPy's own tests with and without the plugin, and compare.")
    parser.add_argument("checkout", type=Path, metavar="CHECKOUT", help="a directory with DSPy's tests")
    given, further = parser.parse_known_args(arguments)
    if not (given.checkout / "tests").is_dir():
        parser.error(f"there is no directory {given.checkout / 'tests'}")
    without = run(given.checkout, ["-p", "no:lmtest", *further])
    beside = run(given.checkout, further)
    for name, verdicts in (("without the plugin", without), ("with the plugin", beside)):
        print(f"{name}: {summary(verdicts)}")
    found = differences(without, beside)
    print(*found, f"{len(found)} verdict{' differs' if len(found) == 1 else 's differ'}", sep="\n")
    if not without:
        print("no test was run: nothing was compared")
    return 1 if found or not without else 0


def run(checkout: Path, arguments: list[str]) -> Verdicts:
    """The verdict of each test, by its id: the phases that did not pass, or "passed"."""
    with tempfile.TemporaryDirectory(prefix="beside-dspy-") as made:
        place = Path(made)
        shutil.copytree(checkout / "tests", place / "suite" / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        for name in _SETTINGS:
            if (checkout / name).is_file():
                shutil.copy(checkout / name, place / "suite" / name)
        (place / "verdict_witness.py").write_text(_WITNESS, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "verdict_witness", "-p", "no:cacheprovider"]
        command += ["-p", "no:randomly", "--continue-on-collection-errors"]
        command += arguments if _names_tests(arguments) else ["tests", *arguments]
        with (place / "output").open("w", encoding="utf-8") as output:
            done = subprocess.run(
                command, cwd=place / "suite", env=_environment(place), stdout=output, stderr=output, check=False
            )
        if done.returncode not in {0, 1, 2, 5}:
            sys.exit(f"pytest ended with {done.returncode}:\n{(place / 'output').read_text(encoding='utf-8')[-3000:]}")
        return _read(place / "verdicts")


def differences(without: Verdicts, beside: Verdicts) -> list[str]:
    """A line for each test whose verdict is not the same.

    >>> differences({"a": "passed", "b": "passed"}, {"a": "passed", "b": "call failed"})
    ['b: passed without the plugin, call failed with it']
    """
    tests = dict.fromkeys([*without, *beside])
    pairs = [(test, without.get(test, "not run"), beside.get(test, "not run")) for test in tests]
    return [f"{test}: {one} without the plugin, {other} with it" for test, one, other in pairs if one != other]


def summary(verdicts: Verdicts) -> str:
    """How many tests there were of each verdict.

    >>> summary({"a": "passed", "b": "passed", "c": "call failed"})
    '3 tests: 2 passed, 1 call failed'
    """
    counts = ", ".join(f"{count} {verdict}" for verdict, count in Counter(verdicts.values()).most_common())
    return f"{len(verdicts)} test{'s' * (len(verdicts) != 1)}: {counts or 'none'}"


def _names_tests(arguments: list[str]) -> bool:
    return any(each.startswith("tests") for each in arguments)


def _environment(place: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.endswith(_KEYS) and name not in _OURS}
    path = os.pathsep.join(filter(None, [str(place), os.environ.get("PYTHONPATH", "")]))
    # A cache of its own: what one run left in it would answer the other.
    own = {"DSPY_CACHEDIR": str(place / "cache"), "VERDICTS": str(place / "verdicts"), "PYTHONPATH": path}
    return {**kept, **own, "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"}


def _read(path: Path) -> Verdicts:
    phases: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        test, phase, verdict = json.loads(line)
        told = phases.setdefault(test, [])
        if verdict != "passed":
            told.append(f"{phase} {verdict}")
    return {test: ", ".join(told) or "passed" for test, told in phases.items()}


if __name__ == "__main__":
    sys.exit(main())
