"""Cassette files on disk: replaced whole or not at all, and never over what another process recorded meanwhile."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from lmtest.cassette import blobs, codec
from lmtest.cassette.atomic import replacing, strays
from lmtest.cassette.index import Index
from lmtest.errors import CassetteError, CassetteLocked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from lmtest.cassette.interaction import Header, Interaction

LOCK_TIMEOUT: Final = 60.0
"""Seconds to wait for another process that is saving the same cassette."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Which writing of a file is on disk; two that differ are two writings."""

    inode: int
    modified_ns: int
    size: int


def identity(path: Path) -> Identity | None:
    """Tell which writing of a file is there now, or None where there is no file."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Identity(inode=status.st_ino, modified_ns=status.st_mtime_ns, size=status.st_size)


def save(
    path: Path,
    header: Header,
    interactions: Iterable[Interaction],
    *,
    opened: Identity | None,
    media: Mapping[str, bytes] = MappingProxyType({}),
) -> None:
    """Replace a cassette by what was recorded.

    Whoever was killed, or ran out of disk, in the middle leaves the old bytes. Where another process has recorded into
    the same file since it was opened, its interactions are kept and these follow them.

    Args:
        path: The cassette; its directories are made.
        header: The first document.
        interactions: What was recorded, in order.
        opened: The identity of the file when recording began.
        media: What the interactions refer to, by the blob's name; written before the cassette.

    Raises:
        CassetteLocked: Another process was saving it for longer than :data:`LOCK_TIMEOUT`.
        CassetteFormatError: What another process recorded meanwhile does not read.
        CassetteError: The disk is full, the directory cannot be written, and the like. The old file is whole.
    """
    with _saving(path):
        blobs.write(path.parent, media)
        kept = _recorded_meanwhile(path, opened, source=header.source)
        _write(path, kept or codec.encode_header(header).encode(), interactions)


def rewrite(path: Path, change: Callable[[Index], Iterable[str | bytes]]) -> None:
    """Replace a cassette by what a function makes of it, while nobody else saves it.

    Args:
        path: The cassette.
        change: Gives the new content, piece by piece.

    Raises:
        CassetteFormatError: It does not read as a cassette.
        CassetteError: It could not be written; the old file is whole.
    """
    with _saving(path), replacing(path) as file:
        for piece in change(Index(path)):
            file.write(piece if isinstance(piece, bytes) else piece.encode())


@contextlib.contextmanager
def _saving(path: Path) -> Iterator[None]:
    """Only one process saves a file at a time; what the system refuses is told."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path):
            # Nobody else writes now: what lies there was left by somebody who was killed.
            for stray in strays(path):
                stray.unlink(missing_ok=True)
            yield
    except OSError as error:
        raise CassetteError(
            f"{path} could not be saved: {error.strerror or error}. What was recorded in this run is lost; the file "
            "is as it was before. Make room or give the right to write, and record again.",
            path=path,
        ) from error


def _write(path: Path, beginning: bytes, interactions: Iterable[Interaction]) -> None:
    with replacing(path) as file:
        file.write(beginning)
        for interaction in interactions:
            file.write(codec.encode(interaction).encode())


def _recorded_meanwhile(path: Path, opened: Identity | None, *, source: str) -> bytes:
    """What stands in the file since it was opened, with a further source; what does not read is not appended to.

    The header names every source, so that one host's answers never pass for another's.
    """
    now = identity(path)
    if now is None or now == opened:
        return b""
    index = Index(path)
    sources = ", ".join(sorted({*index.header.source.split(", "), *source.split(", ")}))
    header = replace(index.header, format=codec.FORMAT, source=sources)
    if index.header.format != codec.FORMAT:
        return "".join([codec.encode_header(header), *(codec.encode(index.read(e)) for e in index.entries)]).encode()
    content = path.read_bytes()
    if header != index.header:
        content = codec.encode_header(header).encode() + content[len(index.preamble) :]
    return content if content.endswith(b"\n") else content + b"\n"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout  # late: only saving locks

    lock = FileLock(lock_path(path))
    try:
        lock.acquire(timeout=LOCK_TIMEOUT)
    except Timeout:
        raise CassetteLocked(
            f"{path} is being saved by another process for more than {LOCK_TIMEOUT:.0f} s. What was recorded in this "
            f"run is lost; the file is as it was before. If no such process lives, delete {lock.lock_file}.",
            path=path,
        ) from None
    try:
        yield
    finally:
        lock.release()


def lock_path(path: Path) -> Path:
    """The lock of a cassette: outside its directory, which may be read-only and is in version control."""
    directory = Path(tempfile.gettempdir()) / f"lmtest-locks-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory / f"{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]}.lock"
