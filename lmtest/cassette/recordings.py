"""The recordings of a file as somebody knows them who keeps no copy: by their digests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmtest.cassette import codec
from lmtest.cassette.index import Index

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """One recording, as it stands in a file now.

    Attributes:
        key: The request's key.
        digest: SHA-256 of its document, as a call that plays it tells it.
        line: Where it begins.
        recorded_at: When, as it says itself, ISO 8601; None where it does not.
        intact: Whether the document states that digest, and so was not edited since it was written.
    """

    key: str
    digest: str
    line: int
    recorded_at: str | None
    intact: bool


def recordings(path: Path) -> tuple[Recording, ...]:
    """Give the recordings of a cassette, in their order.

    Args:
        path: The cassette.

    Raises:
        CassetteNotFound: There is no such file.
        CassetteFormatError: It does not read.
    """
    index = Index(path)
    found = []
    for entry in index.entries:
        text = index.text(entry)
        digest = codec.digest_of(text)
        found.append(
            Recording(
                key=entry.key,
                digest=digest,
                line=index.line(entry),
                recorded_at=index.read(entry).recorded_at,
                intact=digest == codec.stated(text),
            )
        )
    return tuple(found)
