"""Two versions of a cassette made one, document by document, as git's merge driver needs it.

git's own merges work by lines: as soon as two recordings share some, ``merge=union`` interleaves them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lmtest.cassette import codec
from lmtest.cassette.compare import answered
from lmtest.cassette.index import Index

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from lmtest.cassette.conversation import Turn
    from lmtest.cassette.interaction import Json


@dataclass(frozen=True, kw_only=True, slots=True)
class Merged:
    """What two versions are together.

    Attributes:
        content: The merged file: every recording of either branch, without those that either removed. Where both
            replaced the recordings of one request by different answers, it holds both between git's conflict marks.
        conflicts: The keys of those requests.
    """

    content: bytes
    conflicts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Document:
    """One recording as it stands in a version, and what it says whenever and by whom it was recorded."""

    place: tuple[int, int]  # the version's, and the document's in it
    text: bytes
    says: Turn
    recorded_at: str


@dataclass(frozen=True, slots=True)
class _Clash:
    """What both branches put in the place of the same recordings."""

    ours: Sequence[_Document]
    theirs: Sequence[_Document]

    @property
    def place(self) -> tuple[int, int]:
        return next(each.place for each in (*self.ours, *self.theirs))


_Pieces = list[_Document | _Clash]


def merge(base: Path, ours: Path, theirs: Path) -> Merged:
    """Bring together what two branches recorded.

    Two recordings of a request are the same where they say the same, as ``lmtest diff`` compares them: when they were
    made, how long they took and what they cost is no conflict. The newer one is taken.

    Args:
        base: The version both started from; an empty file where there was none.
        ours: One version.
        theirs: The other one.

    Raises:
        CassetteFormatError: One of the versions does not read.
    """
    old = Index(base) if base.stat().st_size else None
    versions = Index(ours), Index(theirs)
    before = _documents(old, 0) if old else {}
    here, there = _documents(versions[0], 1), _documents(versions[1], 2)
    by_key = {
        key: _merged(before.get(key, []), here.get(key, []), there.get(key, []))
        for key in dict.fromkeys([*here, *there])
    }
    pieces = sorted((piece for pieces in by_key.values() for piece in pieces), key=lambda piece: piece.place)
    return Merged(
        content=_header(old, *versions) + b"".join(map(_written, pieces)),
        conflicts=tuple(key for key, found in by_key.items() if any(isinstance(each, _Clash) for each in found)),
    )


def _merged(old: list[_Document], ours: list[_Document], theirs: list[_Document]) -> _Pieces:
    """The recordings of one request: what one branch alone changed goes, then what both added, each once."""
    if _say(ours) == _say(theirs):
        return [_newer(mine, yours) for mine, yours in zip(ours, theirs, strict=True)]
    if _say(theirs) == _say(old):
        return [*ours]
    if _say(ours) == _say(old):
        return _in_places(theirs, ours)
    if min(len(ours), len(theirs)) < len(old):
        return [_Clash(ours, theirs)]
    replaced = [_one(*three) for three in zip(old, ours, theirs, strict=False)]
    return [*replaced, *_added(ours[len(old) :], theirs[len(old) :])]


def _one(old: _Document, ours: _Document, theirs: _Document) -> _Document | _Clash:
    if ours.says == theirs.says:
        return _newer(ours, theirs)
    if theirs.says == old.says:
        return ours
    if ours.says == old.says:
        return replace(theirs, place=ours.place)
    return _Clash([ours], [theirs])


def _added(ours: Sequence[_Document], theirs: Sequence[_Document]) -> Iterator[_Document]:
    """What both added after the same recordings: together as far as they say the same, then ours, then theirs."""
    same = 0
    for mine, yours in zip(ours, theirs, strict=False):
        if mine.says != yours.says:
            break
        yield _newer(mine, yours)
        same += 1
    yield from ours[same:]
    yield from theirs[same:]


def _newer(ours: _Document, theirs: _Document) -> _Document:
    return replace(theirs, place=ours.place) if theirs.recorded_at > ours.recorded_at else ours


def _in_places(theirs: Sequence[_Document], ours: Sequence[_Document]) -> _Pieces:
    """Theirs, each where ours of the same number stands, so that a merge moves nothing."""
    return [
        replace(each, place=ours[number].place) if number < len(ours) else each for number, each in enumerate(theirs)
    ]


def _documents(index: Index, version: int) -> dict[str, list[_Document]]:
    documents: dict[str, list[_Document]] = {}
    for number, (entry, text) in enumerate(index.texts()):
        read = index.read(entry)
        document = _Document((version, number), _ended(text), answered(read), read.recorded_at or "")
        documents.setdefault(entry.key, []).append(document)
    return documents


def _say(documents: Iterable[_Document]) -> list[Turn]:
    return [each.says for each in documents]


def _written(piece: _Document | _Clash) -> bytes:
    if isinstance(piece, _Document):
        return b"---\n" + piece.text
    ours, theirs = (b"".join(map(_written, side)) for side in (piece.ours, piece.theirs))
    return b"<<<<<<< ours\n" + ours + b"=======\n" + theirs + b">>>>>>> theirs\n"


def _header(old: Index | None, ours: Index, theirs: Index) -> bytes:
    """The newer one, with the tests and sources of both but for those that either took away."""
    newest = max(ours, theirs, key=lambda index: index.header.recorded_at)
    before = old.header if old else None
    tests = _both(before.tests if before else (), ours.header.tests, theirs.header.tests)
    sources = _both(before.sources if before else (), ours.header.sources, theirs.header.sources)
    further = _fields(
        before.further if before else {}, ours.header.further, theirs.header.further, newest.header.further
    )
    header = replace(
        newest.header,
        test="\n".join(tests) or None,
        source=", ".join(sorted(sources)),
        executed=newest.header.executed or (None if tests else ours.header.executed or theirs.header.executed),
        further=further,
    )
    return _ended(newest.preamble) if header == newest.header else codec.encode_header(header).encode()


def _both(old: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    gone = {each for each in old if each not in ours or each not in theirs}
    return [each for each in dict.fromkeys([*ours, *theirs]) if each not in gone]


def _fields(old: Json, ours: Json, theirs: Json, newest: Json) -> Json:
    """What either has, as the newer one has it where both do; what one took away is gone."""
    gone = {name for name in old if name not in ours or name not in theirs}
    return {name: value for name, value in (ours | theirs | newest).items() if name not in gone}


def _ended(text: bytes) -> bytes:
    return text if text.endswith(b"\n") else text + b"\n"
