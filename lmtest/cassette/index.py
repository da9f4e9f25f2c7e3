"""Where each interaction stands in a cassette file, found without parsing it.

Opening a file of 3,000 interactions costs one pass over its bytes; an interaction is parsed when it is played.
"""

from __future__ import annotations

import os
import re
import shlex
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from lmtest.cassette import codec
from lmtest.errors import CassetteFormatError, CassetteNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lmtest.cassette.interaction import Header, Interaction, Json

LARGEST: Final = 512 * 1024 * 1024
"""Bytes beyond which a file is refused: no recording a person can review is larger."""

_CHUNK: Final = 1 << 20
_LONGEST_HEADER: Final = 1 << 16
_KEY_LENGTH: Final = 64
# A checkout on Windows may have turned the line ends.
_MARK = re.compile(rb'\n(?:---\r?\nkey: "([0-9a-f]{64})"(?=\r?\n)|(---)(?=\r?\n)|(<{7}|>{7}|={7})(?=[ \r\n]))')
_LONGEST_MARK: Final = len('\n---\r\nkey: ""\r\n') + _KEY_LENGTH
_DIGEST_LINE = re.compile(rb'\ndigest: "[0-9a-f]{64}"(?:\r?\n)?\Z')
_DIGEST_LENGTH: Final = len('\ndigest: ""\r\n') + 64


@dataclass(frozen=True, slots=True)
class Entry:
    """One interaction's place.

    Attributes:
        key: Its request's key.
        start: The byte at which its document starts, at ``key:``.
        end: The byte after its last one.
    """

    key: str
    start: int
    end: int


class Index:
    """The places of all interactions of one file, in order, and the header.

    The file is held open, a small one in memory: what is played is what was opened, though another process records into
    it meanwhile.

    Args:
        path: The cassette.

    Raises:
        CassetteNotFound: There is no such file.
        CassetteFormatError: It is no cassette, was cut short, or holds a merge conflict.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = os.fspath(path)
        self._lock = threading.Lock()
        self._file = self._opened()
        weakref.finalize(self, self._file.close)
        self.size = self._checked_size()
        self._whole: bytes | None = None
        if self.size <= _CHUNK:
            self._whole = self._bytes(0, self.size)
            self._file.close()
        self._header_end = self.size
        self.entries = tuple(self._scan())
        self.header: Header = codec.decode_header(self._text(0, min(self._header_end, _LONGEST_HEADER)), path=path)

    def read(self, entry: Entry) -> Interaction:
        """Parse the interaction at a place.

        Raises:
            CassetteFormatError: Its document does not read as an interaction.
        """
        return self.decode(entry, self.text(entry))

    def decode(self, entry: Entry, text: str, *, request: Json | None = None) -> Interaction:
        """Parse an interaction whose document was read; see :func:`lmtest.cassette.codec.decode`."""
        version = self.header.format
        try:
            return codec.decode(text, path=self.path, version=version, request=request)
        except CassetteFormatError:
            # Lines are counted only now: counting reads the file.
            return codec.decode(text, path=self.path, line=self.line(entry), version=version, request=request)

    def text(self, entry: Entry) -> str:
        """The document at a place, as it stands in the file."""
        return self._text(entry.start, entry.end)

    def texts(self) -> Iterator[tuple[Entry, bytes]]:
        """Every document, as it stands in the file, with its place."""
        for entry in self.entries:
            yield entry, self._bytes(entry.start, entry.end)

    @property
    def preamble(self) -> bytes:
        """The header's document, as it stands in the file."""
        return self._bytes(0, self._header_end)

    def line(self, entry: Entry) -> int:
        """The line on which a document starts, counted from 1."""
        return self._line_at(entry.start)

    def _opened(self) -> BinaryIO:
        try:
            return self.path.open("rb", buffering=0)
        except FileNotFoundError:
            raise CassetteNotFound(f"there is no cassette {self.path}", path=self.path) from None
        except OSError as error:
            raise CassetteFormatError(f"{self.path} cannot be read: {error.strerror}.", path=self.path) from error

    def _checked_size(self) -> int:
        size = os.fstat(self._file.fileno()).st_size
        if size > LARGEST:
            raise CassetteFormatError(
                f"{self.path} has {size:,} bytes, more than the {LARGEST:,} a cassette may have. "
                "Record each test into a cassette of its own.",
                path=self.path,
            )
        return size

    def _scan(self) -> Iterator[Entry]:
        """Every place, by the marks before it; each document must end with its digest."""
        key, start = "", 0
        for offset, mark in self._marks():
            if mark[1] is None:
                self._refuse(
                    offset, conflict=mark[3] is not None or self._is_conflict(mark.end() - mark.start() + offset)
                )
            if key:
                yield self._entry(key, start, offset + 1)
            else:
                self._header_end = offset + 1
            key, start = mark[1].decode(), offset - mark.start() + mark.start(1) - len('key: "')
        if key:
            yield self._entry(key, start, self.size)

    def _marks(self) -> Iterator[tuple[int, re.Match[bytes]]]:
        """Each mark with its offset, reading a chunk at a time so that a large file never is in memory whole."""
        base, window, read = 0, b"", 0
        while True:
            chunk = self._bytes(read, read + _CHUNK)
            read += len(chunk)
            window += chunk
            # A mark that starts later may not be whole yet.
            settled = max(0, len(window) - _LONGEST_MARK) if chunk else len(window)
            for mark in _MARK.finditer(window):
                if mark.start() >= settled:
                    break
                yield base + mark.start(), mark
            if not chunk:
                return
            base, window = base + settled, window[settled:]

    def _entry(self, key: str, start: int, end: int) -> Entry:
        if not _DIGEST_LINE.search(self._bytes(max(start, end - _DIGEST_LENGTH), end)):
            line = self._line_at(end) - 1
            raise CassetteFormatError(
                f"{self.path}:{line}: the interaction that starts on line {self._line_at(start)} does not end with its "
                "digest: the file was cut short or edited there. Restore it from version control, or record it again "
                "with LM_MODE=record.",
                path=self.path,
                line=line,
            )
        return Entry(key, start, end)

    def _is_conflict(self, offset: int) -> bool:
        """Whether a mark of git follows; it leaves ``---`` out of a conflict when both sides have it."""
        return self._bytes(offset, offset + 9).lstrip(b"\r\n").startswith(b"<<<<<<<")

    def _refuse(self, offset: int, *, conflict: bool) -> None:
        line = self._line_at(offset + 1)
        if conflict:
            path = shlex.quote(self.name)
            problem = (
                "a merge conflict is not resolved. Merge it by document (put 'cassettes/**/*.yaml merge=lmtest' into "
                ".gitattributes, git config merge.lmtest.driver 'lmtest merge %O %A %B %P', git checkout -m "
                f"{path}); what is between marks then, take one side of. Or take a side's whole file (git checkout "
                f"--ours {path})"
            )
        else:
            problem = "an interaction must start with its key; this document does not"
        raise CassetteFormatError(f"{self.path}:{line}: {problem}.", path=self.path, line=line)

    def _line_at(self, offset: int) -> int:
        line, at = 1, 0
        while at < offset and (chunk := self._bytes(at, min(at + _CHUNK, offset))):
            line += chunk.count(b"\n")
            at += len(chunk)
        return line

    def _bytes(self, start: int, end: int) -> bytes:
        if self._whole is not None:
            return self._whole[start:end]
        try:
            if hasattr(os, "pread"):
                return os.pread(self._file.fileno(), end - start, start)
            with self._lock:
                self._file.seek(start)
                return self._file.read(end - start)
        except OSError as error:
            raise CassetteFormatError(f"{self.path} cannot be read: {error.strerror}.", path=self.path) from error

    def _text(self, start: int, end: int) -> str:
        raw = self._bytes(start, end)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            line = self._line_at(start + error.start)
            known = " It looks like UTF-16; save it as UTF-8." if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} else ""
            raise CassetteFormatError(
                f"{self.path}:{line}: this is not UTF-8 text, so not a cassette.{known}", path=self.path, line=line
            ) from error
