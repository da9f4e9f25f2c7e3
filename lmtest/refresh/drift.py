"""How far an answer has moved from the one recorded before it, in tiers."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from lmtest.cassette import blobs
from lmtest.cassette.vectors import nearness, unpacked, vectors_of
from lmtest.refresh.answer import form_of, read_answer
from lmtest.refresh.prompt import prompt_of
from lmtest.refresh.typed import PROSE, Type, defaulted, normal_form, same_form

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lmtest.cassette.interaction import Interaction
    from lmtest.refresh.answer import Answer, Use

_TEXT: Final = "text"
_MEDIA: Final = "media"
_CALLS: Final = "calls"
_NEAR: Final = 0.999
"""The least cosine of vectors that have moved by no more than noise."""


class Tier(enum.StrEnum):
    """How far one answer has moved, from not at all to not answered.

    >>> Tier.CHANGED > Tier.WORDING, max(Tier.SAME, Tier.FAILED)
    (True, <Tier.FAILED: 'failed'>)
    """

    SAME = "same"
    WORDING = "wording"
    CHANGED = "changed"
    STRUCTURE = "structure"
    UNREACHED = "not reached"
    FAILED = "failed"

    @property
    def rank(self) -> int:
        """Its place in the order."""
        return list(Tier).index(self)

    def __lt__(self, other: str) -> bool:
        return self.rank < Tier(other).rank

    def __le__(self, other: str) -> bool:
        return self.rank <= Tier(other).rank

    def __gt__(self, other: str) -> bool:
        return self.rank > Tier(other).rank

    def __ge__(self, other: str) -> bool:
        return self.rank >= Tier(other).rank


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A part of an answer that differs.

    Attributes:
        field: The output field; ``text`` where none were asked for; ``calls`` of tools that are to be called;
            ``result`` or ``raised`` of a tool.
        before: Its value, as DSPy parsed it.
        after: Likewise.
        wording: Whether they differ in wording alone.
    """

    field: str
    before: Any
    after: Any
    wording: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class CallDrift:
    """One call, before and after.

    Attributes:
        before: As it was recorded; None where it is asked for the first time.
        after: As it is answered now; None where it is no longer asked.
        tier: How far the answer has moved.
        reason: What happened, where fields do not say it.
        changes: The fields that differ.
        scores: What a metric says of both; None where there is none, or nothing to score.
        unscored: Why a metric gave no score for an answer; empty where none is missing.
    """

    before: Interaction | None
    after: Interaction | None
    tier: Tier
    reason: str = ""
    changes: tuple[Change, ...] = ()
    scores: tuple[float | None, float | None] = (None, None)
    unscored: str = ""

    @property
    def either(self) -> Interaction:
        """The call, as it is now if it still is."""
        one = self.after or self.before
        assert one is not None, "a call was asked before or after"
        return one


def compare(before: Interaction | None, after: Interaction | None, folder: Path | None = None) -> CallDrift:
    """Put a call in its tier.

    Args:
        before: The call as it was recorded.
        after: The call as it is answered now. At most one of the two is None.
        folder: Where their cassettes are, for the vectors of an embedding; None where the calls hold all of theirs.

    Raises:
        CassetteError: The vectors of an embedding are missing, or were altered.
    """
    tier, reason, changes = _judge(before, after, folder)
    return CallDrift(before=before, after=after, tier=tier, reason=reason, changes=changes)


_Judgement = tuple[Tier, str, tuple[Change, ...]]


def _judge(before: Interaction | None, after: Interaction | None, folder: Path | None) -> _Judgement:
    was, now = _code(before), _code(after)
    if after is None:
        return Tier.STRUCTURE, "no longer asked", ()
    if now is not None:
        # What follows the first line is advice, the same for every such failure.
        told = str(getattr(after.outcome, "message", "")).strip().partition("\n")[0]
        return (Tier.SAME if was == now else Tier.FAILED), f"{now}: {told}", ()
    if before is None or was is not None:
        told = f"failed before ({was}), is answered now" if was else f"not asked before{_by_another(after)}"
        return Tier.STRUCTURE, told, ()
    if after.tool:
        return _judge_results(before, after)
    if after.embeds:
        return _judge_vectors(before, after, folder)
    one, other = read_answer(before), read_answer(after)
    alike = prompt_of(before.request) == prompt_of(after.request)
    # What one recording knows of a prompt holds for another, which may be older.
    thoughts = one.thoughts | other.thoughts if alike else one.thoughts & other.thoughts
    tier, reason, changes = _judge_answers(one, other, thoughts)
    return tier, reason or _by_another(after, before), changes


def _by_another(after: Interaction, before: Interaction | None = None) -> str:
    """Say that another adapter of DSPy's asks, which is what it does where an answer to its first does not parse."""
    was, now = form_of(before) if before else "", form_of(after)
    if before is None:
        return f", by DSPy's {now} adapter" if now not in {"", "chat"} else ""
    return f"asked by DSPy's {now} adapter, was by its {was} adapter" if was and now and was != now else ""


def _judge_results(before: Interaction, after: Interaction) -> _Judgement:
    """A tool's result is data, whose wording a program may well branch on."""
    if before.outcome == after.outcome:
        return Tier.SAME, "", ()
    was, now = before.said[0], after.said[0]
    if was.keys() != now.keys():
        return Tier.STRUCTURE, f"raised {now['raised']}" if "raised" in now else "raised before, answers now", ()
    name = next(iter(now))
    return Tier.CHANGED, "", (Change(field=name, before=was[name], after=now[name], wording=False),)


def _judge_vectors(before: Interaction, after: Interaction, folder: Path | None) -> _Judgement:
    """Providers give no two vectors alike to the last bit, and what is searched with them finds the same."""
    if before.outcome == after.outcome:
        return Tier.SAME, "", ()
    if before.left or after.left:
        return Tier.STRUCTURE, "given up before its answer came" if after.left else "was given up, is answered now", ()
    attached = partial(blobs.attach, directory=folder) if folder else _as_it_is
    one, other = (vectors_of(each.saying(attached)) for each in (before, after))
    was, now = ((each["count"], each["dimensions"]) for each in (one, other))
    if was != now:
        return Tier.STRUCTURE, "{} vectors of {} dimensions, were {} of {}".format(*now, *was), ()
    if one == other:
        return Tier.SAME, "", ()
    near = nearness(unpacked(one), unpacked(other))
    return (Tier.WORDING if near >= _NEAR else Tier.CHANGED), f"vectors moved, to a cosine of {near:.6f}", ()


def _as_it_is(value: Any) -> Any:
    return value


def _judge_answers(before: Answer, after: Answer, thoughts: frozenset[str]) -> _Judgement:
    changes = tuple(_changes(before, after, thoughts))
    if broken := _broken(before, after):
        return Tier.STRUCTURE, broken, changes
    if not changes:
        return Tier.SAME, "", ()
    return (Tier.WORDING if all(each.wording for each in changes) else Tier.CHANGED), "", changes


def _code(interaction: Interaction | None) -> str | None:
    return None if interaction is None else interaction.failed


def _broken(before: Answer, after: Answer) -> str:
    """What keeps the program from going on as it did."""
    if before.finish != after.finish:
        return f"ended with {after.finish!r}, was {before.finish!r}"
    if [_intent(use) for use in before.uses] != [_intent(use) for use in after.uses]:
        return f"calls {_called(after)}, called {_called(before)}"
    if before.problem is None and after.problem is not None:
        return f"no longer parses: {after.problem}"
    if before.problem is not None and after.problem is None:
        return "parses now, did not before"
    return ""


def _intent(use: Use) -> Any:
    """A tool with its arguments as it is given them: what one tool takes for wording is another's search."""
    return use.name, defaulted(use.arguments, use.declared)


def _called(answer: Answer) -> str:
    return ", ".join(map(str, answer.uses)) or "no tool"


def _changes(before: Answer, after: Answer, thoughts: frozenset[str]) -> Iterator[Change]:
    if before.uses or after.uses:
        yield from _changed_uses(before, after)
    if before.text == after.text and before.media == after.media:
        return  # also where a value equals nothing, as NaN does
    was, now = _parts(before), _parts(after)
    if was.keys() != now.keys():
        was, now = {_TEXT: before.text}, {_TEXT: after.text}
    for name, value in was.items():
        declared = before.types.get(name, Type()) if name in before.fields else PROSE
        if same_form(value, declared) != same_form(now[name], declared):
            alike = name in thoughts or normal_form(value, declared) == normal_form(now[name], declared)
            yield Change(field=name, before=value, after=now[name], wording=alike)


def _changed_uses(before: Answer, after: Answer) -> Iterator[Change]:
    was, now = ([(use.name, same_form(use.arguments, use.declared)) for use in each.uses] for each in (before, after))
    if was != now:
        alike = [*map(_intent, before.uses)] == [*map(_intent, after.uses)]
        yield Change(field=_CALLS, before=_called(before), after=_called(after), wording=alike)


def _parts(answer: Answer) -> dict[str, Any]:
    """What there is beside calls of tools, which `_changed_uses` compares."""
    fields = {name: value for name, value in answer.fields.items() if name not in answer.asking}
    parts = fields if answer.fields else {_TEXT: answer.text}
    return parts | {_MEDIA: list(answer.media)} if answer.media else parts
