"""What was played before is answered from memory, and nobody can tell but by the clock."""

import dspy
import pytest
from dspy import lm15
from hypothesis import given
from hypothesis import strategies as st

import lmtest
from lmtest.lm import translate

from .recordings import QUESTION, qa, record

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PARTS = st.builds(lm15.TextPart, TEXTS) | st.builds(lambda text: lm15.ThinkingPart(text=text), TEXTS)
REQUESTS = st.builds(
    lm15.Request,
    st.sampled_from(["m", "n"]),
    st.lists(
        st.builds(lm15.Message.assistant, st.lists(PARTS, min_size=1, max_size=2)),
        min_size=1,
        max_size=2,
    ),
    system=st.none() | TEXTS.filter(bool),
    config=st.builds(
        lm15.Config,
        temperature=st.sampled_from([None, 0, 1, 1.0]),
        seed=st.sampled_from([None, 0, 1]),
        extensions=st.none() | st.dictionaries(TEXTS, st.sampled_from([0, 0.0, False, None, "0"]), max_size=1),
    ),
)


@pytest.fixture
def played(lm, unreachable_lm):
    """Records a question; gives what plays it, as lm15's own response, and as often as it is asked to."""
    record(lm, QUESTION)

    def played():
        with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml") as cassette:
            qa(question=QUESTION)
        return unreachable_lm.history[-1]["response"], cassette.calls

    return played


@given(REQUESTS, REQUESTS)
def test_only_equal_requests_have_the_same_bytes(one, other):
    alike = translate.exactly(one) is not None and translate.exactly(one) == translate.exactly(other)

    assert not alike or translate.request_json(one) == translate.request_json(other)
    assert not alike or repr(translate.request_json(one)) == repr(translate.request_json(other))


def test_a_request_that_holds_more_than_text_has_none():
    image = lm15.ImagePart(media_type="image/png", data="aGk=")

    assert translate.exactly(lm15.Request("m", (lm15.Message.user([lm15.TextPart("See"), image]),))) is None


def test_a_second_play_answers_as_the_first(played):
    (first, calls), (second, again) = played(), played()

    assert translate.reply(second) == translate.reply(first)
    assert again == calls
    assert second is not first


def test_what_a_program_does_to_an_answer_reaches_no_other(played):
    played()
    (second, _), expected = played(), translate.reply(played()[0])
    second.provider_data.clear()
    second.provider_data["spoiled"] = True

    assert translate.reply(played()[0]) == expected


def test_a_byte_that_is_changed_between_two_plays_is_played(played, project):
    before = played()[0].message.text
    file = project / "qa.yaml"
    content, word = file.read_text(), before.split()[-1]
    file.write_text(content.replace(word, word.upper()))

    assert word.upper() in played()[0].message.text


def test_a_number_of_any_size_is_played_again_as_it_is(played, project):
    file = project / "qa.yaml"
    file.write_text(file.read_text().replace("provider_data: {", f'provider_data: {{"big": {2**70}, '))

    assert [played()[0].provider_data["big"] for _ in range(2)] == [2**70, 2**70]


def test_rules_that_differ_never_share_a_key(lm, unreachable_lm):
    record(lm, f"{QUESTION} 2026-11-20")
    with dspy.context(lm=unreachable_lm):
        with lmtest.use_cassette("qa.yaml"):
            qa(question=f"{QUESTION} 2026-11-20")
        with pytest.raises(lmtest.CassetteMiss), lmtest.use_cassette("qa.yaml", scrub=("date",)):
            qa(question=f"{QUESTION} 2026-11-20")
