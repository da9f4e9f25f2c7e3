"""Recorded requests, sent again without their tests."""

import base64

import dspy
import pytest

import lmtest
from lmtest.cassette.pending import fresh_path
from lmtest.lm.substitution import Substitution
from lmtest.refresh.chains import why_not
from lmtest.refresh.plan import Choice, make_plan
from lmtest.refresh.resend import Sending, resend
from lmtest.refresh.result import read_calls

from .oracle import fields
from .recordings import Chain, record


def test_a_chain_is_refused_by_the_call_that_holds_an_earlier_answer(lm, project):
    path = record(lm, "start?", program=Chain())
    second = read_calls(path)[1]
    [skipped] = make_plan([path], Choice(by_test=False), root=project).skipped
    assert f"call 2 ({second.key[:12]}) is chained: it holds what call 1 answered" in skipped.reason


def test_an_agents_steps_are_a_chain(lm):
    def look_up(city: str) -> int:
        """Look up how many people live in a city."""
        return 2

    path = record(lm, "How many people live in Paris?", program=dspy.ReAct("question -> answer", tools=[look_up]))
    assert "is chained" in why_not(read_calls(path))


def test_questions_that_stand_alone_are_no_chain(lm):
    assert why_not(read_calls(record(lm, "Where is Paris?", "Where is Madrid?"))) == ""


def test_a_request_that_was_redacted_is_refused(lm, monkeypatch):
    monkeypatch.setenv("SERVICE_TOKEN", "hush-hush-hush")
    path = record(lm, "Why does hush-hush-hush not work?")
    assert "<redacted:SERVICE_TOKEN>" in why_not(read_calls(path))


@pytest.fixture
def send(oracle, project, monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "k" * 12)

    def run(path, **options):
        [job] = make_plan([path], Choice(by_test=False), root=project).due
        return resend(job, read_calls(path), Sending(api_base=f"{oracle.url}/v1beta", **options))

    return run


def test_the_requests_keep_their_keys(lm, send):
    path = record(lm, "one?", "two?")
    assert send(path).outcome == "passed"
    assert [call.key for call in read_calls(fresh_path(path))] == [call.key for call in read_calls(path)]


def test_a_failed_call_does_not_keep_the_others_from_being_sent(lm, send, oracle):
    path = record(lm, "one?", "two?")
    oracle.says["one?"] = 429
    oracle.prompts.clear()
    send(path)
    assert len(oracle.prompts) == 2
    assert not fresh_path(path).exists()


def test_the_budget_stops_it_before_a_call(lm, send, oracle):
    path = record(lm, "one?")
    oracle.prompts.clear()
    assert "usd_per_run" in send(path, limits=lmtest.Limits(usd_per_run="0.000001")).limit
    assert oracle.prompts == []


def test_another_model_may_be_asked(lm, send, oracle):
    path = record(lm, "one?")
    oracle.models.clear()
    send(path, to=Substitution.parse(["gemini/gemini-2.5-pro"]))
    assert oracle.models == ["gemini-2.5-pro"]
    send(path, to=Substitution.parse(["gemini-2.5-pro=gemini/gemini-3-pro"]))
    assert oracle.models == ["gemini-2.5-pro", "gemini-2.5-flash"], "another one is replaced"


def test_without_a_key_it_says_what_to_set(lm, send, monkeypatch):
    path = record(lm, "one?")
    monkeypatch.delenv("GEMINI_API_KEY")
    with pytest.raises(lmtest.ConfigurationError, match="GEMINI_API_KEY"):
        send(path)


def test_media_are_sent_again_whole(lm, send, oracle):
    pixel = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()
    seen = dspy.Predict("picture: dspy.Image -> answer")
    with dspy.context(lm=lm), lmtest.use_cassette("m.yaml", mode="record") as cassette:
        seen(picture=dspy.Image(f"data:image/png;base64,{pixel}"))
    assert pixel not in cassette.path.read_text()
    send(cassette.path)
    assert [call.key for call in read_calls(fresh_path(cassette.path))] == [
        call.key for call in read_calls(cassette.path)
    ]


def test_a_stream_is_sent_as_a_stream(lm, send, oracle):
    import asyncio

    async def listen():
        program = dspy.streamify(dspy.Predict("question -> answer"))
        async with lmtest.use_cassette("s.yaml", mode="record") as cassette:
            [_ async for _ in program(question="one?")]
        return cassette.path

    oracle.says["one?"] = fields(answer="Paris")
    with dspy.context(lm=lm):
        path = asyncio.run(listen())
    send(path)
    kinds = [type(call.outcome) for call in (*read_calls(path), *read_calls(fresh_path(path)))]
    assert kinds[0] is kinds[1]
