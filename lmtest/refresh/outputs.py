"""How what a worker's program answered has moved: its outputs, by name, as its signature made them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmtest.refresh.drift import PROSE, Change, Tier, normalise

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def changed_outputs(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """Give the outputs that differ, of a program whose signature may have changed meanwhile.

    Args:
        before: JSON values by the output's name.
        after: Likewise.

    >>> [(each.field, each.wording) for each in changed_outputs({"a": "Yes.", "n": 1}, {"a": "yes", "n": 2})]
    [('a', True), ('n', False)]
    """
    changes = []
    for name in dict.fromkeys([*before, *after]):
        was, now = before.get(name), after.get(name)
        if was != now:
            told = name in before and name in after
            alike = told and (name in PROSE or normalise(was) == normalise(now))
            changes.append(Change(field=name, before=was, after=now, wording=alike))
    return tuple(changes)


def tier_of(outputs: Iterable[Change]) -> Tier:
    """How far outputs have moved that all hold: their signature sees to their structure."""
    return max((Tier.WORDING if each.wording else Tier.CHANGED for each in outputs), default=Tier.SAME)
