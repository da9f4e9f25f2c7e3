"""Two texts as one, what changed marked, and of what did not as much as stands around it."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Kind = Literal["same", "gone", "new", "cut"]
"""Of a piece: in both texts, in the first, in the second; or an ellipsis for what is left out."""

Piece = tuple[Kind, str]
"""A part of two texts."""

AROUND: Final = 120
"""Characters of a line that are shown before a change and after it."""

MOST: Final = 1_000
"""Characters that are shown of what is gone, or new, in one place."""

IN_ALL: Final = 4_000
"""Characters of a text after which further changes are counted only."""

_ELLIPSIS: Final = "…"
_ALIKE: Final = 0.3
_FEW_STEPS: Final = 200_000
"""Pairs of words up to which each is compared with each."""

_MOST_STEPS: Final = 20_000_000
"""Pairs of words above which comparing them would take seconds."""

_ALONE: Final = r"\u0e00-\u0eff\u2e80-\u9fff\uac00-\ud7af"
"""Characters of scripts that put no spaces between words: each is one."""

_WORDS: Final = re.compile(rf"\s+|[{_ALONE}]|[^\W{_ALONE}]+|[^\w\s]")


def pieces(was: str, now: str) -> list[Piece]:
    """Compare two texts line by line, and the lines that differ word by word.

    Where hardly a word is left, all of the one is gone and all of the other new.

    >>> pieces("It is Paris", "It is Lyon")
    [('same', 'It is '), ('gone', 'Paris'), ('new', 'Lyon')]
    """
    found: list[Piece] = []
    for kind, text in _by_line(was.split("\n"), now.split("\n")):
        before = found.pop()[1] if found and found[-1][0] == kind else ""
        found.append((kind, before + text))
    if _likeness(found) >= _ALIKE:
        return found
    between: list[Piece] = [("same", "\n")] if was and now and "\n" in was + now else []
    return [*_replaced(was, ""), *between, *_replaced("", now)]


def cut(parts: Sequence[Piece]) -> list[Piece]:
    """Cut what is the same down to what stands around changes, and what changed to its beginning and its end.

    >>> marked(cut([("same", "a" * 500), ("gone", "b"), ("same", "c" * 500)])) == f"…{'a' * 120}[-b-]{'c' * 120}…"
    True
    """
    last, room, shown = len(parts) - 1, IN_ALL, list[Piece]()
    for place, (kind, text) in enumerate(parts):
        if room < 0 and kind != "same":
            more = sum(each != "same" for each, _ in parts[place:])
            return [*shown, ("cut", f"{_ELLIPSIS} and {more} changes more")]
        piece = _around(text, after=place > 0, before=place < last) if kind == "same" else _ends(kind, text)
        shown += [each for each in piece if each[1]]
        room = IN_ALL - sum(len(text) for _, text in shown)
    return shown


def marked(parts: Sequence[Piece]) -> str:
    """Write pieces as ``git diff --word-diff`` does.

    >>> marked([("same", "It is "), ("gone", "Paris"), ("new", "Lyon")])
    'It is [-Paris-]{+Lyon+}'
    """
    marks = {"same": "{}", "cut": "{}", "gone": "[-{}-]", "new": "{{+{}+}}"}
    return "".join(marks[kind].format(text) for kind, text in parts)


def _around(text: str, *, after: bool, before: bool) -> Iterator[Piece]:
    """What stands after a change and before the next: the rest of the line and another, the rest an ellipsis."""
    lines = text.split("\n")
    head, tail = (2 if after else 0), (2 if before else 0)
    if not head + tail:
        yield "same", text
    elif len(lines) > head + tail:
        if head:
            yield from _in_line(lines[0], after=True, before=False)
            yield from _in_line(f"\n{lines[1]}", after=True, before=False)
        yield "cut", "\n" * bool(head) + _ELLIPSIS + "\n" * bool(tail)
        if tail:
            yield from _in_line(f"{lines[-2]}\n", after=False, before=True)
            yield from _in_line(lines[-1], after=False, before=True)
    else:
        for number, line in enumerate(lines):
            ends = number == len(lines) - 1
            yield from _in_line(line, after=after or number > 0, before=before or not ends)
            yield "same", "" if ends else "\n"


def _in_line(text: str, *, after: bool, before: bool) -> Iterator[Piece]:
    head, tail = (AROUND if after else 0), (AROUND if before else 0)
    if len(text) <= head + tail + AROUND // 4:
        yield "same", text
        return
    yield "same", text[:head]
    yield "cut", _ELLIPSIS
    yield "same", text[len(text) - tail :]


def _ends(kind: Kind, text: str) -> Iterator[Piece]:
    head, tail = MOST * 3 // 4, MOST // 4
    if len(text) <= MOST + AROUND:
        yield kind, text
        return
    yield kind, text[:head]
    yield "cut", f"{_ELLIPSIS} {len(text) - head - tail:,} characters {_ELLIPSIS}"
    yield kind, text[-tail:]


def _by_line(before: list[str], after: list[str]) -> Iterator[Piece]:
    steps = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    for number, (tag, from_was, to_was, from_now, to_now) in enumerate(steps):
        if number:
            yield "same", "\n"
        was, now = "\n".join(before[from_was:to_was]), "\n".join(after[from_now:to_now])
        if tag == "equal":
            yield "same", was
        else:
            yield from _by_word(was, now)


def _by_word(was: str, now: str) -> Iterator[Piece]:
    old, new = _WORDS.findall(was), _WORDS.findall(now)
    end = _alike(old[::-1], new[::-1])
    start = _alike(old[: len(old) - end], new[: len(new) - end])
    middle = old[start : len(old) - end], new[start : len(new) - end]
    if start:
        yield "same", "".join(old[:start])
    yield from _between(*middle)
    if end:
        yield "same", "".join(old[-end:])


def _between(old: list[str], new: list[str]) -> Iterator[Piece]:
    """Compare words, of long texts by the rare ones first: commas and quotation marks are everywhere."""
    steps = len(old) * len(new)
    if steps > _MOST_STEPS:
        yield from _replaced("".join(old), "".join(new))
        return
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=steps > _FEW_STEPS)
    for tag, from_was, to_was, from_now, to_now in matcher.get_opcodes():
        gone, come = old[from_was:to_was], new[from_now:to_now]
        if tag == "equal":
            yield "same", "".join(gone)
        elif steps > _FEW_STEPS >= len(gone) * len(come):
            yield from _between(gone, come)
        else:
            yield from _replaced("".join(gone), "".join(come))


def _replaced(was: str, now: str) -> Iterator[Piece]:
    if was:
        yield "gone", was
    if now:
        yield "new", now


def _alike(one: list[str], other: list[str]) -> int:
    """How many words two lists begin with alike."""
    pairs = zip(one, other, strict=False)
    return next((place for place, (was, now) in enumerate(pairs) if was != now), min(len(one), len(other)))


def _likeness(parts: Sequence[Piece]) -> float:
    """How much of the words of two texts is in both, from 0 to 1."""
    counts = {"same": 0, "gone": 0, "new": 0}
    for kind, text in parts:
        counts[kind] += sum(map(str.isalnum, text))
    both = 2 * counts["same"]
    return both / (both + counts["gone"] + counts["new"]) if any(counts.values()) else 1.0
