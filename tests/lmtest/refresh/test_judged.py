"""The tiers of answers, against the judgement of a careful reviewer."""

import json

import dspy
import pytest

from lmtest.cassette.interaction import Interaction, Reply
from lmtest.refresh.drift import compare

from .judged import PAIRS

MOST_OFF = 0
"""So many pairs may be in another tier than a reviewer says."""


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


@pytest.fixture(scope="module")
def off():
    found = [(pair, tier_of(pair)) for pair in PAIRS]
    return [
        f"{getattr(pair.kind, '__name__', pair.kind)!s:.20} {pair.before!r} → {pair.after!r}: "
        f"{tier}, a reviewer says {pair.tier} ({pair.why}){' arguable' if pair.arguable else ''}"
        for pair, tier in found
        if tier is not pair.tier
    ]


def test_nearly_all_judged_pairs_are_in_the_tier_that_a_reviewer_says(off):
    assert len(off) <= MOST_OFF, f"{len(off)} of {len(PAIRS)} are off:\n" + "\n".join(off)
