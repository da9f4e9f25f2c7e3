"""Whether a cassette still is what was recorded, and holds nothing that it should not."""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from lmtest.cassette import assembled, blobs, codec, store
from lmtest.cassette.canonical import canonical_bytes
from lmtest.cassette.fingerprint import fingerprint
from lmtest.cassette.index import Index
from lmtest.cassette.named import REDACTED
from lmtest.errors import CassetteError, CassetteTampered
from lmtest.here import here

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from lmtest.cassette.index import Entry
    from lmtest.cassette.interaction import Interaction
    from lmtest.cassette.redact import Redactor


REFERENCE: Final = re.compile(rb"blob:([0-9a-f]{64}\.[a-z0-9]{1,16})")
"""A reference to a blob, as it stands in a file."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something wrong with a cassette.

    Attributes:
        path: The file.
        line: The line, counted from 1, where it can be told.
        problem: What is wrong, and what to do.
    """

    path: Path
    line: int | None
    problem: str

    def __str__(self) -> str:
        where = f"{here(self.path)}:{self.line}" if self.line else str(here(self.path))
        return f"{where}: {self.problem}"


def verify(path: Path, redactor: Redactor) -> Iterator[Finding]:
    """Check one cassette: its format, each call's digest and key, its blobs and streams, and that it holds no secret.

    Args:
        path: The file.
        redactor: What knows a secret when it sees one.
    """
    try:
        index = Index(path)
    except CassetteError as error:
        yield _told(path, error)
        return
    yield from _named(path, index, redactor)
    for entry in index.entries:
        try:
            interaction = index.read(entry)
        except CassetteError as error:
            yield _told(path, error)
            continue
        problems = [
            *_edited(index, entry, interaction),
            *_blobs(path.parent, interaction, redactor),
            *assembled.merged(interaction),
        ]
        lines = list(_secrets(index.text(entry), interaction, redactor))
        if problems or lines:
            first = index.line(entry)  # counted only where there is something to tell: it reads the file
            yield from (Finding(path=path, line=first, problem=problem) for problem in problems)
            yield from (Finding(path=path, line=first + line, problem=f"this {_LEAK}.") for line in lines)


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Over what a key is.

    Attributes:
        path: The file.
        line: The line on which the call starts.
        key: As it stands there.
        canonical: The request as canonical JSON, messages written out.
    """

    path: Path
    line: int
    key: str
    canonical: str

    @property
    def sha256(self) -> str:
        """The hash that the key should be."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    @property
    def holds(self) -> bool:
        """True where the key is that of the request."""
        return self.key == self.sha256


def explanations(path: Path, key: str) -> Iterator[Explanation]:
    """Say of each call whose key begins so what its key is over.

    Args:
        path: The file.
        key: The key's first digits, or all.

    Raises:
        CassetteFormatError: It does not read as a cassette.
    """
    index = Index(path)
    for entry in index.entries:
        if entry.key.startswith(key.lower()):
            canonical = canonical_bytes(index.read(entry).request).decode()
            yield Explanation(path=path, line=index.line(entry), key=entry.key, canonical=canonical)


def accept(path: Path) -> int:
    """Take interactions that were edited by hand as they are now: their digests and keys are rewritten.

    Args:
        path: The file; replaced whole, or not at all.

    Returns:
        How many were.

    Raises:
        CassetteFormatError: It does not read as a cassette.
        CassetteError: It could not be written.
    """
    before = Index(path)
    if all(_is_intact(before, entry) for entry in before.entries):
        return 0
    accepted = 0

    def rewritten(index: Index) -> Iterator[str | bytes]:
        nonlocal accepted
        yield index.preamble
        for entry in index.entries:
            if _is_intact(index, entry):
                yield "---\n" + index.text(entry)
            else:
                interaction = index.read(entry)
                accepted += 1
                yield codec.encode(replace(interaction, key=fingerprint(interaction.request)))

    store.rewrite(path, rewritten)
    return accepted


def orphans(directory: Path, cassettes: Iterable[Path]) -> list[Path]:
    """Find the blobs of one directory that none of its cassettes refers to.

    Args:
        directory: The directory.
        cassettes: All cassettes in it.

    Raises:
        CassetteFormatError: One of them does not read, so nobody can tell.
    """
    folder = directory / blobs.DIRECTORY
    if not folder.is_dir():
        return []
    referred: set[str] = set()
    for path in cassettes:
        index = Index(path)
        referred.update(name.decode() for _, text in index.texts() for name in REFERENCE.findall(text))
    return sorted(file for file in folder.iterdir() if file.name[0] != "." and file.name not in referred)


def _told(path: Path, error: CassetteError) -> Finding:
    line = error.line
    said = str(error).removeprefix(f"{here(path)}:{line}: ").removeprefix(f"{here(path)}: ")
    return Finding(path=path, line=line, problem=said)


def _is_intact(index: Index, entry: Entry) -> bool:
    return codec.is_intact(index.text(entry), path=index.path)


def _edited(index: Index, entry: Entry, interaction: Interaction) -> Iterator[str]:
    if _is_intact(index, entry):
        return
    keyed = index.header.format == codec.FORMAT and fingerprint(interaction.request) != entry.key
    part = (
        "its key is not that of its request: one of the two was edited, and it plays for the key"
        if keyed
        else "it was edited after it was recorded"
    )
    yield f"{entry.key[:12]}: {part}. To keep it so: lmtest verify --accept {shlex.quote(str(here(index.path)))}"


def _blobs(directory: Path, interaction: Interaction, redactor: Redactor) -> Iterator[str]:
    for name in sorted(set(blobs.of(interaction))):
        try:
            content = blobs.read(directory, name)
        except CassetteTampered as error:
            yield str(error)
            continue
        if _has_secret(content, redactor):
            yield f"the blob {name} {_LEAK}."


_LEAK: Final = "holds what looks like a secret. Revoke it, and take it out of what is recorded: lmtest rekey"


# What lmtest itself writes of a call; a pattern of somebody's may look like it.
_OURS: Final = ("key:", "digest:", "recorded_at:", "provider:", "cost:", "latency:", "thought:")


_LEAK_OF_A_NAME: Final = (
    "holds what looks like a secret, as where a test takes one for a parameter. Revoke it, delete the cassette, and "
    "record the test again with LM_MODE=record"
)


def _named(path: Path, index: Index, redactor: Redactor) -> Iterator[Finding]:
    """Find what the file's name and its header give away of a test's parameters."""
    # No file name holds the mark as it stands in texts.
    name = path.name.replace("redacted", REDACTED)
    if redactor.text(name) != name:
        yield Finding(path=path, line=None, problem=f"its name {_LEAK_OF_A_NAME}.")
    for number, line in enumerate(index.preamble.decode(errors="replace").splitlines(), 1):
        if redactor.text(line) != line:
            yield Finding(path=path, line=number, problem=f"this {_LEAK_OF_A_NAME}.")


def _secrets(text: str, interaction: Interaction, redactor: Redactor) -> Iterator[int]:
    """The lines that hold one, counted from 0; the first, where it is seen only once the values are read."""
    leaks = (
        redactor.value(interaction.request) != interaction.request
        or interaction.saying(redactor.value, whole=redactor.streamed) != interaction
    )
    found = False
    for number, line in enumerate(text.splitlines()):
        if "blob:" in line or line.startswith(_OURS) or redactor.text(line) == line:
            continue
        # What looks like a secret in a piece of a stream, or in one line of several, need not be one in the whole.
        if leaks or ('"delta":' not in line and redactor.text(text) != text):
            found = True
            yield number
    if leaks and not found:
        yield 0


def _has_secret(content: bytes, redactor: Redactor) -> bool:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return False
    return redactor.text(text) != text
