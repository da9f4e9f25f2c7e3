"""A refresh as plain data: what the JSON report holds, and what the others are written from."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from lmtest.cassette.compare import last_said
from lmtest.here import relative
from lmtest.refresh.drift import Tier
from lmtest.refresh.prompt import read_inputs
from lmtest.refresh.result import amounts

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lmtest.cassette.interaction import Interaction, Json
    from lmtest.refresh.drift import CallDrift, Change
    from lmtest.refresh.outcomes import Outcomes
    from lmtest.refresh.result import CassetteDrift, Drift

_LONGEST: Final = 160


def as_data(drift: Drift, *, root: Path) -> Json:
    """Give a refresh as a JSON object.

    Args:
        drift: The refresh.
        root: The project, which paths are told relative to.
    """
    calls = list(drift.calls)
    return {
        "tier": drift.tier.value,
        "counts": {tier.value: count for tier, count in drift.counts.items()},
        "to": drift.to,
        "stopped": drift.stopped,
        "tests": as_told(drift.outcomes),
        **_moved(calls),
        "scores": _mean(calls),
        "cassettes": [_cassette(each, root) for each in drift.cassettes],
        "left": [{"path": relative(each.path, root), "reason": each.reason} for each in drift.left],
    }


def as_told(outcomes: Outcomes) -> Json:
    """Give how tests ended as a JSON object: how many in which way, and each that did not pass."""
    told = [each for each in outcomes.tests if each.outcome != "passed"]
    return {
        "counts": dict(outcomes.counts),
        "told": [{"test": each.test, "outcome": each.outcome, "reason": each.reason} for each in told],
    }


def _cassette(cassette: CassetteDrift, root: Path) -> Json:
    return {
        "path": relative(cassette.path, root),
        "test": cassette.test,
        "tier": cassette.tier.value,
        "acceptable": cassette.acceptable,
        "failure": cassette.failure,
        "outputs": _changes(cassette.outputs),
        **_moved(cassette.calls),
        "calls": [_call(number, each) for number, each in enumerate(cassette.calls, start=1)],
    }


def _call(number: int, call: CallDrift) -> Json:
    return {
        "number": number,
        "key": call.either.key,
        "model": call.either.model or f"tool {call.either.tool}",
        "asked": asked(call.either),
        "tier": call.tier.value,
        "reason": call.reason,
        "changes": _changes(call.changes),
        **_moved([call]),
        "scores": dict(zip(("before", "after"), call.scores, strict=True)),
        "unscored": call.unscored,
    }


def _changes(changes: Iterable[Change]) -> list[Json]:
    return [
        {"field": each.field, "before": _plain(each.before), "after": _plain(each.after), "wording": each.wording}
        for each in changes
    ]


def _moved(calls: Iterable[CallDrift]) -> Json:
    """Tokens, dollars and seconds, before and after; a call more or less counts, one that was not answered does not."""
    told = [call for call in calls if call.tier < Tier.UNREACHED and not (call.after and call.after.failed)]
    sums = amounts(call.before for call in told), amounts(call.after for call in told)
    return {
        name: {when: _number(getattr(each, name)) for when, each in zip(("before", "after"), sums, strict=True)}
        for name in ("tokens", "usd", "seconds")
    }


def _mean(calls: Iterable[CallDrift]) -> Json:
    """Mean scores of the calls that were scored both times."""
    scored = [(was, now) for was, now in (call.scores for call in calls) if was is not None and now is not None]
    means = [round(sum(each) / len(scored), 4) for each in zip(*scored, strict=True)] or [None, None]
    return {"calls": len(scored), "before": means[0], "after": means[1]}


def asked(call: Interaction) -> str:
    r"""What a call asks, in a line.

    >>> from lmtest.cassette.interaction import Interaction, Reply
    >>> user = {"role": "user", "parts": [{"type": "text", "text": "Why is the sky\nblue?"}]}
    >>> asked(Interaction(key="", request={"messages": [user]}, outcome=Reply(response={})))
    'Why is the sky blue?'
    """
    inputs = read_inputs(call.request)
    if call.tool or call.embeds:
        text = last_said(call)
    elif inputs:
        text = "; ".join(f"{name}: {value}" for name, value in inputs.items())
    else:
        last = (call.request.get("messages") or [{}])[-1]
        text = "".join(part.get("text") or "" for part in last.get("parts") or ())
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _number(value: Any) -> Any:
    return format(value, "f") if isinstance(value, Decimal) else value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
