"""A refresh as Markdown, for a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lmtest.literal import block, code, prose
from lmtest.report.drift_text import MEANING, consumption, difference, headline, score, unscored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmtest.cassette.interaction import Json

_LONGEST: Final = 2_000


def markdown(data: Json) -> str:
    """Write a refresh for a reviewer; calls that did not move are counted only.

    Args:
        data: What :func:`lmtest.report.drift_data.as_data` gave.
    """
    return "\n".join(_lines(data)).rstrip("\n") + "\n"


def _lines(data: Json) -> Iterator[str]:
    yield from ("# Drift of recordings", "", prose(headline(data)), "")
    if data["stopped"]:
        yield from (f"**Stopped early:** {prose(data['stopped'])}", "")
    yield from ("| tier | calls | |", "|---|--:|---|")
    yield from (f"| {tier} | {count} | {MEANING[tier]} |" for tier, count in data["counts"].items())
    yield from ("", f"Before and now: {consumption(data) or 'no call was answered both times'}.", "")
    if told := score(data["scores"]):
        yield from (f"Mean score of {data['scores']['calls']} calls: {told}.", "")
    if told := unscored(data):
        yield from (prose(told), "")
    for cassette in data["cassettes"]:
        if cassette["tier"] != "same":
            yield from _cassette(cassette)
    if data["left"]:
        yield from ("## Left as they were", "")
        yield from (f"- {code(each['path'])}: {prose(each['reason'])}" for each in data["left"])


def _cassette(cassette: Json) -> Iterator[str]:
    yield from (f"## {cassette['tier']}: {code(cassette['path'])}", "")
    facts = [code(cassette["test"]) if cassette["test"] else "", consumption(cassette)]
    yield from ("; ".join(each for each in facts if each), "")
    if cassette["failure"]:
        yield from (f"**Its test failed:** {code(cassette['failure'])}", "")
    for call in cassette["calls"]:
        if call["tier"] == "same":
            continue
        told = f", score {score(call['scores'])}" if score(call["scores"]) else ""
        yield f"- **{call['tier']}** call {call['number']} ({code(call['asked'])}{told})"
        yield from (f"  - {code(each)}" for each in (call["reason"], call["unscored"]) if each)
        for change in call["changes"]:
            yield from _change(change)
    yield ""


def _change(change: Json) -> Iterator[str]:
    field, text = prose(change["field"]), difference(change["before"], change["after"])
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    if "\n" not in text:
        yield f"  - {field}: {code(text)}"
        return
    yield from (f"  - {field}:", "", *(f"    {line}" for line in block(text, kind="diff")), "")
