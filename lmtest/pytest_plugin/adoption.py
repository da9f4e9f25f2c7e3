"""Advice on a request that a test misses and another cassette has: of a test that was renamed or moved."""

from __future__ import annotations

import functools
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lmtest.here import here
from lmtest.pytest_plugin import options
from lmtest.pytest_plugin.leftovers import is_gone, owners_of
from lmtest.pytest_plugin.shared import written_ids

if TYPE_CHECKING:
    from collections.abc import Callable

_HOLDERS = pytest.StashKey[dict[str, tuple[Path, ...]]]()
"""Of a session: the cassettes that hold a request, by its key; read at the first miss."""


def advice_for(item: pytest.Item, path: Path, *, owner: str) -> Callable[[str], str]:
    """Give what says of a request that a test's cassette lacks where it is recorded, and how it is taken from there.

    Args:
        item: The test.
        path: Its cassette.
        owner: The id that the cassette's header has, or would have: of the test, or of what shares the cassette.
    """
    return functools.partial(_advice, item, path, owner)


def _advice(item: pytest.Item, path: Path, owner: str, key: str) -> str:
    told = []
    owners = owners_of(path) if path.exists() else ()
    if owners and owner and owner not in owners:
        told.append(f"{here(path)} is the cassette of {', '.join(owners)}, not of {owner}.")
    folder = item.config.rootpath / options.directory(item.config)
    for holder in _holders(item, folder, key):
        if holder != path and (why := _why_orphaned(item, holder, path, owner)):
            told.append(f"{here(holder)} holds this very request, and {why}.")
            told.append(_take_along(holder, path, owner, root=item.config.rootpath))
            break
    return "\n".join(told)


def _take_along(holder: Path, path: Path, owner: str, *, root: Path) -> str:
    moved = holder.name == path.name and not any(_is_there(each, root) for each in owners_of(holder))
    if moved and holder.parent != path.parent and not path.parent.exists():
        return f"If the file was moved, take its recordings along: {_command(holder.parent, path.parent)}"
    instead = ", instead of what is there" if path.exists() else ""
    test = ["--test", owner] if owner else []
    force = ["--force"] if path.exists() else []
    return f"If it was renamed, take its recordings along{instead}: {_command(holder, path, *test, *force)}"


def _command(old: Path, new: Path, *more: str) -> str:
    return shlex.join(["lmtest", "mv", str(here(old)), str(here(new)), *more])


def _why_orphaned(item: pytest.Item, holder: Path, path: Path, owner: str) -> str:
    """Why a cassette belongs to no test any more; empty where it does, or where nobody can tell."""
    owners = owners_of(holder)
    if owners == (owner,):
        # A test may have several open, by names that begin alike.
        return "" if holder.name.startswith(f"{path.stem}.") else "it was this test's own"
    root, known = item.config.rootpath, _collected(item.config)
    modules = {each.partition("::")[0] for each in known}
    if not owners or not all(is_gone(each, root, modules, known) or _is_undefined(each, root) for each in owners):
        return ""
    module = owners[0].partition("::")[0]
    return f"its test {owners[0]} is gone" if _is_there(owners[0], root) else f"there is no {module} any more"


def _is_there(test: str, root: Path) -> bool:
    """Decide if a test's file is there."""
    return (root / test.partition("::")[0]).exists()


def _collected(config: pytest.Config) -> set[str]:
    """The ids of all tests of the modules that were collected whole; none of a run that was narrowed."""
    return set() if options.narrowed(config) else set(written_ids(config).values())


def _is_undefined(test: str, root: Path) -> bool:
    """Decide if a test's file defines no function or class of its name."""
    module, _, inner = test.partition("::")
    try:
        source = (root / module).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    names = inner.partition("[")[0].split("::") if inner else []
    return any(not re.search(rf"\b(?:def|class)\s+{re.escape(name)}\b", source) for name in names)


def _holders(item: pytest.Item, folder: Path, key: str) -> tuple[Path, ...]:
    if _HOLDERS not in item.session.stash:
        item.session.stash[_HOLDERS] = _read_holders(folder)
    return item.session.stash[_HOLDERS].get(key, ())


def _read_holders(folder: Path) -> dict[str, tuple[Path, ...]]:
    from lmtest.cassette.index import Index
    from lmtest.cassette.library import find
    from lmtest.cassette.pending import is_pending
    from lmtest.errors import CassetteError

    holders: dict[str, tuple[Path, ...]] = {}
    for path in find([folder]) if folder.is_dir() else ():
        if is_pending(path):
            continue
        try:
            keys = dict.fromkeys(entry.key for entry in Index(path).entries)
        except CassetteError:
            continue
        holders |= {key: (*holders.get(key, ()), path) for key in keys}
    return holders
