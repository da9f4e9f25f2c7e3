"""A refresh on a terminal: the calls that moved, the sum; on a console that prints text as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.padding import Padding
from rich.text import Text

from lmtest import literal
from lmtest.cassette.marking import cut
from lmtest.refresh.result import NOT_REACHED
from lmtest.report.drift_text import (
    brief,
    by_reason,
    consumption,
    difference,
    failed,
    headline,
    many,
    measures,
    score,
    unscored,
)
from lmtest.report.terminal import styled

if TYPE_CHECKING:
    from rich.console import Console

    from lmtest.cassette.interaction import Json

_STYLES: Final = {
    "same": "green",
    "wording": "blue",
    "changed": "yellow",
    "structure": "red",
    "not reached": "magenta",
    "failed": "bold magenta",
}
_MOST_LINES: Final = 30


def print_drift(console: Console, data: Json, *, reviewed: bool = False) -> None:
    """Say what moved, and the sum; calls that did not are counted only.

    Args:
        console: Where.
        data: What :func:`lmtest.report.drift_data.as_data` gave.
        reviewed: Whether somebody is asked about what may be accepted, and sees it then.
    """
    for cassette in data["cassettes"]:
        if cassette["tier"] != "same" and not (reviewed and cassette["acceptable"]):
            print_cassette(console, cassette)
            for call in cassette["calls"]:
                if call["tier"] != "same":
                    print_call(console, call)
    print_outcomes(console, data["tests"])
    _print_left(console, data["left"])
    if data["stopped"]:
        console.print(f"Stopped early: {data['stopped']}", style="bold yellow")
    console.print(headline(data), style="bold")
    if took := consumption(data):
        console.print(f"Before and now: {took}")
    if told := score(data["scores"]):
        console.print(f"Mean score of {many(data['scores']['calls'], 'call')}: {told}")
    if told := unscored(data):
        console.print(told, style="yellow", soft_wrap=True)


def print_outcomes(console: Console, tests: Json) -> None:
    """Say which tests did not pass and why; where many say the same of it, the first of them and how many."""
    for (outcome, reason), those in by_reason(tests):
        more = f" and {len(those) - 1} more" if len(those) > 1 else ""
        style = "yellow" if outcome in {"skipped", "not run"} else "bold red"
        console.print(f"{outcome}: {those[0]}{more}: {brief(reason)}", style=style, soft_wrap=True)


def _print_left(console: Console, left: list[Json]) -> None:
    """Say what is left and why; of what was not reached, only how much."""
    unreached = sum(each["reason"] == NOT_REACHED for each in left)
    if unreached:
        console.print(f"left: {unreached} cassette{'' if unreached == 1 else 's'} {NOT_REACHED}", style="yellow")
    for each in left:
        if each["reason"] != NOT_REACHED:
            console.print(f"left: {each['path']}: {each['reason']}", style="yellow", soft_wrap=True)


def print_cassette(console: Console, cassette: Json) -> None:
    """Say which cassette the calls that follow belong to."""
    console.print(_tier(cassette["tier"]), literal.text(cassette["path"], style="bold"), soft_wrap=True)
    if cassette["failure"]:
        console.print(_indented(literal.text(f"{failed(cassette)}: {brief(cassette['failure'])}"), 2))
    for change in cassette["outputs"]:
        console.print(_indented(Text.assemble("output ", _change(change)), 2))


def print_call(console: Console, call: Json) -> None:
    """Say how a call moved."""
    console.print(
        _indented(
            Text.assemble("call ", str(call["number"]), " ", _tier(call["tier"]), " ", literal.text(call["asked"])), 2
        )
    )
    if call["reason"]:
        console.print(_indented(literal.text(brief(call["reason"])), 4))
    for change in call["changes"]:
        console.print(_indented(_change(change), 4))
    if told := measures(call):
        console.print(_indented(literal.text(told, style="dim"), 4))


def _indented(text: Text, columns: int) -> Padding:
    return Padding(text, (0, 0, 0, columns), expand=False)


def _tier(tier: str) -> Text:
    return literal.text(tier, style=_STYLES[tier])


def _change(change: Json) -> Text:
    what = styled(cut(difference(change["before"], change["after"])))
    lines = [*Text.assemble(literal.text(f"{change['field']}: "), what).split("\n")]
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], literal.text(f"… and {len(lines) - _MOST_LINES} lines more")]
    return Text("\n").join(lines)
