"""What no test uses: recordings that were not asked for, and cassettes whose test is gone."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lmtest.errors import CassetteError, CassetteFormatError
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


def unplayed(tallies: Iterable[Tally], *, whole: bool = True) -> tuple[Unplayed, ...]:
    """Find the recordings that no test asked for, of cassettes whose tests all passed in replay.

    A cassette that several tests opened, in one process or in several, has only those left over that all of them left.

    Args:
        tallies: What was run.
        whole: Whether the modules ran whole; else a shared cassette tells nothing.
    """
    left: dict[str, set[int]] = {}
    tests: dict[str, str] = {}
    spoiled: set[str] = set()
    for tally in tallies:
        for file in tally.files:
            if tally.failed or file.mode != "replay":
                spoiled.add(file.path)
            elif file.unplayed is not None and (whole or not file.shared):
                left[file.path] = left.get(file.path, set(file.unplayed)) & set(file.unplayed)
                tests.setdefault(file.path, tally.test)
    return tuple(
        Unplayed(path=path, test=tests[path], places=tuple(sorted(places)))
        for path, places in sorted(left.items())
        if places and path not in spoiled
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
        gone = {each for each in owners if _is_gone(each, root, modules, ids)}
        if owners and all(each in gone or each in ran for each in owners):
            found.append(relative(path, root))
    return tuple(found)


def prune(leftovers: Leftovers, *, root: Path) -> Iterator[str]:
    """Delete what no test uses; say what was done, a line a file.

    Raises:
        CassetteError: A file cannot be written or deleted.
    """
    for each in leftovers.unplayed:
        path = root / each.path
        kept = _without(path, set(each.places))
        try:
            if kept is None:
                path.unlink()
            else:
                fresh = path.with_name(f".{path.name[:40]}.{secrets.token_hex(6)}.tmp")
                fresh.write_bytes(kept)
                fresh.replace(path)
        except OSError as error:
            raise CassetteError(f"{path} could not be pruned: {error.strerror}.", path=path) from error
        yield f"pruned {each.path}: {'all' if kept is None else len(each.places)} of its recordings"
    for name in leftovers.orphans:
        (root / name).unlink()
        yield f"pruned {name}: no test has it"


def _without(path: Path, places: set[int]) -> bytes | None:
    """The file's bytes without the interactions at some places, or None when nothing else is in it."""
    from lmtest.cassette.index import Index

    entries = Index(path).entries
    kept = [entry for entry in entries if entry.start not in places]
    if not kept:
        return None
    content = path.read_bytes()
    before = content[: entries[0].start]
    mark = before[before.rindex(b"---") :]
    return before + mark.join(content[entry.start : entry.end] for entry in kept)


def _is_elsewhere(inside: Path, root: Path, modules: set[str]) -> bool:
    """Whether a cassette, by where it is kept, belongs to a module that is there and was not collected."""
    module = f"{PurePosixPath(inside.as_posix()).parent}.py"
    return module not in modules and (root / module).exists()


def _is_gone(owner: str, root: Path, modules: set[str], ids: set[str]) -> bool:
    module = owner.partition("::")[0]
    return not (root / module).exists() or (module in modules and not _exists(owner, ids))


def _exists(owner: str, ids: set[str]) -> bool:
    """Whether a test, or a class or module that shares a cassette, was collected."""
    return owner in ids or any(each.startswith(f"{owner}::") for each in ids)


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
