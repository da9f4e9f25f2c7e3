"""Files as a person in the working directory names them, so that what a message says can be copied into a command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from lmtest import disk

_ROOTS: Final = ("pyproject.toml", "pytest.ini", ".git")


def here(path: Path) -> Path:
    """Name a file from the working directory, where both are in one project; else as it was named.

    >>> here(Path.cwd() / "cassettes" / "qa.yaml").as_posix()
    'cassettes/qa.yaml'
    """
    if not path.is_absolute():
        return path
    try:
        working = Path(os.getcwd())  # noqa: PTH109 - of Path's methods a test may have put a mock in the place
    except OSError:  # it was removed
        return path
    above = (up for up in (working, *working.parents) if any(disk.exists(up / name) for name in _ROOTS))
    return Path(os.path.relpath(path, working)) if path.is_relative_to(next(above, working)) else path


def relative(path: Path, root: Path) -> str:
    """Name a file as plans and reports do: from the project, where it is inside."""
    absolute = path.resolve()
    return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else str(path)
