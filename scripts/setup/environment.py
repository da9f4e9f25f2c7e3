"""An environment: a folder with a Python and exactly the packages that constraints.txt pins.

A fingerprint of all that decides what is installed is written into it last. So one that was interrupted, or is of
another lock, Python or place, is known by its fingerprint and made anew; one that is as it should be costs a look.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from packages import LOCK, ROOT, SetupFailed, install, run, sentence
from pythons import NEWEST, OLDEST, get, version_of, written

if TYPE_CHECKING:
    from collections.abc import Iterator

_FINGERPRINT = ".lmtest"
_OF_OLD = ".installed"  # what the Makefile of version 0.1.0's first clones wrote


def make(folder: Path, resolution: str | None) -> None:
    """Make an environment what it should be; do nothing if it is.

    Args:
        folder: Where it is, or is to be.
        resolution: How uv chooses versions, if not those of the lock. Such an environment is always made anew.

    Raises:
        SetupFailed: It cannot be made.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - a link stays what the person named
    try:
        fingerprint = "" if resolution else _fingerprint(folder)
        with _held(folder):
            if fingerprint and _is(folder, fingerprint):
                return
            print(f"Setting up {_shown(folder)}, once", file=sys.stderr, flush=True)
            _lay(folder)
            with tempfile.TemporaryDirectory() as scratch:
                install(folder / "bin" / "python", resolution, scratch=Path(scratch))
            (folder / _FINGERPRINT).write_text(fingerprint)
    except tomllib.TOMLDecodeError as error:
        raise SetupFailed(f"pyproject.toml does not parse: {error}") from error
    except OSError as error:
        raise SetupFailed(sentence(str(error))) from error


def _fingerprint(folder: Path) -> str:
    """Digest the lock, what the project asks for, the Python and the place."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [project.get(table) for table in ("build-system", "project", "dependency-groups")]
    parts = (LOCK.read_text(encoding="utf-8"), repr(asked), sys.version, str(ROOT), str(folder))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _is(folder: Path, fingerprint: str) -> bool:
    """Decide whether an environment is there, whole, and runs."""
    mark = folder / _FINGERPRINT
    return mark.is_file() and mark.read_text() == fingerprint and os.access(folder / "bin" / "python", os.X_OK)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Let nobody else make the same environment inside; a second waits for the first."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Waiting for another set-up of {_shown(folder)}", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _lay(folder: Path) -> None:
    """Make an environment without packages, in place of one of ours; one of somebody else's is kept if it will do."""
    ours = (folder / _FINGERPRINT).exists() or (folder / _OF_OLD).exists()
    if folder.exists() and not ours:
        _adopt(folder)
    else:
        if importlib.util.find_spec("venv") is None:
            raise SetupFailed(f"{sys.executable} has no venv module; {get('python3-venv')}")
        if folder.exists():
            shutil.rmtree(folder)
        # Not the Python of an environment that was just removed.
        run([getattr(sys, "_base_executable", sys.executable), "-m", "venv", "--without-pip", str(folder)])
    (folder / _FINGERPRINT).write_text("")


def _adopt(folder: Path) -> None:
    """Take an environment that somebody else made, so that packages are added to it and none is removed."""
    elsewhere = "or name another: make test VENV=.venv-lmtest"
    if not (folder / "pyvenv.cfg").is_file():
        raise SetupFailed(f"{_shown(folder)} is not an environment of Python; move it, {elsewhere}")
    version = version_of(str(folder / "bin" / "python"))
    if not OLDEST <= version[:2] <= NEWEST:
        has = f"has Python {written(version)}" if version else "has no Python that runs"
        needed = f"{written(OLDEST)} to {written(NEWEST)} is needed"
        raise SetupFailed(f"{_shown(folder)} {has}, and {needed}; remove it: rm -r {_shown(folder)}, {elsewhere}")


def _shown(folder: Path) -> str:
    """Write a path as the person would, from where they are."""
    return str(folder.relative_to(Path.cwd())) if folder.is_relative_to(Path.cwd()) else str(folder)
