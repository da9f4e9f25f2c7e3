"""Settings of pytest's configuration file, read without pytest: the commands keep cassettes where the tests do."""

from __future__ import annotations

import configparser
import tomllib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_Table = dict[str, Any]


def read_ini(name: str, start: Path) -> tuple[str, Path] | None:
    """Read an ini setting of pytest's.

    The file is found as pytest finds it without arguments: the first of its kind in a directory or one above
    (https://docs.pytest.org/en/stable/reference/customize.html#finding-the-rootdir).

    Args:
        name: The setting.
        start: A directory of the project.

    Returns:
        The setting and the directory of the file, or None where no file says it. A file that does not parse says
        nothing: pytest refuses it by itself.
    """
    for directory in (start, *start.parents):
        for file, reader in _FILES.items():
            try:
                table = reader((directory / file).read_text(encoding="utf-8"))
            except (OSError, ValueError, configparser.Error):
                continue
            if table is not None:
                return (str(table[name]), directory) if table.get(name) else None
    return None


def _toml(*tables: tuple[str, ...], always: bool = False) -> Callable[[str], _Table | None]:
    def read(text: str) -> _Table | None:
        whole = tomllib.loads(text)
        found = next((found for table in tables if (found := _inside(whole, table)) is not None), None)
        return {} if found is None and always else found

    return read


def _inside(whole: _Table, table: tuple[str, ...]) -> _Table | None:
    found: Any = whole
    for name in table:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def _ini(section: str, *, always: bool = False) -> Callable[[str], _Table | None]:
    def read(text: str) -> _Table | None:
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        parser.read_string(text)
        return dict(parser[section]) if parser.has_section(section) else {} if always else None

    return read


# In pytest's own order. A file of its name is its configuration even without a section.
_FILES: Final[dict[str, Callable[[str], _Table | None]]] = {
    "pytest.toml": _toml(("pytest",), always=True),
    ".pytest.toml": _toml(("pytest",), always=True),
    "pytest.ini": _ini("pytest", always=True),
    ".pytest.ini": _ini("pytest", always=True),
    "pyproject.toml": _toml(("tool", "pytest", "ini_options"), ("tool", "pytest")),
    "tox.ini": _ini("pytest"),
    "setup.cfg": _ini("tool:pytest"),
}
