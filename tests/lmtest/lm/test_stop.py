"""``lmtest.Stop``: a call under way ends when it is told to, whatever the provider does."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import dspy
import pytest

import lmtest
from lmtest.testing.provider import ScriptedProvider, fields, timeout


class Held(ScriptedProvider):
    """Never answers; tells when it was asked."""

    def __init__(self, script):
        super().__init__(script, repeat_last=True)

    def wait_until_asked(self, times=1):
        end = time.monotonic() + 30
        while len(self.requests) < times:
            assert time.monotonic() < end


def ask(lm, stop, seen=None):
    with lmtest.use_cassette(mode="live", stop=stop) as cassette:
        if seen is not None:
            seen.append(cassette)
        with dspy.context(lm=lm):
            return dspy.Predict("question -> answer")(question="why?").answer


def test_a_call_that_a_provider_never_answers_ends_at_once_and_is_not_tried_again():
    seen, stop = [], lmtest.Stop()
    with Held([timeout()]) as provider, ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask, provider.lm(num_retries=3), stop, seen)
        provider.wait_until_asked()
        stop.now()
        with pytest.raises(lmtest.Stopped, match="hung up on; the provider may charge"):
            asking.result(timeout=30)
        assert len(provider.requests) == 1
    (call,) = seen[0].calls
    assert (call.failed, call.cost) == ("transport", None)


def test_a_stop_that_was_called_before_sends_nothing():
    stop = lmtest.Stop()
    stop.now()
    with ScriptedProvider([fields(answer="Paris")]) as provider:
        with pytest.raises(lmtest.Stopped, match="was not sent"):
            ask(provider.lm(), stop)
        assert provider.requests == []


def test_a_stop_whose_time_is_over_sends_nothing():
    with ScriptedProvider([fields(answer="Paris")]) as provider:
        with pytest.raises(lmtest.Stopped, match="was not sent"):
            ask(provider.lm(), lmtest.Stop(after=0.0))
        assert provider.requests == []


@pytest.mark.parametrize("mode", ["mock", "replay", "auto"])
def test_a_stop_ends_what_is_answered_without_a_provider_at_its_next_call(tmp_path, mode):
    path, predict, stop = tmp_path / "qa.yaml", dspy.Predict("question -> answer"), lmtest.Stop()
    with ScriptedProvider([fields(answer="Paris"), fields(answer="Rome")]) as provider, dspy.context(lm=provider.lm()):
        with lmtest.use_cassette(path, mode="record"):
            [predict(question=each) for each in ("France?", "Italy?")]
        with pytest.raises(lmtest.Stopped), lmtest.use_cassette(path, mode=mode, stop=stop) as cassette:
            predict(question="France?")
            stop.now()
            predict(question="Italy?")
    assert len(cassette.calls) == 1


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_stop_whose_time_is_over_plays_nothing(tmp_path, asynchronous):
    path = tmp_path / "qa.yaml"
    with ScriptedProvider([fields(answer="Paris")]) as provider, dspy.context(lm=provider.lm()):
        predict = dspy.Predict("question -> answer")
        with lmtest.use_cassette(path, mode="record"):
            predict(question="why?")
        stopped = lmtest.use_cassette(path, mode="replay", stop=lmtest.Stop(after=0.0))
        with pytest.raises(lmtest.Stopped), stopped as cassette:
            asyncio.run(predict.acall(question="why?")) if asynchronous else predict(question="why?")
    assert cassette.played == ()


def test_a_stop_hangs_up_on_its_own_call_alone():
    with Held([timeout()]) as silent, ScriptedProvider([fields(answer="Paris")] * 3) as provider:
        mine, other = lmtest.Stop(), lmtest.Stop()
        lm = provider.lm()
        assert ask(lm, mine) == "Paris"
        with ThreadPoolExecutor(1) as pool:
            held = pool.submit(ask, silent.lm(), other)
            silent.wait_until_asked()
            mine.now()  # its connection is back in the pool: somebody else's by now
            assert ask(lm, lmtest.Stop()) == "Paris"
            assert not held.done()
            other.now()
            with pytest.raises(lmtest.Stopped):
                held.result(timeout=30)


def test_a_stop_does_not_change_what_is_recorded(tmp_path):
    path = tmp_path / "qa.yaml"
    with ScriptedProvider([fields(answer="Paris")]) as provider:
        lm = provider.lm()
        with lmtest.use_cassette(path, mode="record", stop=lmtest.Stop(after=60)), dspy.context(lm=lm):
            dspy.Predict("question -> answer")(question="why?")
    with lmtest.use_cassette(path, mode="replay") as cassette, dspy.context(lm=lm):
        assert dspy.Predict("question -> answer")(question="why?").answer == "Paris"
    assert len(cassette.played) == 1
