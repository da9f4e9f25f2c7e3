"""How what a worker's program answered has moved: its outputs, by the types that its signature declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmtest.refresh.drift import Change, Tier
from lmtest.refresh.typed import Type, normal_form, same_form

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lmtest.cassette.interaction import Json

_BESIDE: Final = frozenset({"reasoning", "rationale", "trajectory"})
"""What modules of DSPy answer beside the outputs, of programs whose signature nobody knows."""


def changed_outputs(
    before: Mapping[str, Any], after: Mapping[str, Any], declared: Mapping[str, Json]
) -> tuple[Change, ...]:
    """Give the outputs that differ.

    Args:
        before: JSON values by the output's name.
        after: Likewise.
        declared: The JSON schema of each output of the signature; empty where nobody knows it.

    >>> text, number = {"type": "string"}, {"type": "number"}
    >>> found = changed_outputs({"a": "Yes.", "n": 1}, {"a": "yes", "n": 2}, {"a": text, "n": number})
    >>> [(each.field, each.wording) for each in found]
    [('a', True), ('n', False)]
    """
    changes = []
    for name in declared or [each for each in dict.fromkeys([*before, *after]) if each not in _BESIDE]:
        kind = Type.of(declared[name]) if name in declared else Type()
        was, now = before.get(name), after.get(name)
        if same_form(was, kind) != same_form(now, kind):
            alike = normal_form(was, kind) == normal_form(now, kind)
            changes.append(Change(field=name, before=was, after=now, wording=alike))
    return tuple(changes)


def tier_of(outputs: Iterable[Change]) -> Tier:
    """How far outputs have moved that all hold: their signature sees to their structure."""
    return max((Tier.WORDING if each.wording else Tier.CHANGED for each in outputs), default=Tier.SAME)
