"""``lmtest.Stop``: a call under way ends when it is told to, whatever the provider does and however it is made."""

import asyncio
import contextlib
import gc
import json
import socket
import sqlite3
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor

import dspy
import pytest

import lmtest
from lmtest.http import gemini
from lmtest.lm.answers import Answer
from lmtest.testing.provider import ScriptedProvider, fields, timeout

QA = dspy.Predict("question -> answer")
PARIS = fields(answer="Paris")


def called(program):
    return program(question="why?")


def awaited(program):
    return asyncio.run(program.acall(question="why?"))


def asyncified(program):
    return asyncio.run(dspy.asyncify(program)(question="why?"))


def streamed(program, **how):
    async def last():
        async for said in dspy.streamify(program, **how)(question="why?"):
            if isinstance(said, dspy.Prediction):
                return said
        raise AssertionError("no prediction came")

    return asyncio.run(last())


def streamed_awaited(program):
    return streamed(program, is_async_program=True)


WAYS = [called, awaited, asyncified, streamed, streamed_awaited]
BOTH = [called, awaited]


class Held(ScriptedProvider):
    """Never answers; tells when it was asked."""

    def __init__(self):
        super().__init__([timeout()], repeat_last=True)

    def wait_until_asked(self, times=1):
        wait_until(lambda: len(self.requests) >= times)


class Silent:
    """A provider that says the first words of a stream, or nothing, and tells when it was asked and hung up on."""

    def __init__(self, words=""):
        self.asked, self.hung_up_on = threading.Event(), threading.Event()
        self._beginning = beginning(words) if words else b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def lm(self, **kwargs):
        base = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1beta"
        return dspy.LM("gemini/gemini-2.5-flash", api_base=base, api_key="any", cache=False, num_retries=0, **kwargs)

    def _serve(self):
        with self._listener, contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(self._beginning)
                self.asked.set()
                with contextlib.suppress(ConnectionError):
                    while connection.recv(65_536):
                        pass
                self.hung_up_on.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()


def beginning(words):
    """Of a streamed answer, as Gemini sends it: one piece, and no end."""
    prompts = gemini.GenerateContentRequest.model_validate({"contents": [{"parts": [{"text": "why?"}]}]}).prompts()
    first = next(iter(gemini.stream_bodies("gemini-2.5-flash", prompts, [Answer(id="1", text=words)])))
    piece = b"data: %s\r\n\r\n" % json.dumps(first).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%s\r\n" % (len(piece), piece)


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"


def ask(lm, stop, way=called, seen=None, **options):
    with lmtest.use_cassette(mode="live", stop=stop, **options) as cassette:
        if seen is not None:
            seen.append(cassette)
        with dspy.context(lm=lm):
            return way(QA).answer


@pytest.fixture
def pool():
    with ThreadPoolExecutor(4) as threads:
        yield threads


# ---- a call under way


@pytest.mark.parametrize("way", WAYS)
def test_a_call_that_a_provider_never_answers_ends_at_once_and_is_not_tried_again(way, pool):
    seen, stop = [], lmtest.Stop()
    with Held() as provider:
        asking = pool.submit(ask, provider.lm(num_retries=3), stop, way, seen)
        provider.wait_until_asked()
        stop.now()
        with pytest.raises(lmtest.Stopped, match="hung up on; the provider may charge"):
            asking.result(timeout=30)
        assert len(provider.requests) == 1
    (call,) = seen[0].calls
    assert (call.failed, call.cost) == ("transport", None)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_ended_lets_go_of_its_connection(way, pool):
    stop = lmtest.Stop()
    with Silent() as provider:
        lm = provider.lm()  # kept, with the connections it pools
        asking = pool.submit(ask, lm, stop, way)
        assert provider.asked.wait(30)
        stop.now()
        with pytest.raises(lmtest.Stopped):
            asking.result(timeout=30)
        assert provider.hung_up_on.wait(30)


@pytest.mark.parametrize("way", [streamed, streamed_awaited])
def test_a_stream_that_falls_silent_after_its_first_words_is_ended(way, pool):
    stop = lmtest.Stop()
    with Silent("It is said that") as provider:
        asking = pool.submit(ask, provider.lm(), stop, way)
        assert provider.asked.wait(30)
        stop.now()
        with pytest.raises(lmtest.Stopped):
            asking.result(timeout=30)
        assert provider.hung_up_on.wait(30)


def test_a_stream_is_ended_by_whoever_hears_it():
    heard, stop = [], lmtest.Stop()

    async def hear():
        async for chunk in dspy.streamify(QA, is_async_program=True)(question="why?"):
            heard.append(chunk)
            stop.now()

    with ScriptedProvider([fields(answer="word " * 3_000)]) as provider, pytest.raises(lmtest.Stopped):
        within(provider.lm(), stop, hear())
    assert len(heard) < 50  # of a thousand: DSPy had read that far


def test_a_call_through_litellm_that_is_awaited_is_ended_too(pool):
    stop = lmtest.Stop()
    with Held() as provider:
        asking = pool.submit(ask, provider.lm(engine="litellm"), stop, awaited)
        provider.wait_until_asked()
        stop.now()
        with pytest.raises(lmtest.Stopped, match="hung up on"):
            asking.result(timeout=30)


def test_all_calls_of_all_loops_and_threads_end_together(pool):
    async def several():
        return await asyncio.gather(*(QA.acall(question="why?") for _ in range(5)), return_exceptions=True)

    def ask_several(lm, stop):
        with lmtest.use_cassette(mode="live", stop=stop), dspy.context(lm=lm):
            return asyncio.run(several())

    stop = lmtest.Stop()
    with Held() as provider:
        lms = [provider.lm() for _ in range(3)]
        threads = [pool.submit(ask_several, lm, stop) for lm in lms[:2]] + [pool.submit(ask, lms[2], stop)]
        provider.wait_until_asked(11)
        stop.now()
        with pytest.raises(lmtest.Stopped):
            threads[2].result(timeout=30)
        ended = [error for each in threads[:2] for error in each.result(timeout=30)]
        assert len(ended) == 10
        assert all(isinstance(error, lmtest.Stopped) for error in ended)


def test_a_call_that_is_awaited_ends_when_its_time_is_over(pool):
    stop = lmtest.Stop(after=1.0)
    with Held() as provider:
        with pytest.raises(lmtest.Stopped):
            pool.submit(ask, provider.lm(), stop, awaited).result(timeout=30)
    assert stop.called


@pytest.mark.parametrize("way", BOTH)
def test_a_stop_hangs_up_on_its_own_call_alone(way, pool):
    with Held() as silent, ScriptedProvider([PARIS] * 3) as provider:
        mine, other = lmtest.Stop(), lmtest.Stop()
        lm = provider.lm()
        assert ask(lm, mine, way) == "Paris"
        held = pool.submit(ask, silent.lm(), other, way)
        silent.wait_until_asked()
        mine.now()  # its connection is back in the pool: somebody else's by now
        assert ask(lm, lmtest.Stop(), way) == "Paris"
        assert not held.done()
        other.now()
        with pytest.raises(lmtest.Stopped):
            held.result(timeout=30)


# ---- a call that is not sent


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


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("after", [None, 0.0])
def test_a_stop_that_was_called_before_or_whose_time_is_over_sends_nothing(way, after):
    stop = lmtest.Stop(after=after)
    if after is None:
        stop.now()
    with ScriptedProvider([PARIS]) as provider:
        with pytest.raises(lmtest.Stopped, match="was not sent"):
            ask(provider.lm(), stop, way)
        assert provider.requests == []


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    path = tmp_path / "ledger.sqlite3"
    monkeypatch.setenv("LMTEST_LEDGER", str(path))
    return path


def waiting_for(ledger):
    """The limits that calls wait for."""
    with contextlib.closing(sqlite3.connect(ledger)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM waiting")]


@pytest.mark.parametrize("way", WAYS)
def test_a_call_that_waits_for_its_turn_at_a_rate_limit_ends_at_once(way, pool, ledger):
    stop, limits = lmtest.Stop(), lmtest.Limits(requests_per_minute=1)
    with ScriptedProvider([PARIS, PARIS]) as provider:
        lm = provider.lm()
        ask(lm, stop, way, limits=limits)
        waiting = pool.submit(ask, lm, stop, way, limits=limits)
        wait_until(lambda: waiting_for(ledger) == ["requests_per_minute"])
        stop.now()
        with pytest.raises(lmtest.Stopped, match="was not sent"):
            waiting.result(timeout=30)
        assert len(provider.requests) == 1
        assert waiting_for(ledger) == []


@pytest.mark.parametrize("way", BOTH)
def test_a_call_that_waits_for_others_to_end_ends_with_its_time(way, pool, ledger):
    limits, other = lmtest.Limits(max_concurrency=1), lmtest.Stop()
    with Held() as provider:
        lm = provider.lm()
        held = pool.submit(ask, lm, other, way, limits=limits)
        provider.wait_until_asked()
        with pytest.raises(lmtest.Stopped, match="was not sent"):
            pool.submit(ask, lm, lmtest.Stop(after=0.5), way, limits=limits).result(timeout=30)
        assert len(provider.requests) == 1
        other.now()
        with pytest.raises(lmtest.Stopped):
            held.result(timeout=30)


# ---- whose cancelling it was


def within(lm, stop, coroutine):
    with lmtest.use_cassette(mode="live", stop=stop), dspy.context(lm=lm):
        return asyncio.run(coroutine)


async def asked_of(provider):
    await asyncio.to_thread(provider.wait_until_asked)


def test_a_task_that_its_own_program_cancels_is_cancelled_and_not_stopped():
    async def cancel_it(provider):
        task = asyncio.create_task(QA.acall(question="why?"))
        await asked_of(provider)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await task

    with Held() as provider:
        within(provider.lm(), lmtest.Stop(), cancel_it(provider))


def test_a_task_that_is_cancelled_and_stopped_is_cancelled():
    async def do_both(provider, stop):
        task = asyncio.create_task(QA.acall(question="why?"))
        await asked_of(provider)
        stop.now()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with Held() as provider:
        stop = lmtest.Stop()
        within(provider.lm(), stop, do_both(provider, stop))


def test_a_program_that_gives_its_call_less_time_gets_its_own_timeout():
    async def hurry():
        async with asyncio.timeout(0.5):
            await QA.acall(question="why?")

    with Held() as provider, pytest.raises(TimeoutError):
        within(provider.lm(), lmtest.Stop(after=60), hurry())


def test_a_task_whose_call_was_stopped_goes_on_as_one_that_nobody_cancelled():
    async def go_on(provider, stop):
        threading.Thread(target=lambda: (provider.wait_until_asked(), stop.now())).start()
        try:
            await QA.acall(question="why?")
        except lmtest.Stopped:
            await asyncio.sleep(0)
            return asyncio.current_task().cancelling()

    with Held() as provider:
        stop = lmtest.Stop()
        assert within(provider.lm(), stop, go_on(provider, stop)) == 0


# ---- what it leaves


def test_a_stop_does_not_change_what_is_recorded(tmp_path):
    for way in WAYS:
        path = tmp_path / f"{way.__name__}.yaml"
        with ScriptedProvider([PARIS]) as provider:
            lm = provider.lm()
            with lmtest.use_cassette(path, mode="record", stop=lmtest.Stop(after=60)), dspy.context(lm=lm):
                way(QA)
        with lmtest.use_cassette(path, mode="replay") as cassette, dspy.context(lm=lm):
            assert way(QA).answer == "Paris"
        assert len(cassette.played) == 1


def test_a_stop_keeps_nothing_of_a_thousand_calls_that_ended():
    async def ask_often():
        for _ in range(250):
            await asyncio.gather(*(QA.acall(question="why?") for _ in range(4)))

    stop = lmtest.Stop(after=600)
    before = held_by(stop)
    with ScriptedProvider([PARIS], repeat_last=True) as provider:
        within(provider.lm(), stop, ask_often())
        assert len(provider.requests) == 1_000
    assert held_by(stop) == before


def held_by(thing):
    """How many objects it keeps alive, by whatever way."""
    known, waiting = {}, [thing]
    while waiting:
        each = waiting.pop()
        if id(each) not in known and not isinstance(each, type | types.ModuleType | types.FunctionType):
            known[id(each)] = each
            waiting += gc.get_referents(each)
    return len(known)
