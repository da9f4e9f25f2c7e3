"""Cassette files on disk: replaced whole or not at all, and never over what somebody else, or this run, recorded."""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from lmtest.cassette import blobs, codec
from lmtest.cassette.atomic import replacing, strays
from lmtest.cassette.index import Index
from lmtest.cassette.locks import identity, is_of_run, locked, note_writing
from lmtest.errors import CassetteUnsaved

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from lmtest.cassette.index import Entry
    from lmtest.cassette.interaction import Header, Interaction
    from lmtest.cassette.locks import Identity


def save(
    path: Path,
    header: Header,
    interactions: Iterable[Interaction],
    *,
    opened: Identity | None,
    run: str = "",
    beyond: bool = False,
    known: Collection[str] | None = None,
    media: Mapping[str, bytes] = MappingProxyType({}),
) -> None:
    """Replace a cassette by what was recorded.

    Whoever was killed, or ran out of disk, in the middle leaves the old bytes. What another process has recorded into
    the same file since it was opened, or this run at any time, is kept: the k-th answer to a request takes the place of
    the k-th that was there, and what has none to replace follows.

    Args:
        path: The cassette; its directories are made.
        header: The first document.
        interactions: What was recorded, in order.
        opened: The identity of the file when recording began.
        run: The run that records, or "" where no other writing belongs to it.
        beyond: Whether the answers come after those that are there instead of in their places.
        known: With `beyond`, the keys that were there when recording began, each as often: what others recorded since
            for the same requests is kept, and not doubled.
        media: What the interactions refer to, by the blob's name; written before the cassette.

    Raises:
        CassetteLocked: Another process was saving it for longer than :data:`lmtest.cassette.locks.LOCK_TIMEOUT`.
        CassetteFormatError: What is to be kept does not read.
        CassetteUnsaved: The disk is full, the directory cannot be written, and the like. The old file is whole.
    """
    with saving(path):
        put(path, header, interactions, opened=opened, run=run, beyond=beyond, known=known, media=media)


def put(
    path: Path,
    header: Header,
    interactions: Iterable[Interaction],
    *,
    opened: Identity | None,
    run: str = "",
    beyond: bool = False,
    known: Collection[str] | None = None,
    media: Mapping[str, bytes] = MappingProxyType({}),
) -> None:
    """Do what :func:`save` does, for whoever keeps all others from saving already."""
    blobs.write(path.parent, media)
    now = identity(path)
    if now is None or (now == opened and not is_of_run(path, run)):
        pieces: Iterable[bytes] = map(str.encode, [codec.encode_header(header), *map(codec.encode, interactions)])
    else:
        index = Index(path)
        wanted = interactions if known is None else _without_doubles(index, interactions, known)
        pieces = _added(index, header, wanted, beyond=beyond)
    write(path, pieces)
    if run:
        note_writing(path, run)


def rewrite(path: Path, change: Callable[[Index], Iterable[str | bytes]], *, under: Path | None = None) -> None:
    """Replace a cassette by what a function makes of it, while nobody else saves it.

    Args:
        path: The cassette.
        change: Gives the new content, piece by piece.
        under: Whose lock is taken, where it is not the cassette's own: of what a refresh recorded, its cassette's.

    Raises:
        CassetteFormatError: It does not read as a cassette.
        CassetteUnsaved: It could not be written; the old file is whole.
    """
    with saving(under or path):
        write(path, (piece if isinstance(piece, bytes) else piece.encode() for piece in change(Index(path))))


@contextlib.contextmanager
def saving(path: Path) -> Iterator[None]:
    """Only one process saves a file at a time; what the system refuses is told.

    Raises:
        CassetteUnsaved: Saving was refused.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path):
            yield
    except OSError as error:
        raise CassetteUnsaved(
            f"{path} could not be saved: {error.strerror or error}. What was to be written is lost; the file "
            "is as it was before. Make room or give the right to write, and do it again.",
            path=path,
        ) from error


def write(path: Path, pieces: Iterable[bytes]) -> None:
    """Replace a file by its new content, for whoever keeps all others from saving it already."""
    # Nobody else writes now: what lies there was left by somebody who was killed.
    for stray in strays(path):
        stray.unlink(missing_ok=True)
    with replacing(path) as file:
        for piece in pieces:
            file.write(piece)


def _without_doubles(
    index: Index, interactions: Iterable[Interaction], known: Collection[str]
) -> Iterator[Interaction]:
    """Leave out what others recorded meanwhile, too: the next run asks once, and would leave the second unplayed."""
    since = Counter(entry.key for entry in index.entries) - Counter(known)
    for each in interactions:
        if since[each.key] > 0:
            since[each.key] -= 1
        else:
            yield each


def _added(index: Index, header: Header, interactions: Iterable[Interaction], *, beyond: bool) -> Iterator[bytes]:
    """The file with what was recorded in it; each document that is not replaced stays byte for byte."""
    places = Counter() if beyond else Counter(entry.key for entry in index.entries)
    anew: dict[str, deque[Interaction]] = {}
    further = []
    for each in interactions:
        if places[each.key] > 0:
            places[each.key] -= 1
            anew.setdefault(each.key, deque()).append(each)
        else:
            further.append(each)
    yield preamble(index, header)
    for entry in index.entries:
        replacements = anew.get(entry.key)
        yield codec.encode(replacements.popleft()).encode() if replacements else document(index, entry)
    for each in further:
        yield codec.encode(each).encode()


def preamble(index: Index, header: Header) -> bytes:
    """The header there is, with every source and test: no host's answers pass for another's, no test goes unnamed."""
    was = index.header
    sources = ", ".join(sorted({*was.sources, *header.sources}))
    tests = "\n".join(dict.fromkeys([*was.tests, *header.tests])) or None
    executed = was.executed or (None if tests else header.executed)
    further = header.further | was.further
    now = replace(was, format=codec.FORMAT, source=sources, test=tests, executed=executed, further=further)
    return _ended(index.preamble) if now == was else preamble_of(now)


def preamble_of(header: Header) -> bytes:
    """A header as a file begins with it."""
    return codec.encode_header(header).encode()


def document(index: Index, entry: Entry) -> bytes:
    """A document of a file as it stands there, or in the format that is written now."""
    if index.header.format != codec.FORMAT:
        return codec.encode(index.read(entry)).encode()
    return b"---\n" + _ended(index.text(entry).encode())


def _ended(text: bytes) -> bytes:
    return text if text.endswith(b"\n") else text + b"\n"
