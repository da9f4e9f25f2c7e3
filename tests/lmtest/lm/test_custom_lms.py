"""LMs of a user's own: one request to a provider is one call, whoever hands it on, and what answers itself does so."""

import threading
from contextlib import nullcontext
from types import SimpleNamespace

import dspy
import pytest

import lmtest
from lmtest.lm import nested
from lmtest.lm.mock import AsyncMockEngine, MockEngine

from .recordings import QUESTION, qa, record, run

pytestmark = pytest.mark.filterwarnings("ignore:.*custom LMs through BaseLM.*:DeprecationWarning")

MODES = [None, "record", "replay", "auto", "live"]


class HandingOn(dspy.LM):
    def forward(self, prompt=None, messages=None, **kwargs):
        return super().forward(prompt=prompt, messages=messages, **kwargs)

    async def aforward(self, prompt=None, messages=None, **kwargs):
        return await super().aforward(prompt=prompt, messages=messages, **kwargs)


def own_answer(*_, **__):
    text = "[[ ## answer ## ]]\nown\n\n[[ ## completed ## ]]"
    choice = SimpleNamespace(message=SimpleNamespace(content=text, tool_calls=None), finish_reason="stop")
    return SimpleNamespace(choices=[choice], usage={"prompt_tokens": 1}, model="own")


class Answering(dspy.LM):
    def forward(self, *_, **__):
        return own_answer()

    async def aforward(self, *_, **__):
        return own_answer()


class Based(dspy.BaseLM):
    def forward(self, *_, **__):
        return own_answer()

    async def aforward(self, *_, **__):
        return own_answer()


class Asking:
    """An engine that asks another LM."""

    def __init__(self, lm):
        self._lm = lm

    def complete(self, request):
        return self._lm(dspy.lm15.Request(model=self._lm.model, messages=request.messages, system=request.system))


class AskingAsync(Asking):
    async def complete(self, request):
        return await self._lm.acall(
            dspy.lm15.Request(model=self._lm.model, messages=request.messages, system=request.system)
        )


@pytest.fixture
def handing_on(provider):
    return HandingOn("gemini/gemini-2.5-flash", api_base=f"{provider.url}/v1beta", api_key="k" * 12, cache=False)


def ask(lm, *, asynchronously):
    with dspy.context(lm=lm):
        return run(qa.acall(question=QUESTION)).answer if asynchronously else qa(question=QUESTION).answer


def opened(mode, path="qa.yaml"):
    return lmtest.use_cassette(path, mode=mode) if mode else nullcontext()


@pytest.mark.parametrize("asynchronously", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("mode", ["record", "live"])
def test_a_subclass_that_hands_on_makes_one_request_one_call_and_one_history_entry(
    handing_on, provider, mode, asynchronously
):
    with opened(mode) as cassette:
        ask(handing_on, asynchronously=asynchronously)
    assert (len(provider.requests), len(cassette.calls), len(handing_on.history)) == (1, 1, 1)
    assert cassette.cost == cassette.calls[0].cost > 0


@pytest.mark.parametrize("asynchronously", [False, True], ids=["sync", "async"])
def test_a_subclass_that_hands_on_is_replayed_whole(handing_on, provider, asynchronously):
    with opened("record"):
        recorded = ask(handing_on, asynchronously=asynchronously)
    provider.close()
    with opened("replay") as cassette:
        assert ask(handing_on, asynchronously=asynchronously) == recorded
    assert (len(cassette.played), cassette.unplayed, len(handing_on.history)) == (1, (), 2)


def test_a_history_entry_of_a_subclass_is_the_same_with_and_without_a_cassette(handing_on):
    told = []
    for mode in MODES:
        with opened(mode):
            ask(handing_on, asynchronously=False)
        entry = handing_on.history[-1]
        told.append((entry["outputs"], entry["usage"], entry["cost"], entry["response_model"]))
    assert told == told[:1] * len(MODES)


def test_the_recording_of_a_subclass_serves_the_plain_lm(handing_on, unreachable_lm):
    with opened("record"):
        recorded = ask(handing_on, asynchronously=False)
    with opened("replay"):
        assert ask(unreachable_lm, asynchronously=False) == recorded


def test_a_subclass_that_hands_on_is_mocked(handing_on):
    with opened("mock") as cassette:
        assert "Mock answer" in ask(handing_on, asynchronously=False)
    assert len(cassette.calls) == 1


def test_a_method_set_on_one_lm_hands_on_too(lm, provider):
    whole = lm.forward
    lm.forward = lambda prompt=None, messages=None, **kwargs: whole(prompt=prompt, messages=messages, **kwargs)
    with opened("record") as cassette:
        ask(lm, asynchronously=False)
    assert (len(provider.requests), len(cassette.calls)) == (1, 1)


def test_a_subclass_that_hands_on_streams(handing_on, provider):
    async def chunks():
        program = dspy.streamify(qa, stream_listeners=[dspy.streaming.StreamListener("answer")])
        with dspy.context(lm=handing_on):
            return [item async for item in program(question=QUESTION)]

    with opened("record") as recording:
        *pieces, recorded = run(chunks())
    provider.close()
    with opened("replay") as cassette:
        *replayed, prediction = run(chunks())
    assert len(recording.calls) == len(cassette.played) == 1
    assert "".join(each.chunk for each in replayed) == "".join(each.chunk for each in pieces)
    assert prediction.answer == recorded.answer


def test_a_miss_of_a_subclass_is_a_miss(lm, handing_on):
    record(lm, "Something else?")
    with pytest.raises(lmtest.CassetteMiss):
        with opened("replay"):
            ask(handing_on, asynchronously=False)


def test_a_subclass_is_asked_anew_with_retries_as_without_a_cassette(handing_on):
    from lmtest.testing import ScriptedProvider, fields, rate_limited

    with ScriptedProvider([rate_limited(retry_after=0), fields(answer="Paris")]) as scripted:
        here = handing_on.copy(api_base=f"{scripted.url}/v1beta", num_retries=1)
        with opened("record") as cassette:
            assert ask(here, asynchronously=False) == "Paris"
        assert (len(scripted.requests), len(cassette.recorded)) == (2, 1)


@pytest.mark.parametrize("asynchronously", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("mode", ["record", "auto", "live", "mock"])
@pytest.mark.parametrize("kind", [Answering, Based])
def test_an_lm_that_answers_by_itself_answers_in_every_mode(kind, mode, asynchronously):
    with opened(mode) as cassette:
        assert ask(kind("mine/model"), asynchronously=asynchronously) == "own"
    assert cassette.calls == ()


@pytest.mark.parametrize("kind", [Answering, Based])
def test_an_lm_that_answers_by_itself_answers_in_replay(kind, lm):
    record(lm, "Something else?")
    with opened("replay") as cassette:
        assert ask(kind("mine/model"), asynchronously=False) == "own"
    assert cassette.calls == ()


def test_an_lm_that_answers_by_itself_answers_in_a_thread_that_two_cassettes_could_claim():
    answers = []
    thread = threading.Thread(target=lambda: answers.append(ask(Answering("mine/model"), asynchronously=False)))
    with opened("mock"), lmtest.use_cassette("other.yaml", mode="mock"):
        thread.start()
        thread.join()
    assert answers == ["own"]


@pytest.mark.parametrize("asynchronously", [False, True], ids=["sync", "async"])
def test_an_engine_that_asks_another_lm_is_one_call(lm, provider, asynchronously):
    here = dspy.LM("mine/router", engine=Asking(lm), async_engine=AskingAsync(lm))
    with opened("record") as recording:
        recorded = ask(here, asynchronously=asynchronously)
    provider.close()
    with opened("replay") as cassette:
        assert ask(here, asynchronously=asynchronously) == recorded
    assert (len(provider.requests), len(recording.calls)) == (1, 1)
    assert (len(cassette.played), cassette.unplayed) == (1, ())


def test_what_listens_to_a_custom_engine_is_outside_of_its_call():
    request = dspy.lm15.Request("mine/streaming", (dspy.lm15.Message.user(QUESTION),))
    alone = nested.alone(MockEngine(), asynchronous=False).stream(request)
    assert [nested.inside() for _ in alone] == [False for _ in MockEngine().stream(request)]


def test_what_listens_to_a_custom_async_engine_is_outside_of_its_call():
    request = dspy.lm15.Request("mine/streaming", (dspy.lm15.Message.user(QUESTION),))

    async def heard():
        return [nested.inside() async for _ in nested.alone(AsyncMockEngine(), asynchronous=True).stream(request)]

    assert run(heard()) == [False for _ in MockEngine().stream(request)]


def test_a_dspy_whose_calls_do_not_say_who_answers_is_named(monkeypatch):
    from dspy.clients import execution

    from lmtest.lm import seam

    monkeypatch.delitem(execution.PreparedCall.__dataclass_fields__, "managed")
    with pytest.raises(lmtest.ConfigurationError, match="no managed"):
        seam.check()
