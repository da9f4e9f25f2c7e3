"""Which Pythons there are on this machine, and which lmtest supports. Python 3.6 can read this file."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
NEWEST = (3, 14)
MACHINES = {("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64")}  # lock.py pins the wheels of these


def unsupported() -> str:
    """Return why this Python or machine will not do, and what will; empty if it does."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        there = pythons()
        remedy = "run: make test PYTHON=" + list(there.values())[-1] if there else get("python3.12")
        wanted = f"{written(OLDEST)} to {written(NEWEST)}"
        return f"Python {wanted} is needed and {sys.executable} is {platform.python_version()}; {remedy}"
    machine = (platform.system(), platform.machine())
    musl = machine[0] == "Linux" and platform.libc_ver()[0] != "glibc"
    if machine not in MACHINES or musl:
        return (
            f"constraints.txt pins packages for Linux with glibc and for macOS on arm64, not for {' '.join(machine)}"
            f"{' without glibc' if musl else ''}; install without the lock: pip install -e '.[http,worker]'"
        )
    return ""


def pythons() -> "dict[str, str]":
    """Return the newest Python of each minor release that lmtest supports, on PATH or under pyenv: version, path."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path("~/.pyenv").expanduser(), "versions")
    found = {}
    for minor in range(OLDEST[1], NEWEST[1] + 1):
        paths = [shutil.which(f"python3.{minor}"), *map(str, pyenv.glob(f"3.{minor}.*/bin/python3"))]
        versions = {version_of(path): path for path in paths if path}
        newest = max((version for version in versions if version), default=None)
        if newest:
            found[written(newest)] = versions[newest]
    return found


def version_of(python: str) -> "tuple[int, ...]":
    """Return the version of an interpreter; empty if it does not run."""
    command = [python, "-c", "import sys; print(*sys.version_info[:3])"]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(map(int, done.stdout.split()))


def get(package: str) -> str:
    """Return how to get what the system's Python lacks."""
    if shutil.which("apt-get"):
        return f"run: sudo apt-get install {package}"
    return "install a complete Python, from python.org or with pyenv"


def written(version: "tuple[int, ...]") -> str:
    """Write a version with dots."""
    return ".".join(map(str, version))
