"""How far an answer has moved: five tiers, each call in exactly one."""

from dataclasses import replace

import dspy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmtest.cassette.interaction import EventStream, Failure, Interaction, Reply, StreamedEvent
from lmtest.refresh.drift import Tier, compare
from lmtest.refresh.pairs import pair
from lmtest.refresh.wording import normal_text

from .oracle import fields


def system(signature, adapter=None):
    [message, *_] = (adapter or dspy.ChatAdapter()).format(dspy.ensure_signature(signature), [], {"question": "?"})
    return message["content"]


SYSTEM = system("question -> answer: str, n: int, sure: bool")


def look_up(city: str, most: int = 3, share: float = 1.0) -> str:
    """Look a city up."""
    return city


THOUGHT = system(dspy.ChainOfThought("question -> answer: str").predict.signature)
OWN = system("question -> reasoning: str, answer: str")
STEP = system(dspy.ReAct("question -> answer: str", tools=[look_up]).react.signature)


def call(text="", *, asked=SYSTEM, finish="stop", parts=(), question="?"):
    said = [{"type": "text", "text": text}] if text else []
    message = {"role": "assistant", "parts": [*said, *parts]}
    user = {"role": "user", "parts": [{"type": "text", "text": question}]}
    return Interaction(
        key="0" * 64,
        request={"model": "gemini/gemini-2.5-flash", "system": asked, "messages": [user]},
        outcome=Reply(response={"message": message, "finish_reason": finish, "model": "m", "usage": {}}),
    )


def failed(code="rate_limit", **beside):
    return replace(call(), outcome=Failure(code=code, message="too many", **beside))


def answer(text="Paris", n=3, sure=True):  # noqa: FBT002
    return call(fields(answer=text, n=n, sure=sure))


def tool(name="look_up", **arguments):
    return call(parts=[{"type": "tool_call", "id": "call-1", "name": name, "input": arguments}], finish="tool_call")


def step(thought, name, **arguments):
    return call(fields(next_thought=thought, next_tool_name=name, next_tool_args=arguments), asked=STEP)


# ── same ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_equal_fields_are_the_same_however_they_are_laid_out():
    loose = call("[[ ## answer ## ]]\n\n  Paris\n[[ ## n ## ]]\n3\n[[ ## sure ## ]]\ntrue")
    assert compare(answer(), loose).tier is Tier.SAME


def test_what_another_adapter_asks_for_is_the_same_answer_and_says_so():
    asked = system("question -> answer: str, n: int, sure: bool", dspy.JSONAdapter())
    drift = compare(answer(), call('{"answer": "Paris", "n": 3, "sure": true}', asked=asked))
    assert (drift.tier, drift.reason) == (Tier.SAME, "asked by DSPy's json adapter, was by its chat adapter")


def test_equal_tool_calls_are_the_same_whatever_their_ids():
    before, after = tool(city="Paris"), tool(city="Paris")
    after.outcome.response["message"]["parts"][0]["id"] = "call-2"
    assert compare(before, after).tier is Tier.SAME


def test_a_failure_that_was_recorded_and_comes_again_is_the_same():
    assert compare(failed(), failed()).tier is Tier.SAME


def test_a_stream_and_a_whole_answer_of_equal_text_are_the_same():
    text = fields(answer="Paris", n=3, sure=True)
    events = (
        {"type": "start", "id": "x", "model": "m"},
        {"type": "delta", "delta": {"type": "text", "text": text, "part_index": 0}},
        {"type": "end", "finish_reason": "stop"},
    )
    stream = replace(call(), outcome=EventStream(events=tuple(StreamedEvent(at=0.0, event=each) for each in events)))
    assert compare(answer(), stream).tier is Tier.SAME


# ── wording ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_case_white_space_and_punctuation_of_a_text_are_wording():
    drift = compare(answer("Paris, in France"), answer("paris in  FRANCE."))
    assert drift.tier is Tier.WORDING
    assert [(each.field, each.before, each.after) for each in drift.changes] == [
        ("answer", "Paris, in France", "paris in  FRANCE.")
    ]


def test_thinking_aloud_in_other_words_is_wording():
    before = call(fields(reasoning="France's capital is known.", answer="Paris"), asked=THOUGHT)
    after = call(fields(reasoning="I remember it from school.", answer="Paris"), asked=THOUGHT)
    assert compare(before, after).tier is Tier.WORDING


def test_an_answer_without_fields_is_compared_as_text():
    assert compare(call("It is Paris.", asked=""), call("it is paris", asked="")).tier is Tier.WORDING
    assert compare(call("It is Paris.", asked=""), call("It is Lyon.", asked="")).tier is Tier.CHANGED


# ── changed ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_typed_field_that_differs_is_a_change_and_says_what_was_and_is():
    drift = compare(answer(n=3), answer(n=4))
    assert drift.tier is Tier.CHANGED
    assert [(each.field, each.before, each.after) for each in drift.changes] == [("n", 3, 4)]


@pytest.mark.parametrize(
    ("before", "after"), [("Paris", "Lyon"), ("-5", "5"), ("3.5", "35"), ("C++", "C"), ("5%", "5")]
)
def test_a_text_that_says_something_else_is_a_change(before, after):
    assert compare(answer(before), answer(after)).tier is Tier.CHANGED


def test_one_change_outweighs_any_wording():
    assert compare(answer("Paris", n=3), answer("paris", n=4)).tier is Tier.CHANGED


def test_another_image_is_a_change():
    image = {"type": "image", "media_type": "image/png", "data": "AAAA"}
    before, after = call("x", asked="", parts=[image]), call("x", asked="", parts=[image | {"data": "BBBB"}])
    assert compare(before, after).tier is Tier.CHANGED


# ── structure ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_that_no_longer_parses_is_structure_and_says_what_is_missing():
    drift = compare(answer(), call("[[ ## answer ## ]]\nParis"))
    assert drift.tier is Tier.STRUCTURE
    assert drift.reason == "no longer parses: without n, sure"


def test_a_value_of_another_type_no_longer_parses():
    assert compare(answer(), answer(n="many")).tier is Tier.STRUCTURE


def test_an_item_that_lacks_a_part_no_longer_parses():
    import pydantic

    class Place(pydantic.BaseModel):
        name: str
        people: int

    asked = system(
        dspy.Signature(
            {"question": (str, dspy.InputField()), "places": (list[Place], dspy.OutputField())}, "Name places."
        )
    )
    before = call(fields(places=[{"name": "Paris", "people": 2}]), asked=asked)
    after = call(fields(places=[{"name": "Paris"}]), asked=asked)
    drift = compare(before, after)
    assert drift.tier is Tier.STRUCTURE
    assert "people" in drift.reason


def test_json_answers_are_read_as_json():
    asked = system("question -> answer: str, n: int", dspy.JSONAdapter())
    before = call('{"answer": "Paris", "n": 3}', asked=asked)
    assert compare(before, call('{"n": 3, "answer": "Paris"}', asked=asked)).tier is Tier.SAME
    assert compare(before, call('{"n": 4, "answer": "Paris"}', asked=asked)).tier is Tier.CHANGED
    assert compare(before, call("I would rather not.", asked=asked)).tier is Tier.STRUCTURE


def test_another_end_is_structure():
    drift = compare(answer(), replace(answer(), outcome=call("[[ ## answ", finish="length").outcome))
    assert (drift.tier, drift.reason) == (Tier.STRUCTURE, "ended with 'length', was 'stop'")


def test_another_tool_call_is_structure():
    drift = compare(tool(city="Paris"), tool(city="Lyon"))
    assert (drift.tier, drift.reason) == (
        Tier.STRUCTURE,
        'calls look_up({"city":"Lyon"}), called look_up({"city":"Paris"})',
    )


def test_another_step_of_an_agent_is_structure_and_another_thought_is_wording():
    assert compare(step("Look.", "look_up", city="b"), step("Enough.", "finish")).tier is Tier.STRUCTURE
    assert compare(step("Look.", "look_up", city="b"), step("Now look.", "look_up", city="b")).tier is Tier.WORDING


@pytest.mark.parametrize(
    ("before", "after", "tier"),
    [
        ({"most": 1}, {"most": True}, Tier.STRUCTURE),
        ({"most": 1}, {"most": "1"}, Tier.STRUCTURE),
        ({"most": 1}, {"most": 1.0}, Tier.SAME),
        ({"share": 2}, {"share": 2.0}, Tier.SAME),
        ({}, {"most": 3}, Tier.WORDING),
        ({}, {"most": 4}, Tier.STRUCTURE),
    ],
)
def test_arguments_of_an_agent_are_compared_by_the_types_of_its_tool(before, after, tier):
    found = compare(step("Look.", "look_up", city="Paris", **before), step("Look.", "look_up", city="Paris", **after))
    assert found.tier is tier
    if tier is Tier.WORDING:
        assert [(each.field, each.after) for each in found.changes] == [("calls", 'look_up({"city":"Paris","most":3})')]


def test_fields_are_read_whichever_form_a_request_has():
    def told(n):
        asked = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "[[ ## question ## ]]\n?"}]
        return replace(answer(n=n), request={"model": "openai/gpt-5-mini", "messages": asked})

    assert [each.field for each in compare(told(3), told(4)).changes] == ["n"]


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (answer(), None, "no longer asked"),
        (None, answer(), "not asked before"),
        (None, call(asked=system("a -> b", dspy.JSONAdapter())), "not asked before, by DSPy's json adapter"),
        (failed(), answer(), "failed before (rate_limit), is answered now"),
    ],
)
def test_a_chain_of_another_length_is_structure(before, after, reason):
    drift = compare(before, after)
    assert (drift.tier, drift.reason) == (Tier.STRUCTURE, reason)


# ── failed ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("before", [answer(), None, failed("server")])
def test_a_call_that_was_not_answered_failed_and_says_with_what(before):
    drift = compare(before, failed())
    assert (drift.tier, drift.reason) == (Tier.FAILED, "rate_limit: too many")


# ── laws ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

_TEXTS = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=30)
_ANSWERS = st.builds(answer, _TEXTS, st.integers(-5, 5), st.booleans())
_CALLS = st.one_of(
    _ANSWERS,
    st.builds(
        call, _TEXTS, asked=st.sampled_from([SYSTEM, THOUGHT, STEP, ""]), finish=st.sampled_from(["stop", "length"])
    ),
    st.builds(tool, st.sampled_from(["a", "b"]), city=_TEXTS),
    st.builds(failed, st.sampled_from(["rate_limit", "server", "timeout"])),
    st.just(call("[[ ## answer ## ]]\nx\n[[ ## n ## ]]\nNaN\n[[ ## sure ## ]]\nTrue")),
)
_laws = settings(max_examples=60, deadline=None)


@_laws
@given(_CALLS)
def test_whatever_it_is_a_call_is_the_same_as_itself(one):
    assert compare(one, one).tier is Tier.SAME


@_laws
@given(st.one_of(st.none(), _CALLS), _CALLS)
def test_any_two_calls_are_in_one_tier_and_only_failures_fail(before, after):
    tier = compare(before, after).tier
    assert tier in list(Tier)
    assert (tier is Tier.FAILED) == (after.failed is not None and (before is None or before.failed != after.failed))


@_laws
@given(_ANSWERS, _ANSWERS)
def test_between_answers_that_parse_the_tier_is_the_same_both_ways(one, other):
    assert compare(one, other).tier is compare(other, one).tier


@_laws
@given(_TEXTS, _TEXTS)
def test_wording_is_what_the_normal_form_does_not_show(one, other):
    one, other = one.strip() or "x", other.strip() or "x"
    tier = compare(call(one, asked=""), call(other, asked="")).tier
    expected = Tier.SAME if one == other else Tier.WORDING if normal_text(one) == normal_text(other) else Tier.CHANGED
    assert tier is expected


def test_the_tiers_are_in_order():
    assert sorted({*Tier}) == list(Tier)
    assert max(Tier) is Tier.FAILED


# ── which call is which ──────────────────────────────────────────────────────────────────────────────────────────────


def test_equal_requests_are_pairs_in_their_turn():
    one, other = call("1"), call("2")
    assert pair([one, other], [call("3"), call("4")])[1][1] == call("4")


def test_equal_requests_are_pairs_in_any_order():
    left, right = call("1", question="left"), call("2", question="right")
    assert pair([left, right], [right, left]) == [(left, left), (right, right)]


def test_later_calls_of_a_chain_are_pairs_by_their_place():
    first = call("Paris", question="where?")
    before = [first, call("a", question="more on Paris"), call("b", question="last on Paris")]
    after = [first, call("c", question="more on Lyon"), call("d", question="last on Lyon")]
    assert pair(before, after) == list(zip(before, after, strict=True))


def test_a_longer_and_a_shorter_chain_leave_calls_without_a_pair():
    one, two = call("1", question="one"), call("2", question="two")
    assert pair([one], [one, two]) == [(one, one), (None, two)]
    assert pair([one, two], [one]) == [(one, one), (two, None)]


def test_another_model_does_not_part_a_pair():
    one = call("1")
    assert pair([one], [replace(one, request=one.request | {"model": "openai/gpt-5-mini"})])[0][1] is not None
