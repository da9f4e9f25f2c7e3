"""The recorded requests most like one that is not recorded, and how it differs from each."""

from __future__ import annotations

import heapq
import re
from typing import TYPE_CHECKING, Any, Final

from lmtest.cassette import codec
from lmtest.cassette.interaction import Interaction, Reply
from lmtest.cassette.marking import cut, marked, pieces
from lmtest.errors import CassetteFormatError, Difference, NearMiss

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from lmtest.cassette.index import Entry, Index
    from lmtest.cassette.interaction import Json

_OUTCOME = re.compile(rb"\n(?:reply|stream|left|failure|result|raised):")
_ABSENT: Final = object()
_LONGEST_VALUE: Final = 200
_MOST_DIFFERENCES: Final = 8


def nearest(
    request: Json,
    index: Index,
    *,
    most: int = 3,
    unplayed: Collection[Entry] = (),
    clean: Callable[[Json], Json] = dict,
) -> tuple[NearMiss, ...]:
    """Find the recorded requests most like one.

    The file is compared as text first, line by line, because parsing thousands of interactions would take seconds; the
    few that share most lines are parsed and compared part by part.

    Args:
        request: The request in its normal form.
        index: The cassette.
        most: How many to give.
        unplayed: What nobody asked for yet: of two that are equally alike, the likelier to be meant.
        clean: Takes the secrets out of a recorded request, which may be from when less was known for one.
    """
    close = []
    for entry in _most_alike(request, index, most + 3):
        try:
            recorded = clean(index.read(entry).request)
        except CassetteFormatError:  # a file that does not read in one place can still explain a miss in another
            continue
        found = tuple(differences(recorded, request))
        near = NearMiss(key=entry.key, line=index.line(entry), differences=found)
        close.append(((_weight(found), entry not in unplayed), near))
    close.sort(key=lambda item: item[0])
    return tuple(near for _, near in close[:most])


def differences(recorded: Json, asked: Json) -> Iterator[Difference]:
    """Compare two requests part by part.

    >>> [d] = differences({"system": "Be brief."}, {"system": "Be very brief."})
    >>> d.path, d.change
    ('system', 'Be{+ very+} brief.')
    """
    before, after = dict(_leaves(recorded)), dict(_leaves(asked))
    for path in dict.fromkeys([*before, *after]):
        was, now = before.get(path, _ABSENT), after.get(path, _ABSENT)
        if was != now:
            yield Difference(path=path, change=_change(was, now))


def render(near: NearMiss) -> str:
    """Say how a request differs from a recorded one, for an error message.

    >>> print(render(NearMiss(key="ab" * 32, line=7, differences=(Difference(path="system", change="a [-b-]{+c+}"),))))
    abababababab (line 7) differs in 1 place:
      system: a [-b-]{+c+}
    """
    count = len(near.differences)
    if not count:
        return (
            f"{near.key[:12]} (line {near.line}) is this very request, and its key is not that of its request: one of "
            "them was edited. Look with: lmtest verify"
        )
    lines = [f"{near.key[:12]} (line {near.line}) differs in {count} place{'s' if count != 1 else ''}:"]
    for difference in near.differences[:_MOST_DIFFERENCES]:
        head, *more = difference.change.split("\n")
        if more:
            lines.append(f"  {difference.path}:")
            lines.extend(f"    {line}" for line in (head, *more))
        else:
            lines.append(f"  {difference.path}: {head}")
    if count > _MOST_DIFFERENCES:
        lines.append(f"  … and {count - _MOST_DIFFERENCES} more")
    return "\n".join(lines)


def _most_alike(request: Json, index: Index, most: int) -> list[Entry]:
    """The entries whose text shares most lines with the request's own."""
    probe = Interaction(key="", request=request, outcome=Reply(response={}))
    wanted = _request_lines(codec.encode(probe).encode())

    def shared(entry_text: tuple[Entry, bytes]) -> float:
        lines = _request_lines(entry_text[1])
        common = len(wanted & lines)
        return common / (len(lines) + len(wanted) - common)

    return [entry for entry, _ in heapq.nlargest(most, index.texts(), key=shared)]


def _request_lines(document: bytes) -> frozenset[bytes]:
    outcome = _OUTCOME.search(document)
    return frozenset(document[: outcome.start() if outcome else None].splitlines())


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    match value:
        case {"role": str(role), "parts": [{"type": "text", "text": str(text), **beside}], **more} if (
            not beside and not more
        ):
            yield f"{path}.{role}", text
        case dict() if value:
            for key, item in value.items():
                yield from _leaves(item, f"{path}.{key}" if path else key)
        case list() if value:
            for position, item in enumerate(value):
                yield from _leaves(item, f"{path}[{position}]")
        case _ if path:
            yield path, value


def _change(was: Any, now: Any) -> str:
    if isinstance(was, str) and isinstance(now, str):
        return word_diff(was, now)
    if was is _ABSENT:
        return f"{{+{_short(now)}+}} (not recorded)"
    if now is _ABSENT:
        return f"[-{_short(was)}-] (no longer asked)"
    return f"[-{_short(was)}-]{{+{_short(now)}+}}"


def word_diff(was: str, now: str) -> str:
    """Mark what changed in a text, word by word; of what is equal, only what stands around a change is shown.

    >>> word_diff("What is the capital of France?", "What is the capital of Spain?")
    'What is the capital of [-France-]{+Spain+}?'
    """
    return marked(cut(pieces(was, now)))


def _weight(found: Iterable[Difference]) -> int:
    """How far a request is: the length of what is marked as changed."""
    marks = re.compile(r"\[-(.*?)-\]|\{\+(.*?)\+\}", re.DOTALL)
    return sum(20 + sum(len(a) + len(b) for a, b in marks.findall(one.change)) for one in found)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
