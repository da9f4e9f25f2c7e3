"""What no test uses: recordings that were not asked for, and cassettes whose test is gone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lmtest.errors import CassetteFormatError
from lmtest.pytest_plugin.tally import relative

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lmtest.pytest_plugin.tally import Tally

_HEADER_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Unplayed:
    """Recordings of one cassette that none of its tests asked for.

    Attributes:
        path: The cassette, relative to the root directory.
        test: A test that has it.
        places: Where the recordings begin, in bytes.
    """

    path: str
    test: str
    places: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Leftovers:
    """What no test uses.

    Attributes:
        unplayed: Recordings, by their cassette.
        orphans: Cassettes, relative to the root directory.
    """

    unplayed: tuple[Unplayed, ...] = ()
    orphans: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.unplayed or self.orphans)


@dataclass(frozen=True, kw_only=True)
class Tests:
    """Which tests there are, and which of them ran.

    Attributes:
        root: The directory that test ids count from.
        collected: Those of every module that was collected; not all of these, where the run was narrowed.
        ran: Those that were not deselected or skipped.
        whole: Whether the modules ran whole.
    """

    root: Path
    collected: frozenset[str]
    ran: frozenset[str]
    whole: bool

    def are_idle(self, owner: str) -> bool:
        """Decide if a test, or one of a class or module that shares a cassette, is there and did not run."""
        if (self.whole or owner in self.collected) and (tests := {each for each in self.collected if _is(owner, each)}):
            return not tests <= self.ran
        module = owner.partition("::")[0]
        known = self.whole and any(each.partition("::")[0] == module for each in self.collected)
        return not known and (self.root / module).exists()


def unplayed(tallies: Iterable[Tally], tests: Tests) -> tuple[Unplayed, ...]:
    """Find the recordings that no test asked for, of cassettes whose tests all ran and passed in replay.

    A cassette that several tests opened, in one process or in several, has only those left over that all of them left.

    Args:
        tallies: What was run.
        tests: Which tests there are.
    """
    left: dict[str, set[int]] = {}
    openers: dict[str, str] = {}
    spoiled: set[str] = set()
    for tally in tallies:
        for file in tally.files:
            if tally.failed or file.mode != "replay":
                spoiled.add(file.path)
            elif file.unplayed is not None and (tests.whole or not file.shared):
                left[file.path] = left.get(file.path, set(file.unplayed)) & set(file.unplayed)
                openers.setdefault(file.path, tally.test)
    return tuple(
        Unplayed(path=path, test=openers[path], places=tuple(sorted(places)))
        for path, places in sorted(left.items())
        if places and path not in spoiled and not any(map(tests.are_idle, owners_of(tests.root / path)))
    )


def orphans(directory: Path, *, root: Path, collected: Mapping[str, str], tallies: Sequence[Tally]) -> tuple[str, ...]:
    """Find the cassettes whose header names a test that is gone, or that has another cassette by now.

    A module that was not collected says nothing about its tests; a module that is not there any more says all.

    Args:
        directory: Where cassettes are kept.
        root: The directory that test ids count from.
        collected: The tests of every module that was collected, whole: their ids as written down, by pytest's own.
        tallies: What was run.
    """
    from lmtest.cassette.pending import is_pending

    ids = set(collected.values())
    modules = {each.partition("::")[0] for each in ids}
    used = {file.path for tally in tallies for file in tally.files}
    ran = {tally.test for tally in tallies}
    found = []
    for path in sorted(directory.rglob("*.yaml")):
        if (
            is_pending(path)
            or relative(path, root) in used
            or _is_elsewhere(path.relative_to(directory), root, modules)
        ):
            continue
        # The header of one that an earlier version wrote may hold a secret.
        owners = {collected.get(each, each) for each in owners_of(path)}
        gone = {each for each in owners if is_gone(each, root, modules, ids)}
        if owners and all(each in gone or each in ran for each in owners):
            found.append(relative(path, root))
    return tuple(found)


def prune(leftovers: Leftovers, *, root: Path) -> Iterator[str]:
    """Delete what no test uses; say what was done, a line a file.

    Raises:
        CassetteError: A file cannot be written or deleted.
    """
    from lmtest.cassette import library

    for each in leftovers.unplayed:
        path = root / each.path
        library.drop(path, each.places)
        yield f"pruned {each.path}: {len(each.places) if path.exists() else 'all'} of its recordings"
    for name in leftovers.orphans:
        library.drop_whole(root / name)
        yield f"pruned {name}: no test has it"


def _is_elsewhere(inside: Path, root: Path, modules: set[str]) -> bool:
    """Whether a cassette, by where it is kept, belongs to a module that is there and was not collected."""
    module = f"{PurePosixPath(inside.as_posix()).parent}.py"
    return module not in modules and (root / module).exists()


def is_gone(owner: str, root: Path, modules: set[str], ids: set[str]) -> bool:
    """Decide if a test, or a class or module that shares a cassette, is not there any more, as far as it can be told.

    Args:
        owner: Its id.
        root: The directory that ids count from.
        modules: The modules that were collected whole.
        ids: Their tests.
    """
    module = owner.partition("::")[0]
    return not (root / module).exists() or (module in modules and not _exists(owner, ids))


def _exists(owner: str, ids: set[str]) -> bool:
    """Whether a test, or a class or module that shares a cassette, was collected."""
    return any(_is(owner, each) for each in ids)


def _is(owner: str, test: str) -> bool:
    return test == owner or test.startswith(f"{owner}::")


def owners_of(path: Path) -> tuple[str, ...]:
    """The tests that a cassette's header names; none where the file is no cassette of ours."""
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES).replace(b"\r\n", b"\n")
    text, found, _ = head.partition(b"\n---\n")
    if not found and len(head) == _HEADER_BYTES:
        return ()  # longer than any header
    from lmtest.cassette import codec

    try:
        return codec.decode_header(text.decode().rstrip("\n") + "\n", path=path).tests
    except (CassetteFormatError, UnicodeDecodeError):
        return ()  # another tool's YAML is not ours to judge
