"""A refresh in the words that every form of its report shares."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any, Final

from lmtest.cassette.miss import word_diff

if TYPE_CHECKING:
    from lmtest.cassette.interaction import Json

_NOISE: Final = 0.1  # seconds that say nothing
_ALIKE: Final = 0.3

MEANING: Final = {
    "same": "the same fields",
    "wording": "the same fields in other words",
    "changed": "a field differs",
    "structure": "no longer parses, calls other tools, or ends otherwise",
    "failed": "not answered",
}
"""What each tier means, for a legend."""


def headline(data: Json) -> str:
    """Sum a refresh up in a sentence.

    >>> headline({"counts": {"same": 2, "changed": 1}, "cassettes": [1, 2], "left": [], "to": None, "stopped": ""})
    '3 calls of 2 cassettes: 2 same, 1 changed.'
    """
    counts = ", ".join(f"{count} {tier}" for tier, count in data["counts"].items() if count)
    calls = sum(data["counts"].values())
    to = f" by {data['to']}" if data["to"] else ""
    told = f"{_many(calls, 'call')} of {_many(len(data['cassettes']), 'cassette')}{to}: {counts or 'none answered'}."
    if data["left"]:
        told += (
            f" {_many(len(data['left']), 'cassette')} left as {'it was' if len(data['left']) == 1 else 'they were'}."
        )
    return told


def moved(before_and_after: Json, unit: str) -> str:
    """Say what something took before and takes now.

    >>> moved({"before": "0.0010", "after": "0.0020"}, "$"), moved({"before": 200, "after": 100}, " tokens")
    ('$0.0010 → $0.0020 (+100 %)', '200 → 100 tokens (-50 %)')
    """
    was, now = float(before_and_after["before"]), float(before_and_after["after"])
    noise = _NOISE if isinstance(before_and_after["before"], float) else 0
    change = f" ({(now - was) / was:+.0%})".replace("%", " %") if min(was, abs(now - was)) > noise else ""
    sign = unit if unit == "$" else ""
    texts = [f"{sign}{_amount(before_and_after[when])}" for when in ("before", "after")]
    return f"{' → '.join(texts)}{'' if sign else unit}{change}"


def consumption(data: Json) -> str:
    """Say in a line what calls took before and take now; nothing where none was answered both times."""
    if not data["tokens"]["before"] and not data["tokens"]["after"]:
        return ""
    return ", ".join((moved(data["tokens"], " tokens"), moved(data["usd"], "$"), moved(data["seconds"], " s")))


def difference(before: Any, after: Any) -> str:
    """Mark what changed in a value, ``[-was-]{+is+}``: word by word, or as a whole where hardly a word is left.

    >>> difference("It is Paris", "It is Lyon"), difference(3, 4)
    ('It is [-Paris-]{+Lyon+}', '[-3-]{+4+}')
    """
    was, now = (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in (before, after))
    alike = difflib.SequenceMatcher(None, was.split(), now.split(), autojunk=False).ratio()
    if alike >= _ALIKE:
        return word_diff(was, now)
    between = "\n" if "\n" in was + now else ""
    return f"[-{was}-]{between}{{+{now}+}}"


def measures(call: Json) -> str:
    """Say in a line what a call took and how it scored, before and now."""
    told = score(call["scores"])
    return ", ".join(each for each in (consumption(call), f"score {told}" if told else "", call["unscored"]) if each)


def score(scores: Json) -> str:
    """Say what a metric gave before and now, or nothing where there is none."""
    if scores["before"] is None and scores["after"] is None:
        return ""
    return " → ".join("none" if scores[when] is None else f"{scores[when]:g}" for when in ("before", "after"))


def unscored(data: Json) -> str:
    """Say in a line of how many calls a metric gave no score, and why of the first; nothing where of none."""
    found = [(each["path"], call) for each in data["cassettes"] for call in each["calls"] if call["unscored"]]
    if not found:
        return ""
    path, call = found[0]
    told = f"call {call['number']} of {path}: {call['unscored']}"
    return f"{_many(len(found), 'call')} not scored{'' if len(found) == 1 else '; the first'}: {told}"


def _amount(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
