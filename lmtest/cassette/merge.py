"""Two versions of a cassette made one, document by document, as git's merge driver needs it.

git's own merges work by lines: as soon as two recordings share some, ``merge=union`` interleaves them.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from lmtest.cassette.index import Index
from lmtest.errors import CassetteError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_Documents = dict[str, list[bytes]]


def merge(base: Path, ours: Path, theirs: Path, *, name: str = "") -> bytes:
    """Bring together what two branches recorded.

    Args:
        base: The version both started from; an empty file where there was none.
        ours: One version.
        theirs: The other one.
        name: What the cassette is called, for messages.

    Returns:
        The content of the merged file: every recording of either branch, without those that either removed.

    Raises:
        CassetteFormatError: One of the versions does not read.
        CassetteError: Both branches replaced the recordings of one request, each in its own way.
    """
    old = Index(base) if base.stat().st_size else None
    ours_, theirs_ = Index(ours), Index(theirs)
    before, here, there = (_documents(old) if old else {}), _documents(ours_), _documents(theirs_)
    merged = {
        key: deque(_merged(before.get(key, []), here.get(key, []), there.get(key, []), key=key, name=name or str(ours)))
        for key in dict.fromkeys([*here, *there])
    }
    header = _header(theirs_) if old and _header(old) == _header(ours_) else _header(ours_)
    return header + b"".join(_in_order(merged, ours_, theirs_))


def _merged(old: list[bytes], ours: list[bytes], theirs: list[bytes], *, key: str, name: str) -> list[bytes]:
    if theirs in (old, ours):
        return ours
    if ours == old:
        return theirs
    if ours[: len(old)] == old and theirs[: len(old)] == old:
        return ours + theirs[len(old) :]
    raise CassetteError(
        f"{name}: both branches recorded request {key[:12]} anew, and got different answers. Take one side "
        f"(git checkout --ours {name}) or record it again with LM_MODE=record."
    )


def _in_order(merged: dict[str, deque[bytes]], *sides: Index) -> Iterator[bytes]:
    """What is left of either side, in its order, so that a merge moves nothing."""
    for side in sides:
        for entry, text in side.texts():
            queue = merged[entry.key]
            if queue and queue[0] == _ended(text):
                yield b"---\n" + queue.popleft()


def _documents(index: Index) -> _Documents:
    documents: _Documents = {}
    for entry, text in index.texts():
        documents.setdefault(entry.key, []).append(_ended(text))
    return documents


def _header(index: Index) -> bytes:
    return _ended(index.preamble)


def _ended(text: bytes) -> bytes:
    return text if text.endswith(b"\n") else text + b"\n"
