"""A refresh as Markdown, for a pull request; what has no room there is summed up."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from lmtest.cassette.marking import cut, marked
from lmtest.literal import block, code, prose
from lmtest.report.drift_text import (
    MEANING,
    brief,
    by_reason,
    consumption,
    difference,
    failed,
    headline,
    many,
    score,
    unscored,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lmtest.cassette.interaction import Json

ROOM: Final = 65_000
"""Characters of a report; GitHub takes 65,536 in the body of a pull request or a comment."""

_TESTS: Final = 12_000
"""Characters of it for tests that did not pass, and as many for cassettes that were left."""

_FOOT: Final = 2_000
_ORDER: Final = list(MEANING)


def markdown(data: Json, *, whole: str = "") -> str:
    """Write a refresh for a reviewer, what moved furthest first; calls that did not move are counted only.

    Args:
        data: What :func:`lmtest.report.drift_data.as_data` gave.
        whole: The file that has all of it, where one is written beside.
    """
    head = [*_head(data), *_tests(data["tests"]), *_left(data["left"])]
    room, lines = ROOM - _length(head) - _FOOT, [*head]
    left_out: list[Json] = []
    for cassette in data["cassettes"]:
        if cassette["tier"] == "same":
            continue
        # No cassette takes more than half of what is left, so that others are seen beside it.
        section = _cassette(cassette, room // 2)
        if left_out or not section:
            left_out.append(cassette)
            continue
        lines += section
        room -= _length(section)
    if left_out:
        lines += _summed_up(left_out, whole)
    return "\n".join(lines).rstrip("\n") + "\n"


def _length(lines: Iterable[str]) -> int:
    """Characters as GitHub may count them: those outside of Unicode's first plane are two."""
    return sum(1 + len(line) + sum(char > "\uffff" for char in line) for line in lines)


def _head(data: Json) -> Iterator[str]:
    yield from ("# Drift of recordings", "", prose(headline(data)), "")
    if data["stopped"]:
        yield from (f"**Stopped early:** {prose(brief(data['stopped']))}", "")
    yield from ("| tier | calls | |", "|---|--:|---|")
    yield from (f"| {tier} | {count} | {MEANING[tier]} |" for tier, count in data["counts"].items())
    yield from ("", f"Before and now: {consumption(data) or 'no call was answered'}.", "")
    if told := score(data["scores"]):
        yield from (f"Mean score of {many(data['scores']['calls'], 'call')}: {told}.", "")
    if told := unscored(data):
        yield from (prose(brief(told)), "")


def _tests(tests: Json) -> Iterator[str]:
    told = [
        f"- **{outcome}** {code(those[0])}{_more(those)}: {code(brief(reason))}"
        for (outcome, reason), those in by_reason(tests)
    ]
    if told:
        yield from ("## Tests that did not pass", "", *_fitting(told), "")


def _left(left: list[Json]) -> Iterator[str]:
    if not left:
        return
    reasons: dict[str, list[str]] = {}
    for each in left:
        reasons.setdefault(each["reason"], []).append(each["path"])
    told = [f"- {code(paths[0])}{_more(paths)}: {prose(brief(reason))}" for reason, paths in reasons.items()]
    yield from ("## Left as they were", "", *_fitting(told), "")


def _more(those: list[str]) -> str:
    return f" and {len(those) - 1} more" if len(those) > 1 else ""


def _fitting(lines: list[str]) -> Iterator[str]:
    room = _TESTS
    for place, line in enumerate(lines):
        room -= _length([line])
        if room < 0:
            yield f"- … and {len(lines) - place} more of other kinds"
            return
        yield line


def _cassette(cassette: Json, room: int) -> list[str]:
    """A cassette's calls that moved, those that moved furthest where not all have room; nothing where none has."""
    head = [f"## {cassette['tier']}: {code(cassette['path'])}", ""]
    facts = [code(brief(cassette["test"])) if cassette["test"] else "", consumption(cassette)]
    head += ["; ".join(each for each in facts if each), ""]
    if cassette["failure"]:
        head += [f"**{failed(cassette).capitalize()}:** {code(brief(cassette['failure']))}", ""]
    if cassette["outputs"]:
        head += ["- outputs:", *(line for change in cassette["outputs"] for line in _change(change))]
    moved = [call for call in cassette["calls"] if call["tier"] != "same"]
    told: dict[int, list[str]] = {}
    left = room - _length(head) - 100
    for call in sorted(moved, key=lambda call: -_ORDER.index(call["tier"])):
        lines = list(_call(call))
        if (left := left - _length(lines)) < 0:
            break
        told[call["number"]] = lines
    if moved and not told:
        return []
    tail = [f"- … and {len(moved) - len(told)} calls more that moved no further"] if len(told) < len(moved) else []
    return [*head, *(line for number in sorted(told) for line in told[number]), *tail, ""]


def _call(call: Json) -> Iterator[str]:
    told = f", score {score(call['scores'])}" if score(call["scores"]) else ""
    yield f"- **{call['tier']}** call {call['number']} ({code(call['asked'])}{told})"
    yield from (f"  - {code(brief(each))}" for each in (call["reason"], call["unscored"]) if each)
    for change in call["changes"]:
        yield from _change(change)


def _change(change: Json) -> Iterator[str]:
    field, text = prose(change["field"]), marked(cut(difference(change["before"], change["after"])))
    if "\n" not in text:
        yield f"  - {field}: {code(text)}"
        return
    yield from (f"  - {field}:", "", *(f"    {line}" for line in block(text, kind="diff")), "")


def _summed_up(left_out: list[Json], whole: str) -> Iterator[str]:
    counts = Counter(each["tier"] for each in left_out)
    told = ", ".join(f"{counts[tier]} {tier}" for tier in reversed(_ORDER) if counts[tier])
    where = f"all of it is in {code(whole)}" if whole else "all of it is in a report of HTML: `--report drift.html`"
    yield from (f"**{len(left_out)} more cassettes moved** ({told}), for which there is no room here; {where}.", "")
