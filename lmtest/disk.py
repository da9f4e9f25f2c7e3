"""The disk as it is, though a test has put something else in the place of ``open``, ``os.stat`` or `Path`'s methods.

A call under way in such a test looks for the ledger and for prices, and its program's mocks are not meant for us. What
creates and replaces files is left as it is: a test that makes that fail makes ours fail too.
"""

from __future__ import annotations

import os
import sys
from io import FileIO
from pathlib import Path
from typing import Final

_IGNORES_CASE: Final = sys.platform in {"darwin", "win32"}
_stat: Final = os.stat


def stat(path: str | os.PathLike[str]) -> os.stat_result:
    """A file's status, as ``os.stat`` gives it.

    Raises:
        OSError: There is none, or it may not be seen.
    """
    return _stat(path)


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether there is such a file or directory.

    >>> exists("/"), exists("/no/such/place")
    (True, False)
    """
    try:
        _stat(path)
    except (OSError, ValueError):
        return False
    return True


def make_directory(path: Path) -> None:
    """Make a directory that lmtest writes to; ``.lmtest`` keeps itself out of version control.

    Raises:
        OSError: It cannot be made.
    """
    path.mkdir(parents=True, exist_ok=True)
    if path.name == ".lmtest" and not exists(ignore := path / ".gitignore"):
        ignore.write_text("*\n", encoding="utf-8")


def spelled(path: Path) -> Path:
    """A path as the disk spells it, where the system takes names that differ in case alone for one: macOS and Windows.

    What runs through a suite by its path is then the same file for all: locks, what a run wrote, what is left over.

    >>> spelled(Path("/no/such/Place")).name
    'Place'
    """
    if not _IGNORES_CASE:
        return path
    found = Path(path.anchor)
    for part in path.parts[1:] if path.anchor else path.parts:
        try:
            names = [each.name for each in found.iterdir()]
        except OSError:
            names = []
        alike = (name for name in names if name.casefold() == part.casefold())
        found /= part if part in names else next(alike, part)
    return found


def read(path: str | os.PathLike[str]) -> bytes:
    """A file's content.

    Raises:
        OSError: It cannot be read.
    """
    with FileIO(path) as file:  # which is what ``open`` opens
        return file.readall()
