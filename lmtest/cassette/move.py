"""A cassette under another name: with its media, with what waits beside it, and with the test that owns it now."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lmtest.cassette import blobs, codec, library, store
from lmtest.cassette.atomic import replacing
from lmtest.cassette.index import Index
from lmtest.cassette.locks import identity
from lmtest.cassette.pending import cassette_of, failed_path, fresh_path, is_pending
from lmtest.errors import CassetteError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lmtest.cassette.interaction import Header

_INNER = re.compile(r"[A-Za-z_][\w.]*(?:\[.*\])?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """One cassette to move.

    Attributes:
        old: Where it is.
        new: Where it goes.
        test: The test that owns it then, or None where its header stays as it is.
    """

    old: Path
    new: Path
    test: str | None = None


def plan_move(old: Path, new: Path, *, directory: Path, test: str | None = None) -> tuple[Move, ...]:
    """Say which cassettes a move takes where, and which tests own them then.

    A test is known by where its cassette goes, if the cassette was named after its test.

    Args:
        old: A cassette, or a directory of them.
        new: Its new name.
        directory: Where the project's cassettes are kept.
        test: The test that owns the cassette from now on.

    Raises:
        ConfigurationError: There is nothing to move, or no name to move it to.
    """
    if pending := next((path for path in (old, new) if is_pending(path)), None):
        raise ConfigurationError(
            f"{pending} is what a refresh records for {cassette_of(pending).name}, and goes where that goes: name that."
        )
    if old.is_dir():
        if test:
            raise ConfigurationError(f"{old} is a directory, and --test names the owner of one cassette: leave it out.")
        found = [path for path in library.find([old]) if not is_pending(path)]
        pairs = [(path, new / path.relative_to(old)) for path in found]
    else:
        pairs = [(path, new / path.name if new.is_dir() else new) for path in library.find([old])]
    if not pairs:
        raise ConfigurationError(f"there is no cassette in {old} to move.")
    if wrong := next((to for _, to in pairs if to.suffix not in library.SUFFIXES), None):
        raise ConfigurationError(f"{wrong} is no name of a cassette, which ends in .yaml: {wrong.with_suffix('.yaml')}")
    return tuple(Move(old=path, new=to, test=test or _owner(path, to, directory)) for path, to in pairs)


def move(moves: Iterable[Move], *, force: bool = False) -> None:
    """Move cassettes, each under its own lock, with their media and what a refresh recorded for them.

    Whoever is killed in between leaves a cassette under both names, and never under none.

    Args:
        moves: What goes where.
        force: Whether a cassette that is there already is replaced.

    Raises:
        CassetteError: One is there already, does not read, or could not be written. What was not moved yet stays.
    """
    moves = list(moves)
    for each in moves:
        if each.new.exists() and not force:
            raise CassetteError(
                f"{each.new} is there already, and nothing was moved. Replace it with lmtest mv --force, or see how "
                f"they differ: lmtest diff {each.old} {each.new}",
                path=each.new,
            )
    for each in moves:
        beside = [(of(each.old), of(each.new)) for of in (fresh_path, failed_path)]
        for old, new in [*((old, new) for old, new in beside if old.exists()), (each.old, each.new)]:
            _move(old, new, each)


def _move(old: Path, new: Path, asked: Move) -> None:
    was = identity(old)
    index = Index(old)
    names = library.references(index)
    content = old.read_bytes()[len(index.preamble) :]
    with store.saving(asked.new):
        if old.parent != new.parent:
            blobs.write(new.parent, {name: blobs.read(old.parent, name) for name in names})
        with replacing(new) as file:
            file.write(_preamble(index, asked.test) + content)
        new.chmod(old.stat().st_mode & 0o777)
    with store.saving(asked.old):
        if identity(old) != was:
            raise CassetteError(
                f"{old} was written while it was moved: {new} has what was there before, and what is there now stays. "
                f"Compare them: lmtest diff {new} {old}",
                path=old,
            )
        old.unlink()
    library.drop_blobs(old.parent, names)


def _preamble(index: Index, test: str | None) -> bytes:
    header: Header = replace(index.header, test=test) if test else index.header
    return index.preamble if header == index.header else codec.encode_header(header).encode()


def _owner(old: Path, new: Path, directory: Path) -> str | None:
    """The tests of a cassette's header under their new names, one a line; None where none is known to have another."""
    try:
        was, now = (PurePosixPath(path.resolve().relative_to(directory.resolve())) for path in (old, new))
    except ValueError:
        return None
    tests = Index(old).header.tests
    renamed = tuple(_renamed(test, was.with_suffix(""), now.with_suffix("")) for test in tests)
    return "\n".join(renamed) if renamed != tests else None


def _renamed(test: str, was: PurePosixPath, now: PurePosixPath) -> str:
    r"""A test's id by where its cassette goes.

    >>> _renamed("tests/test_qa.py::TestQA::test_old[fr]", PurePosixPath("tests/test_qa/TestQA.test_old[fr]"),
    ...     PurePosixPath("tests/test_qa/TestQA.test_new[fr]"))
    'tests/test_qa.py::TestQA::test_new[fr]'
    >>> _renamed("test_old.py::test_it", PurePosixPath("test_old/test_it-1f"), PurePosixPath("new/test_it-1f"))
    'new.py::test_it'
    """
    module, _, inner = test.partition("::")
    home = PurePosixPath(module).with_suffix("")
    if was == home:  # shared by the module
        return f"{now}.py{inner and '::' + inner}"
    if not inner or was.parent != home:
        return test
    if was.name == now.name:  # its file was moved
        return f"{now.parent}.py::{inner}"
    name, bracket, parameters = inner.partition("[")
    if was.name != f"{name.replace('::', '.')}{bracket}{parameters}" or not _INNER.fullmatch(now.name):
        return test  # what the cassette is called does not say what the test is called
    name, bracket, parameters = now.name.partition("[")
    return f"{now.parent}.py::{name.replace('.', '::')}{bracket}{parameters}"
