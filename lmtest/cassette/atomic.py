"""A file that is replaced whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from typing import TYPE_CHECKING, BinaryIO, Final

from lmtest import disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LITTLE: Final = 1 << 14
"""Bytes that any recording takes: a disk that is full lets empty files be made."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a fresh file that takes the path's place when the block ends well, and goes when it does not.

    Whoever is killed inside leaves the old file and a stray one that :func:`strays` finds.
    """
    fresh = path.with_name(f".{path.name[:80]}.{secrets.token_hex(6)}.tmp")
    try:
        with fresh.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        put_in_place(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def put_in_place(fresh: Path, path: Path) -> None:
    """Put a file that is whole in a path's place, with the mode of what was there, and see that it stays there.

    Raises:
        OSError: It could not; what was there stays.
    """
    if path.exists():
        fresh.chmod(path.stat().st_mode & 0o777)
    fresh.replace(path)
    _sync_directory(path.parent)


def expect_writable(path: Path, *, room: int = 0) -> None:
    """See that a file could be put in a path's place, and leave nothing there.

    Args:
        path: The path.
        room: Bytes that there has to be room for; a little in any case.

    Raises:
        OSError: It could not.
    """
    place = next(folder for folder in path.absolute().parents if disk.exists(folder))
    with tempfile.TemporaryFile(dir=place) as file:
        for _ in range(0, room + 1, _LITTLE):
            file.write(bytes(_LITTLE))
        file.flush()


def strays(path: Path) -> Iterator[Path]:
    """Find what killed processes left beside a path."""
    beginning = f".{path.name[:80]}."
    for file in path.parent.iterdir():
        if file.name.startswith(beginning) and file.name.endswith(".tmp"):
            yield file


def _sync_directory(directory: Path) -> None:
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
