"""Who else plays from a cassette, and whether all of them run: what the others recorded stays where they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from lmtest.pytest_plugin.leftovers import owners_of
from lmtest.pytest_plugin.options import is_marked
from lmtest.pytest_plugin.shared import written_ids
from lmtest.refresh.written import test_id

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_RUNNING = pytest.StashKey[frozenset[str]]()
# What leaves out files that nobody can tell were there.
_LEAVES_OUT_FILES: Final = ("ignore", "ignore_glob", "continue_on_collection_errors")


def all_run(item: pytest.Item, path: Path, *, owner: str) -> bool:
    """Whether every test that may play from a cassette runs, or is gone, so that its file may be replaced.

    Args:
        item: The test it is opened for.
        path: The cassette.
        owner: Whose it is: the id of that test, or of the class or module whose tests share it; "" of the session.
    """
    written = written_ids(item.config)
    owners = owners_of(path) if path.exists() else ()
    others = {written.get(each, each) for each in owners} - {test_id(item)}  # one of before may hold a secret
    if owner != test_id(item):
        others.add(owner)
    return all(_runs(each, item) for each in others)


def _runs(owner: str, item: pytest.Item) -> bool:
    """Whether a test, or every one of a class, a module or the session, will run, or is gone."""
    session, config = item.session, item.config
    running = session.stash.setdefault(_RUNNING, frozenset(test_id(each) for each in session.items if _will_run(each)))
    if owner in running or (owner and not (config.rootpath / owner.partition("::")[0]).exists()):
        return True
    collected = [each for each in written_ids(config).values() if _is_of(each, owner)]
    return _was_collected_whole(owner, config) and running.issuperset(collected)


def _will_run(item: pytest.Item) -> bool:
    """Whether nothing that can be seen beforehand skips a test that has a cassette."""
    skipped = any(_is_true(marker) for name in ("skip", "skipif") for marker in item.iter_markers(name))
    return not (skipped and is_marked(item))


def _is_true(marker: pytest.Mark) -> bool:
    """Whether a condition holds; one in a string, that pytest evaluates, may."""
    conditions: Iterable[Any] = marker.args if marker.name == "skipif" else ()
    given = [*conditions, *(value for name, value in marker.kwargs.items() if name == "condition")]
    return any(map(bool, given)) or not given


def _is_of(test: str, owner: str) -> bool:
    return not owner or test == owner or test.startswith(f"{owner}::")


def _was_collected_whole(owner: str, config: pytest.Config) -> bool:
    if config.getoption("lf", None):
        return False  # it leaves tests out as they are collected
    if owner:
        return any(_covers(argument, owner, config) for argument in config.args)
    every = config.getini("testpaths") or ["."]
    left_out = any(config.getoption(name, None) for name in _LEAVES_OUT_FILES)
    return not left_out and all(any(_covers(argument, each, config) for argument in config.args) for each in every)


def _covers(argument: str, owner: str, config: pytest.Config) -> bool:
    """Whether an argument of the command line asks for all of an owner."""
    place, _, names = argument.partition("::")
    module, _, inner = owner.partition("::")
    asked, kept = (config.invocation_params.dir / place).resolve(), (config.rootpath / module).resolve()
    if names:
        return asked == kept and (inner == names or inner.startswith((f"{names}::", f"{names}[")))
    return asked == kept or asked in kept.parents
