"""Two cassettes compared, call by call."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lmtest.cassette.conversation import turns
from lmtest.cassette.index import Index
from lmtest.cassette.interaction import EventStream
from lmtest.cassette.miss import differences, word_diff
from lmtest.errors import Difference

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lmtest.cassette.conversation import Turn
    from lmtest.cassette.interaction import Interaction


@dataclass(frozen=True, kw_only=True)
class Change:
    """A call that is not the same in both cassettes.

    Attributes:
        kind: ``answer``: asked alike and answered otherwise; ``request``: asked otherwise; ``removed`` and ``added``:
            in one of them only.
        key: The request's key, the first cassette's where both have one.
        asked: The last thing that was said to the model.
        differences: What differs, word by word.
    """

    kind: Literal["answer", "request", "removed", "added"]
    key: str
    asked: str
    differences: tuple[Difference, ...] = ()


def compare(before: Path, after: Path) -> Iterator[Change]:
    """Say how one cassette differs from another, in the order of the calls.

    The k-th recording of a request is compared with the k-th of the same one; requests that only one of them has are
    compared in order.

    Raises:
        CassetteNotFound: There is no such file.
        CassetteFormatError: One of them does not read.
    """
    old, new = Index(before), Index(after)
    places: dict[str, deque[int]] = {}
    for place, entry in enumerate(new.entries):
        places.setdefault(entry.key, deque()).append(place)
    pairs = [(entry, places[entry.key].popleft() if places.get(entry.key) else None) for entry in old.entries]
    unmatched = deque(sorted(place for queue in places.values() for place in queue))
    for entry, partner in pairs:
        was = old.read(entry)
        if partner is not None:
            yield from _answered(was, new.read(new.entries[partner]))
        elif unmatched:
            yield from _asked(was, new.read(new.entries[unmatched.popleft()]))
        else:
            yield Change(kind="removed", key=was.key, asked=last_said(was))
    for place in unmatched:
        now = new.read(new.entries[place])
        yield Change(kind="added", key=now.key, asked=last_said(now))


def last_said(interaction: Interaction) -> str:
    """The last thing that was said to the model, or to the tool, which tells one call from another."""
    if interaction.tool:
        return " ".join(next(turns(interaction)))
    if interaction.embeds:
        return ", ".join(text for who, text in turns(interaction) if who == "embed")
    said = [text for who, text in turns(interaction) if who in {"user", "tool", "developer", "assistant"}]
    messages = interaction.request.get("messages", [])
    return said[len(messages) - 1] if messages and len(said) >= len(messages) else ""


def answered(interaction: Interaction) -> Turn:
    """What was answered, as recordings are compared: without times, cost, ids, and the pieces in which it came."""
    who, said = list(turns(interaction))[-1]
    return ("assistant" if isinstance(interaction.outcome, EventStream) else who), said


def _answered(was: Interaction, now: Interaction) -> Iterator[Change]:
    before, after = answered(was), answered(now)
    if before != after:
        text = word_diff(": ".join(before), ": ".join(after))
        difference = Difference(path="answer", change=text)
        yield Change(kind="answer", key=was.key, asked=last_said(was), differences=(difference,))


def _asked(was: Interaction, now: Interaction) -> Iterator[Change]:
    found = tuple(differences(was.request, now.request))
    yield Change(kind="request", key=was.key, asked=last_said(was), differences=found)
