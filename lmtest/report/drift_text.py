"""A refresh in the words that every form of its report shares."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from lmtest.cassette.marking import pieces

if TYPE_CHECKING:
    from lmtest.cassette.interaction import Json
    from lmtest.cassette.marking import Piece

_NOISE: Final = 0.1  # seconds that say nothing
_BRIEF: Final = 400

MEANING: Final = {
    "same": "the same fields",
    "wording": "the same fields in other words",
    "changed": "a field differs",
    "structure": "no longer parses, calls other tools, or ends otherwise",
    "not reached": "not asked, because the test ended before",
    "failed": "not answered",
}
"""What each tier means, for a legend."""


def headline(data: Json) -> str:
    """Sum a refresh up in a sentence.

    >>> tests = {"counts": {"passed": 1, "failed": 1}, "told": []}
    >>> headline({"counts": {"same": 2, "changed": 1}, "cassettes": [1, 2], "left": [], "to": None, "tests": tests})
    '3 calls of 2 cassettes: 2 same, 1 changed. 2 tests: 1 passed, 1 failed.'
    """
    counts = ", ".join(f"{count} {tier}" for tier, count in data["counts"].items() if count)
    calls = sum(data["counts"].values())
    to = f" by {data['to']}" if data["to"] else ""
    told = f"{many(calls, 'call')} of {many(len(data['cassettes']), 'cassette')}{to}: {counts or 'nothing to compare'}."
    if data["left"]:
        told += f" {many(len(data['left']), 'cassette')} left as {'it was' if len(data['left']) == 1 else 'they were'}."
    return " ".join(filter(None, (told, tests_headline(data["tests"]))))


def tests_headline(tests: Json) -> str:
    """Sum up in a sentence how tests ended; nothing where none was to run.

    >>> tests_headline({"counts": {"passed": 1, "crashed": 1, "not run": 2}})
    '4 tests: 1 passed, 1 crashed, 2 not run.'
    """
    counts = ", ".join(f"{count} {outcome}" for outcome, count in tests["counts"].items() if count)
    return f"{many(sum(tests['counts'].values()), 'test')}: {counts}." if counts else ""


def by_reason(tests: Json) -> list[tuple[tuple[str, str], list[str]]]:
    """Bring together the tests that ended alike, for the same reason: a provider that is gone says one thing to all."""
    groups: dict[tuple[str, str], list[str]] = {}
    for each in tests["told"]:
        groups.setdefault((each["outcome"], each["reason"]), []).append(each["test"])
    return list(groups.items())


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
    """Say in a line what calls took before and take now; nothing where none was answered."""
    if not data["tokens"]["before"] and not data["tokens"]["after"]:
        return ""
    return ", ".join((moved(data["tokens"], " tokens"), moved(data["usd"], "$"), moved(data["seconds"], " s")))


def difference(before: Any, after: Any) -> list[Piece]:
    """Compare two values word by word, or as a whole where hardly a word is left.

    >>> from lmtest.cassette.marking import marked
    >>> marked(difference("It is Paris", "It is Lyon")), marked(difference(3, 4))
    ('It is [-Paris-]{+Lyon+}', '[-3-]{+4+}')
    """
    was, now = (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in (before, after))
    return pieces(was, now)


def failed(cassette: Json) -> str:
    """Say what failed that has no test: the execution of a worker, or calls that were sent by themselves.

    >>> failed({"test": None}), failed({"test": "test_qa.py::test_qa"})
    ('its execution failed', 'its test failed')
    """
    return "its test failed" if cassette["test"] else "its execution failed"


def brief(text: str) -> str:
    """Give the beginning of what is told in a line.

    >>> brief("a" * 1000)[-5:]
    'aaaa…'
    """
    return text if len(text) <= _BRIEF else f"{text[: _BRIEF - 1]}…"


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
    return f"{many(len(found), 'call')} not scored{'' if len(found) == 1 else '; the first'}: {told}"


def _amount(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def many(count: int, noun: str) -> str:
    """Say how many there are of something.

    >>> many(1, "call"), many(2, "call")
    ('1 call', '2 calls')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"
