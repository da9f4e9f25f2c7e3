"""A call that its program gives up was sent: it is booked, held against the budget, and replays as it went."""

import asyncio
import contextlib
import contextvars
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial

import dspy
import pytest

import lmtest
from lmtest.money.ledger import Ledger
from lmtest.testing import ScriptedProvider, cut, fields, server_error, timeout

LONG = fields(answer=" ".join(f"word{number}" for number in range(60)))
WORST = Decimal("0.003")  # of 300 output tokens at one cent a thousand
qa = dspy.Predict("question -> answer")


@pytest.fixture(autouse=True)
def priced(monkeypatch, tmp_path):
    """A price of one cent per thousand output tokens, and nothing for input."""
    prices = tmp_path / "prices.toml"
    prices.write_text('["gemini/gemini-2.5-flash"]\ninput = 0\noutput = 10\n')
    monkeypatch.setenv("LMTEST_PRICES", str(prices))


async def waited_for(provider, question, calls):
    """Ask, and lose patience once the request has arrived."""
    async with asyncio.timeout(None) as patience:
        asking = asyncio.ensure_future(qa.acall(question=question))
        await asyncio.to_thread(provider.wait_for, calls)
        patience.reschedule(0)
        await asking


async def cancelled(provider, question, calls):
    asking = asyncio.ensure_future(qa.acall(question=question))
    await asyncio.to_thread(provider.wait_for, calls)
    asking.cancel()
    await asking


async def left_early(provider, question, calls):
    """Read a first piece of a stream, and no more."""
    listener = dspy.streaming.StreamListener("answer")
    # Not in a thread: one that DSPy runs a program in may outlive the event loop it waits for.
    pieces = dspy.streamify(qa, stream_listeners=[listener], is_async_program=True)(question=question)
    async for piece in pieces:
        assert piece.chunk
        break
    await pieces.aclose()


def ask(given_up, provider, question="Why?", calls=1):
    """Ask and give up; how it ended is of no interest."""
    with dspy.context(lm=provider.lm(max_tokens=300)), contextlib.suppress(TimeoutError, asyncio.CancelledError):
        asyncio.run(given_up(provider, question, calls))


def live_rows(project):
    return [row for row in Ledger(project / ".lmtest" / "ledger.sqlite3") if row.hit == "live"]


@pytest.mark.parametrize("given_up", [waited_for, cancelled])
def test_a_whole_call_that_was_given_up_is_held_at_its_worst_case(given_up, project):
    with ScriptedProvider([timeout()], repeat_last=True) as provider:
        with lmtest.use_cassette("qa.yaml", mode="live", limits={"usd_per_run": WORST * 2}) as cassette:
            for number in (1, 2):
                ask(given_up, provider, f"question {number}", calls=number)
            with pytest.raises(lmtest.BudgetExceeded), dspy.context(lm=provider.lm(max_tokens=300)):
                qa(question="question 3")
        assert len(provider.requests) == 2
    assert [(row.outcome, row.cost) for row in live_rows(project)] == [("abandoned", None)] * 2
    assert [call.failed for call in cassette.calls] == ["abandoned"] * 2


def test_a_stream_that_was_left_is_booked_at_what_was_received(project):
    with ScriptedProvider([LONG]) as provider, lmtest.use_cassette(mode="live"):
        ask(left_early, provider)
    [row] = live_rows(project)
    assert row.outcome == "abandoned"
    assert 0 < row.cost < WORST


def test_a_stream_that_was_left_replays_as_far_as_it_was_read(project):
    with ScriptedProvider([LONG]) as provider:
        with lmtest.use_cassette("qa.yaml", mode="record"):
            ask(left_early, provider)
        assert "\nleft:\n" in (project / "qa.yaml").read_text()
        with lmtest.use_cassette("qa.yaml", mode="replay") as cassette:
            ask(left_early, provider)
        assert len(provider.requests) == 1
    assert [call.failed for call in cassette.played] == ["abandoned"]
    assert not cassette.unplayed


def test_a_stream_that_was_left_has_no_more_to_give(project):
    with ScriptedProvider([LONG]) as provider:
        with lmtest.use_cassette("qa.yaml", mode="record"):
            ask(left_early, provider)
        with (
            pytest.raises(lmtest.CassetteMiss, match=r"was given up after \d+ events of its stream"),
            lmtest.use_cassette("qa.yaml", mode="replay"),
            dspy.context(lm=provider.lm(max_tokens=300)),
        ):
            qa(question="Why?")


@pytest.mark.parametrize("given_up", [waited_for, cancelled])
def test_a_whole_call_that_was_given_up_keeps_the_replay_waiting_until_it_is_given_up_again(given_up, project):
    with ScriptedProvider([timeout()]) as provider:
        with lmtest.use_cassette("qa.yaml", mode="record"):
            ask(given_up, provider)
        with lmtest.use_cassette("qa.yaml", mode="replay") as cassette, dspy.context(lm=provider.lm(max_tokens=300)):
            with pytest.raises(TimeoutError):
                asyncio.run(asyncio.wait_for(qa.acall(question="Why?"), 0.2))
    assert [call.failed for call in cassette.played] == ["abandoned"]


def test_a_call_that_was_given_up_and_now_is_not_says_so(project):
    with ScriptedProvider([timeout()]) as provider:
        with lmtest.use_cassette("qa.yaml", mode="record"):
            ask(cancelled, provider)
        with (
            pytest.raises(lmtest.CassetteMiss, match="was given up before its answer came"),
            lmtest.use_cassette("qa.yaml", mode="replay"),
            dspy.context(lm=provider.lm(max_tokens=300)),
        ):
            qa(question="Why?")


@pytest.mark.parametrize("fault", [cut(), timeout()], ids=["cut", "timed out"])
@pytest.mark.parametrize("awaited", [False, True])
def test_a_connection_that_ended_in_an_answer_is_held_at_its_worst_case(fault, awaited, project):
    with ScriptedProvider([fault], repeat_last=True) as provider:
        with (
            lmtest.use_cassette("qa.yaml", mode="live", limits={"usd_per_run": WORST * 2}),
            dspy.context(lm=provider.lm(max_tokens=300, timeout=0.3)),
        ):
            for number in (1, 2):
                with pytest.raises(dspy.LMError):
                    _call(f"question {number}", awaited=awaited)
            with pytest.raises(lmtest.BudgetExceeded):
                _call("question 3", awaited=awaited)
        assert len(provider.requests) == 2
    assert [row.cost for row in live_rows(project)] == [None, None]


def _call(question, *, awaited):
    return asyncio.run(qa.acall(question=question)) if awaited else qa(question=question)


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize("engine", ["lm15", "litellm"])
def test_a_provider_that_was_never_reached_charges_nothing(engine, awaited, project):
    lm = dspy.LM(
        "gemini/gemini-2.5-flash", api_base="http://127.0.0.1:9/v1beta", api_key="k", num_retries=0, engine=engine
    )
    with lmtest.use_cassette(mode="live"), dspy.context(lm=lm), pytest.raises(dspy.LMError):
        _call("Why?", awaited=awaited)
    assert [row.cost for row in live_rows(project)] == [0]


def test_an_error_that_the_provider_answered_charges_nothing(project):
    with ScriptedProvider([server_error()]) as provider, lmtest.use_cassette(mode="live"), pytest.raises(dspy.LMError):
        with dspy.context(lm=provider.lm()):
            qa(question="Why?")
    assert [row.cost for row in live_rows(project)] == [0]


def test_a_call_that_hangs_in_a_thread_is_written_down_when_its_cassette_closes(project):
    with ScriptedProvider([timeout()]) as provider, ThreadPoolExecutor(1) as pool:
        with lmtest.use_cassette("qa.yaml", mode="record"), dspy.context(lm=provider.lm(max_tokens=300)):
            asking = pool.submit(contextvars.copy_context().run, partial(qa, question="Why?"))
            provider.wait_for(1)
        assert [(row.outcome, row.cost) for row in live_rows(project)] == [("abandoned", None)]
        provider.close()
        assert isinstance(asking.exception(), dspy.LMError)
    assert len(live_rows(project)) == 1
    assert "\nleft: []\n" in (project / "qa.yaml").read_text()


def test_what_was_given_up_is_shown_as_a_conversation(project):
    from lmtest.cassette.conversation import turns
    from lmtest.cassette.index import Index

    with ScriptedProvider([LONG]) as provider, lmtest.use_cassette("qa.yaml", mode="record"):
        ask(left_early, provider)
    index = Index(project / "qa.yaml")
    [*_, (who, said)] = turns(index.read(index.entries[0]))
    assert who.startswith("assistant (given up after ")
    assert "word0" in said


def test_a_thread_that_nobody_waits_for_is_given_up_in_replay_too():
    def asking(pool):
        return pool.submit(contextvars.copy_context().run, partial(qa, question="Why?"))

    with ThreadPoolExecutor(1) as pool, ScriptedProvider([timeout()]) as provider, dspy.context(lm=provider.lm()):
        with lmtest.use_cassette("qa.yaml", mode="record"):
            asking(pool)
            provider.wait_for(1)
    with ThreadPoolExecutor(1) as pool, dspy.context(lm=provider.lm()):
        with lmtest.use_cassette("qa.yaml") as cassette:
            asked = asking(pool)
            with pytest.raises(TimeoutError):
                asked.result(timeout=0.1)
        with pytest.raises(lmtest.CassetteMiss):
            asked.result()
    assert not cassette.missed
