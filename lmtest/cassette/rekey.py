"""New rules applied to what is recorded: what is secret now, what does not matter now; nobody is called.

A file holds each request in its normal form, so applying the rules there are now to that gives the form and the key
that the same request has when it is asked again. What earlier rules took out stays out: nobody has it any more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lmtest.cassette import blobs, codec, fingerprint, library, store
from lmtest.cassette.index import Index
from lmtest.cassette.pending import cassette_of
from lmtest.errors import CassetteError, CassetteTampered, ConfigurationError
from lmtest.here import here

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lmtest.cassette.fingerprint import Rules
    from lmtest.cassette.index import Entry
    from lmtest.cassette.interaction import Interaction
    from lmtest.cassette.redact import Redactor


@dataclass(frozen=True, kw_only=True, slots=True)
class Rekeyed:
    """The change that new rules make to one cassette.

    Attributes:
        path: The file.
        calls: How many it holds.
        changed: How many of them say something else now.
        moved: How many have another key now.
        joined: Where requests that were different are one now: their key, and the lines on which they stood.
    """

    path: Path
    calls: int
    changed: int
    moved: int
    joined: tuple[tuple[str, tuple[int, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class _Recording:
    """One recording, before and after."""

    entry: Entry
    was: Interaction
    now: Interaction

    @property
    def changed(self) -> bool:
        return self.now != self.was


def rekey(path: Path, rules: Rules, redactor: Redactor, *, dry_run: bool = False) -> Rekeyed:
    """Apply rules to a cassette, or to what a refresh recorded for one. Calls that they leave alone stay byte for byte.

    Requests that are one now keep their answers in the order in which they stand. A blob that says something else now
    is another one, and the old one goes with the last cassette that refers to it.

    Args:
        path: The file; replaced whole, or not at all.
        rules: What does not matter to a request.
        redactor: What takes secrets out.
        dry_run: Only say what would be done.

    Raises:
        ConfigurationError: A rule cannot be used, or not on what is recorded.
        CassetteFormatError: It does not read as a cassette.
        CassetteTampered: A call that would change was edited by hand, or a blob is missing or altered.
        CassetteError: It could not be written, or a rule does not say the same when it is applied once more.
    """
    _refuse_places(rules)
    media: dict[str, bytes] = {}

    def apply(index: Index) -> list[_Recording]:
        return [_applied(index, entry, rules, redactor, media) for entry in index.entries]

    before = Index(path)
    told = _told(before, apply(before))
    if dry_run or not told.changed:
        return told
    names = library.references(before)

    def rewritten(index: Index) -> Iterator[str | bytes]:
        nonlocal told, names
        recordings, names = apply(index), library.references(index)
        told = _told(index, recordings)
        blobs.write(path.parent, media)
        yield from _written(index, recordings, redactor)

    store.rewrite(path, rewritten, under=cassette_of(path))
    library.drop_blobs(path.parent, names)
    return told


def _refuse_places(rules: Rules) -> None:
    """Refuse to leave out a place in a list: where it was left out before, another stands there now."""
    for path, query in zip(rules.ignore, rules.queries, strict=True):
        from jsonpath_rfc9535.selectors import IndexSelector, SliceSelector  # late, as the rules themselves

        last = query.segments[-1].selectors if query.segments else ()
        if any(isinstance(each, IndexSelector | SliceSelector) for each in last):
            raise ConfigurationError(
                f"ignore={path!r} leaves out a place in a list, and what is recorded may lack it already, so another "
                "would go. Name what stands there, as in messages[?@.role == 'system'], or record again with "
                "LM_MODE=record."
            )


def _applied(index: Index, entry: Entry, rules: Rules, redactor: Redactor, media: dict[str, bytes]) -> _Recording:
    was, folder = index.read(entry), index.path.parent

    def kept(value: Any) -> Any:
        detached, found = blobs.detach(blobs.attach(value, folder), redactor.media)
        media.update(found)
        return redactor.value(detached)

    detached, found = blobs.detach(blobs.attach(was.request, folder), redactor.media)
    media.update(found)
    request = fingerprint.apply(rules, detached, redactor=redactor)
    key = fingerprint.fingerprint(request)
    now = replace(was.saying(kept, whole=redactor.streamed), key=key, request=request)
    if fingerprint.apply(rules, request, redactor=redactor) != request:
        # What the rules left at the first time, nobody knows: they may have been applied when it was recorded.
        raise CassetteError(
            f"{index.path}:{index.line(entry)}: the rules change {entry.key[:12]} again when they are applied twice, "
            "as a pattern does that fits what it is replaced by. Mend the rule, or record again with LM_MODE=record.",
            path=index.path,
            line=index.line(entry),
        )
    recording = _Recording(entry, was, now)
    if recording.changed and not codec.is_intact(index.text(entry), path=index.path):
        raise CassetteTampered(
            f"{index.path}:{index.line(entry)}: {entry.key[:12]} was edited after it was recorded, and rewriting it "
            f"would hide that. Take it as it is first: lmtest verify --accept {here(index.path)}",
            path=index.path,
            line=index.line(entry),
        )
    return recording


def _written(index: Index, recordings: list[_Recording], redactor: Redactor) -> Iterator[str | bytes]:
    header = replace(index.header, executed=redactor.value(index.header.executed))
    yield store.preamble(index, index.header) if header == index.header else codec.encode_header(header)
    for each in recordings:
        yield codec.encode(each.now) if each.changed else store.document(index, each.entry)


def _told(index: Index, recordings: list[_Recording]) -> Rekeyed:
    together: dict[str, dict[str, Entry]] = {}
    for each in recordings:
        together.setdefault(each.now.key, {}).setdefault(each.was.key, each.entry)
    joined = [(key, tuple(map(index.line, first.values()))) for key, first in together.items() if len(first) > 1]
    return Rekeyed(
        path=index.path,
        calls=len(recordings),
        changed=sum(each.changed for each in recordings),
        moved=sum(each.now.key != each.was.key for each in recordings),
        joined=tuple(joined),
    )
