"""The tiers of answers, against the judgement of a careful reviewer."""

import json

import dspy
import pytest

from lmtest.cassette.interaction import Interaction, Reply
from lmtest.refresh.drift import compare

from . import judged, judged_later

MOST_OFF = 5 / 110
"""So many of the pairs may be in another tier than a reviewer says."""


def tier_of(pair):
    return compare(_call(pair.kind, pair.before), _call(pair.kind, pair.after)).tier


def _call(kind, said):
    request = {"model": "m", "messages": [{"role": "user", "parts": [{"type": "text", "text": "?"}]}]}
    if isinstance(kind, dict):
        request |= {"tools": [{"type": "function", "name": "search", "parameters": kind}]}
        part = {"type": "tool_call", "id": "1", "name": "search", "input": json.loads(said)}
    elif kind is None:
        part = {"type": "text", "text": said}
    else:
        fields = {"question": (str, dspy.InputField()), "answer": (kind, dspy.OutputField())}
        [system, *_] = dspy.ChatAdapter().format(dspy.Signature(fields, "Answer."), [], {"question": "?"})
        request |= {"system": system["content"]}
        part = {"type": "text", "text": f"[[ ## answer ## ]]\n{said}\n\n[[ ## completed ## ]]"}
    message = {"role": "assistant", "parts": [part]}
    return Interaction(
        key="0" * 64, request=request, outcome=Reply(response={"message": message, "finish_reason": "stop"})
    )


def off(pairs):
    found = [(pair, tier_of(pair)) for pair in pairs]
    return [
        f"{getattr(pair.kind, '__name__', pair.kind)!s:.20} {pair.before!r} → {pair.after!r}: "
        f"{tier}, a reviewer says {pair.tier} ({pair.why}){', arguable' if pair.arguable else ''}"
        for pair, tier in found
        if tier is not pair.tier
    ]


@pytest.mark.parametrize("pairs", [judged.PAIRS, judged_later.PAIRS], ids=["judged before", "judged after"])
def test_nearly_all_judged_pairs_are_in_the_tier_that_a_reviewer_says(pairs):
    wrong = off(pairs)
    assert len(wrong) <= MOST_OFF * len(pairs), f"{len(wrong)} of {len(pairs)} are off:\n" + "\n".join(wrong)


def test_no_pair_is_nearer_than_a_reviewer_says_but_where_that_is_arguable():
    pairs = (*judged.PAIRS, *judged_later.PAIRS)
    nearer = [pair for pair in pairs if tier_of(pair) < pair.tier and not pair.arguable]
    assert not nearer
