"""The cassettes of a directory: which there are, what they hold, what can go."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lmtest import clock
from lmtest.cassette import blobs, pending, store
from lmtest.cassette.index import Index
from lmtest.cassette.verify import REFERENCE, Finding, orphans
from lmtest.errors import CassetteError, CassetteFormatError, CassetteUnsaved, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from lmtest.cassette.interaction import Json

SUFFIXES: Final = (".yaml", ".yml")
_OLD: Final = 3600.0
"""Seconds after which what a process left half written is nobody's any more."""


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """One cassette, as ``lmtest ls`` lists it.

    Attributes:
        path: The file.
        interactions: How many are recorded.
        models: Who was asked: models, and tools as ``tool search``.
        recorded_at: When it was first written, ISO 8601.
        source: Who answered.
        cost: USD it cost to record, as far as prices are known.
        size: Bytes, blobs not counted.
        executed: What a worker executed, where no test owns it.
        problem: Why it does not read, where it does not.
    """

    path: Path
    interactions: int = 0
    models: tuple[str, ...] = ()
    recorded_at: str = ""
    source: str = ""
    cost: Decimal | None = None
    size: int = 0
    executed: Json | None = None
    problem: str | None = None


def find(paths: Iterable[Path]) -> Iterator[Path]:
    """Find cassettes: files that are named, and all that look like one in directories that are.

    Raises:
        ConfigurationError: There is no such file or directory.
    """
    for path in paths:
        if path.is_dir():
            yield from sorted(file for _, cassettes in _folders(path) for file in cassettes)
        elif path.exists():
            yield path
        else:
            usual = path.name == "cassettes"
            hint = "Record some: LM_MODE=record pytest" if usual else "Cassettes are usually in: cassettes/"
            raise ConfigurationError(f"there is no file or directory {path}. {hint}")


def shelve(path: Path) -> Shelf:
    """Say what a cassette holds."""
    try:
        index = Index(path)
        read = [index.read(entry) for entry in index.entries]
    except CassetteError as error:
        return Shelf(path=path, problem=str(error))
    costs = [each.cost for each in read if each.cost is not None]
    return Shelf(
        path=path,
        interactions=len(read),
        models=tuple(sorted({each.model or f"tool {each.tool}" for each in read})),
        recorded_at=index.header.recorded_at,
        source=index.header.source,
        cost=sum(costs, Decimal(0)) if costs or not read else None,
        size=index.size,
        executed=index.header.executed,
    )


def orphaned(directory: Path) -> Iterator[Finding]:
    """Find the blobs below a directory that no cassette refers to, as findings."""
    for folder, cassettes in _folders(directory):
        try:
            found = orphans(folder, cassettes)
        except CassetteError:
            continue  # is a finding of its own
        for file in found:
            yield Finding(path=file, line=None, problem="no cassette refers to this blob. Remove it: lmtest prune")


def prunable(directory: Path) -> Iterator[Path]:
    """Find what can go: blobs no cassette refers to, and files that killed processes left.

    Args:
        directory: Where to look, with all directories below.

    Raises:
        CassetteFormatError: A cassette does not read, so nobody can tell what it refers to.
    """
    folders = list(_folders(directory))
    for path in (each for _, cassettes in folders for each in cassettes):
        Index(path)  # before anything goes, and where there are no blobs, too
    for folder, cassettes in folders:
        yield from orphans(folder, cassettes)
        for stray in (*folder.glob(".*.tmp"), *(folder / blobs.DIRECTORY).glob(".*.tmp")):
            if clock.now() - stray.stat().st_mtime > _OLD:
                yield stray


def drop(path: Path, places: Collection[int]) -> None:
    """Remove recordings from a cassette, with the blobs that nothing refers to then.

    What stays of the file stays byte for byte, in a file of the same mode. With its last recording the file goes.

    Args:
        path: The cassette.
        places: Where the recordings begin, in bytes.

    Raises:
        CassetteFormatError: It does not read as a cassette.
        CassetteError: It was written meanwhile, or may not be; it is as it was.
    """
    with store.saving(path):
        index = Index(path)
        names = references(index)
        kept = [entry for entry in index.entries if entry.start not in places]
        if len(kept) + len(places) != len(index.entries):
            told = f"{path} was written since the run read it: run the suite again before anything of it is removed."
            raise CassetteError(told, path=path)
        if kept:
            store.write(path, [store.preamble(index, index.header), *(store.document(index, each) for each in kept)])
        else:
            names = _remove(path)
    drop_blobs(path.parent, names)


def drop_whole(path: Path) -> None:
    """Remove a cassette, with the blobs that nothing refers to then.

    Raises:
        CassetteError: It may not be removed.
    """
    with store.saving(path):
        names = _remove(path)
    drop_blobs(path.parent, names)


def _remove(path: Path) -> frozenset[str]:
    """Remove a cassette and what a refresh recorded for it, which has no place any more; give the blobs of all."""
    names = _blobs_of_all(path)
    path.unlink()
    pending.remove(path)
    return names


def accept(path: Path) -> None:
    """Put what a refresh recorded in a cassette's place, and remove the blobs that nothing refers to then.

    Raises:
        CassetteError: Nothing was recorded, or not yet all, or it could not be put there; the cassette is as it was.
    """
    names = _blobs_of_all(path)
    pending.accept(path)
    drop_blobs(path.parent, names)


def discard(path: Path) -> None:
    """Remove what a refresh recorded for a cassette, with the blobs that nothing refers to then."""
    names = _blobs_of_all(path)
    pending.discard(path)
    drop_blobs(path.parent, names)


def _blobs_of_all(path: Path) -> frozenset[str]:
    """The blobs of a cassette and of what a refresh recorded for it."""
    names: set[str] = set()
    for each in (path, pending.fresh_path(path), pending.failed_path(path)):
        with contextlib.suppress(CassetteError):  # what is not there, or does not read
            names |= references(Index(each))
    return frozenset(names)


def references(index: Index) -> frozenset[str]:
    """The names of the blobs that a cassette's text refers to."""
    return frozenset(name.decode() for _, text in index.texts() for name in REFERENCE.findall(text))


def drop_blobs(directory: Path, names: Collection[str]) -> None:
    """Remove those blobs of a directory that none of its cassettes refers to any more.

    Where one of them does not read, nobody can tell, and they stay; ``lmtest verify`` tells of it.

    Args:
        directory: Where the cassettes are.
        names: The blobs that may go: what a cassette referred to that is gone, or says something else now.

    Raises:
        CassetteError: One cannot be removed.
    """
    if not names or not directory.is_dir():
        return
    with contextlib.suppress(CassetteFormatError):
        cassettes = [path for path in sorted(directory.iterdir()) if _is_cassette(path.name) and path.is_file()]
        for file in orphans(directory, cassettes):
            if file.name in names:
                try:
                    file.unlink(missing_ok=True)
                except OSError as error:
                    told = f"{file}, which no cassette refers to any more, could not be removed: {error.strerror}."
                    raise CassetteUnsaved(told, path=file) from error


def _folders(directory: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Each directory below one, with the cassettes in it."""
    for name, below, files in os.walk(directory):
        below.sort()
        if Path(name).name != blobs.DIRECTORY:
            yield Path(name), [Path(name, file) for file in sorted(files) if _is_cassette(file)]


def _is_cassette(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")
