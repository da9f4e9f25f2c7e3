"""Packages into an environment, by ``uv``, which ``pip`` brings by the hash that constraints.txt has for it.

From the lock nothing is resolved: every package is named with its version and the hashes of its wheels, so no release
of anybody's changes what is installed.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pythons import get

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "constraints.txt"

# Where pip was told to look for packages -> the variable that tells uv, which reads none of pip's settings.
_FOR_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}
# Settings of pip that would install uv elsewhere, or ask more of it than its pin says.
_NOT_FOR_US = ("PIP_CONSTRAINT", "PIP_NO_BINARY", "PIP_PREFIX", "PIP_REQUIREMENT", "PIP_ROOT", "PIP_TARGET")
_FOR_US = {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

_FRAME = " \t│├╰─▶\N{MULTIPLICATION SIGN}:."  # around the lines of uv's errors
_AGAIN = "then run the same command again"
# What pip, uv or the system print -> one line that says what to do.
_REMEDIES = {
    r"No space left on device|os error 28|Disk quota exceeded": f"the disk is full; free 1 GB, {_AGAIN}",
    r"Read-only file system|Permission denied": (
        "{line}; work in a clone that you may write to, or name another place: make test VENV=/a/folder/of/yours"
    ),
    r"[Hh]ash(es)? mismatch|DO NOT MATCH THE HASHES": (
        "the package index has another file than constraints.txt pins ({line}); name an index that has it:"
        " UV_DEFAULT_INDEX=… make test"
    ),
    r"error sending request|dns error|[Cc]onnection (refused|reset|error|broken)|Failed to (establish|connect)"
    r"|timed out|[Nn]ame resolution|unreachable|ProxyError|SSLError|certificate|from versions: none": (
        "no package index answers ({line}); check the network, HTTPS_PROXY, and the index that pip is told to use"
        f" (pip config list), {_AGAIN}"
    ),
    r"No matching distribution|was not found in|there is no version of|no wheels? |unsatisfiable": (
        "the package index lacks what constraints.txt pins ({line}); name an index that has it:"
        " UV_DEFAULT_INDEX=… make test"
    ),
}


class SetupFailed(Exception):
    """Says in one line what went wrong and how to mend it."""


def install(python: Path, resolution: str | None, *, scratch: Path) -> None:
    """Install the lock, or what uv resolves, and this clone as it stands.

    Args:
        python: The environment's interpreter.
        resolution: How uv chooses versions, if not those of the lock.
        scratch: A folder that is removed afterwards.

    Raises:
        SetupFailed: pip or uv failed.
    """
    pip = find_pip(scratch)
    uv = [_bring_uv(pip, scratch), "pip", "install", "--quiet", "--python", str(python)]
    environ = {**_index_of(pip), "UV_CACHE_DIR": str(_cache(scratch)), **os.environ}
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        uv.append("--compile-bytecode")  # or every command compiles all that it imports, each time
    if resolution:
        chosen = ["--resolution", resolution, "-r", str(ROOT / "pyproject.toml"), "--all-extras", "--group", "dev"]
    else:
        chosen = ["--no-deps", "--require-hashes", "-r", str(LOCK)]
    run([*uv, *chosen], environ)
    run([*uv, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)], environ)


def find_pip(scratch: Path) -> list[str]:
    """Return the command that is pip: this Python's, or one that the standard library lays into a scratch folder."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if importlib.util.find_spec("ensurepip") is None:
        raise SetupFailed(f"{sys.executable} has neither pip nor ensurepip; {get('python3-venv')}")
    run([sys.executable, "-m", "venv", str(scratch / "pip")])
    return [str(scratch / "pip" / "bin" / "python"), "-m", "pip"]


def _bring_uv(pip: list[str], scratch: Path) -> str:
    """Install uv as the lock pins it, and nothing with it; return its path."""
    pin = re.search(r"^uv==.*\n(?: +--hash.*\n)+", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    if pin is None:
        raise SetupFailed("constraints.txt does not pin uv; restore it: git checkout constraints.txt")
    asked, folder = scratch / "uv.txt", scratch / "uv"
    asked.write_text(pin.group())
    how = ["--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--target", str(folder)]
    run([*pip, "install", *how, "-r", str(asked)], _for_pip())
    return str(folder / "bin" / "uv")


def _for_pip() -> dict[str, str]:
    """Return the environment without what sends pip elsewhere."""
    return {name: value for name, value in os.environ.items() if name not in _NOT_FOR_US} | _FOR_US


def _index_of(pip: list[str]) -> dict[str, str]:
    """Return where pip looks for packages, in uv's variables."""
    command = [*pip, "config", "list"]
    listed = subprocess.run(command, env=_for_pip(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    # As pip looks: in all indexes alike. The hashes say whether it is the right file.
    told = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    for place in ("global", "install", ":env:"):  # the later wins
        for name, value in re.findall(rf"^{place}\.([\w-]+)=(.+)$", listed.stdout.decode(), re.MULTILINE):
            if variable := _FOR_UV.get(name):
                told[variable] = ("," if name == "find-links" else " ").join(str(ast.literal_eval(value)).split())
    return told


def _cache(scratch: Path) -> Path:
    """Return uv's own cache if it can be written, else a scratch folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser(), "uv")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            return cache
    except OSError:
        return scratch / "cache"


def run(command: list[str], environ: Mapping[str, str] = os.environ) -> None:
    """Run a command in silence, or raise one line about what it printed."""
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise SetupFailed(sentence(done.stdout.decode(errors="replace")))


def sentence(printed: str) -> str:
    """Return one line about what a command printed when it failed; all of it if none is known."""
    lines = [line.strip(_FRAME) for line in printed.splitlines() if line.strip()]
    for pattern, remedy in _REMEDIES.items():
        for line in reversed(lines):  # the last says the cause; uv's hints guess
            if re.search(pattern, line) and not line.startswith("hint"):
                return remedy.format(line=line)
    return "the set-up failed, in a way that has no remedy here:\n" + "\n".join(lines)
