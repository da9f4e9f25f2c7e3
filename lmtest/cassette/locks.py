"""Only one process at a time saves a cassette, and what it wrote is remembered to be its run's.

Both are kept outside the cassette's directory, which may be read-only and is in version control: in a fixed number of
files, each for all cassettes whose paths have the same hash, so that there never are more. Whoever has one lock takes
no other before it is released, so nobody can wait for each other.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lmtest.errors import CassetteLocked

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK_TIMEOUT: Final = 60.0
"""Seconds to wait for another process that is saving the same cassette."""

_MOST_WRITINGS: Final = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Which writing of a file is on disk; two that differ are two writings."""

    inode: int
    modified_ns: int
    size: int


def identity(path: Path) -> Identity | None:
    """Tell which writing of a file is there now, or None where there is no file."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Identity(inode=status.st_ino, modified_ns=status.st_mtime_ns, size=status.st_size)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep every other process from saving a cassette.

    Raises:
        CassetteLocked: Another one kept us from it for longer than :data:`LOCK_TIMEOUT`.
    """
    from filelock import FileLock, Timeout  # late: only saving locks

    lock = FileLock(lock_path(path))
    try:
        lock.acquire(timeout=LOCK_TIMEOUT)
    except Timeout:
        raise CassetteLocked(
            f"{path}, or a cassette that shares its lock, is being saved by another process for more than "
            f"{LOCK_TIMEOUT:.0f} s. What was to be written is lost; the file is as it was before. If no such "
            f"process lives, delete {lock.lock_file}.",
            path=path,
        ) from None
    try:
        yield
    finally:
        lock.release()


def lock_path(path: Path) -> Path:
    """The lock of a cassette, which it shares with some others."""
    directory = Path(tempfile.gettempdir()) / f"lmtest-locks-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory / f"{_hash(path)[:2]}.lock"


def note_writing(path: Path, run: str) -> None:
    """Remember that the file, as it is now, was written by a run. To be called by whoever has the lock."""
    others = [line for line in _writings(path) if not line.startswith(_hash(path))]
    text = "\n".join([*others[1 - _MOST_WRITINGS :], _writing(path, run), ""])
    lock_path(path).with_suffix(".runs").write_text(text, encoding="utf-8")


def is_of_run(path: Path, run: str) -> bool:
    """Whether the file, as it is now, was written by a run. To be called by whoever has the lock."""
    return bool(run) and path.exists() and _writing(path, run) in _writings(path)


def _writings(path: Path) -> list[str]:
    try:
        return lock_path(path).with_suffix(".runs").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _writing(path: Path, run: str) -> str:
    """One writing as a line. Runs are named by users, who may put anything into a name."""
    return f"{_hash(path)} {hashlib.sha256(f'{run} {identity(path)}'.encode()).hexdigest()}"


def _hash(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
