"""The cassettes that the tests of a class, a module or the session share: closed after the last of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from lmtest.modes import Mode
from lmtest.pytest_plugin import options

if TYPE_CHECKING:
    from lmtest.pytest_plugin.covered import Covered
    from lmtest.pytest_plugin.opened import Opened
    from lmtest.pytest_plugin.tally import File

COVERED: pytest.StashKey[Covered] = pytest.StashKey()
"""Of a test: itself while its cassette is open."""

OPEN = pytest.StashKey[dict[pytest.Collector, "Opened"]]()
"""Of a session: what is open, by whose it is."""

RELEASE = pytest.StashKey[Callable[[], None]]()
"""Of a session in which a cassette was open: gives the context back, whatever fixtures did to it."""

COLLECTED = pytest.StashKey[tuple[pytest.Item, ...]]()
"""Of a configuration: the tests there are, those that were deselected among them."""

SIBLINGS = pytest.StashKey[tuple[pytest.Item | pytest.Collector, ...]]()
"""Of a class or module: all that was collected in it, whichever of them were asked for."""

_WRITTEN = pytest.StashKey[dict[str, str]]()
_CLOSED = pytest.StashKey[list["File"]]()
_CURRENT: pytest.StashKey[Covered] = pytest.StashKey()


def close_ended(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Close the cassettes whose class, module or session ends with a test.

    Raises:
        CassetteError: One could not be saved.
    """
    if release := item.session.stash.get(RELEASE, None):
        release()
    opened = item.session.stash.get(OPEN, None)
    if not opened:
        return
    goes_on = set(nextitem.listchain()) if nextitem is not None else set()
    for node in [node for node in opened if node not in goes_on]:
        each = opened.pop(node)
        each.close(interrupted=each.cassette.mode is Mode.REFRESH and _is_cut_off(item, node))
        item.session.stash.setdefault(_CLOSED, []).append(each.tell(item.config.rootpath))


def _is_cut_off(item: pytest.Item, node: pytest.Collector) -> bool:
    """Whether the run stops before or after a test though others of the same class, module or session would follow."""
    session = item.session
    if not (session.shouldstop or session.shouldfail):
        return False
    following = session.items[session.items.index(item) + (COVERED in item.stash) :]
    return any(node in each.listchain() for each in following)


def written_ids(config: pytest.Config) -> dict[str, str]:
    """Give the ids of the tests there are as they are written down, by what pytest calls them.

    Raises:
        ConfigurationError: A setting of the project that cannot be used.
    """
    if (known := config.stash.get(_WRITTEN, None)) is not None:
        return known
    from lmtest.refresh.written import test_id

    items = config.stash.get(COLLECTED, ())
    ids = {item.nodeid: test_id(item) if options.is_marked(item) else item.nodeid for item in items}
    return config.stash.setdefault(_WRITTEN, ids)


def take_closed(session: pytest.Session) -> tuple[File, ...]:
    """Give what became of the files that were closed since the last asking."""
    closed = session.stash.get(_CLOSED, [])
    taken = tuple(closed)
    closed.clear()
    return taken


def begin(covered: Covered) -> None:
    """Note whose cassette is open, so that nothing of it outlives the session; `pytest.exit` tears no test down."""
    session = covered.item.session
    if _CURRENT not in session.stash:
        session.config.add_cleanup(functools.partial(_end_last, session))
    session.stash[_CURRENT] = covered


def _end_last(session: pytest.Session) -> None:
    session.stash[_CURRENT].exits.close()


def abandon(session: pytest.Session) -> None:
    """Close what an aborted run left open; nothing of it is saved, for not all of its tests have passed."""
    opened = session.stash.get(OPEN, {})
    while opened:
        _, each = opened.popitem()
        each.close(interrupted=True)
