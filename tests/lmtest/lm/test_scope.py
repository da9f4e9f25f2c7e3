"""Whose call it is: never another cassette's."""

import asyncio
import threading

import dspy

import lmtest

from .recordings import QUESTION, acall, qa, record


def test_two_cassettes_in_two_threads_never_mix(lm):
    def run(name):
        with dspy.context(lm=lm), lmtest.use_cassette(f"{name}.yaml", mode="record") as cassette:
            started.wait()
            for turn in range(5):
                qa(question=f"{name} {turn}")
        kept[name] = list(cassette.recorded)

    kept, started = {}, threading.Barrier(2)
    threads = [threading.Thread(target=run, args=(name,)) for name in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in ("left", "right"):
        assert len(kept[name]) == 5
        assert all(f"{name} " in str(each.request) for each in kept[name])


def test_two_cassettes_in_two_tasks_never_mix(lm):
    async def run(name):
        async with lmtest.use_cassette(f"{name}.yaml", mode="record") as cassette:
            await asyncio.gather(*(acall(f"{name} {turn}") for turn in range(3)))
        return [str(each.request) for each in cassette.recorded]

    async def both():
        return await asyncio.gather(run("left"), run("right"))

    with dspy.context(lm=lm):
        left, right = asyncio.run(both())
    assert len(left) == len(right) == 3
    assert all("left" in text for text in left)
    assert all("right" in text for text in right)


def test_an_inner_cassette_takes_its_calls_and_gives_them_back(lm):
    with dspy.context(lm=lm), lmtest.use_cassette("outer.yaml", mode="record") as outer:
        qa(question="one")
        with lmtest.use_cassette("inner.yaml", mode="record") as inner:
            qa(question="two")
        qa(question="three")
    assert (len(outer.recorded), len(inner.recorded)) == (2, 1)


def test_parallel_threads_of_dspy_belong_to_the_cassette(lm, unreachable_lm):
    examples = [dspy.Example(question=f"q{n}").with_inputs("question") for n in range(6)]
    with dspy.context(lm=lm), lmtest.use_cassette("p.yaml", mode="record"):
        recorded = qa.batch(examples, num_threads=3, disable_progress_bar=True)
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("other.yaml", mode="mock"):
        with lmtest.use_cassette("p.yaml", mode="replay") as cassette:
            replayed = qa.batch(examples, num_threads=3, disable_progress_bar=True)
    assert [each.answer for each in replayed] == [each.answer for each in recorded]
    assert len(cassette.played) == 6


def _in_a_plain_thread(lm, question):
    outcome = []

    def call():
        with dspy.context(lm=lm):
            try:
                outcome.append(qa(question=question).answer)
            except Exception as error:  # the test looks at it
                outcome.append(error)

    thread = threading.Thread(target=call, name="nobody's")
    thread.start()
    thread.join()
    return outcome[0]


def test_a_plain_thread_goes_to_the_only_open_cassette(lm, unreachable_lm):
    [answer], _ = record(lm, QUESTION)
    with lmtest.use_cassette("qa.yaml") as cassette:
        assert _in_a_plain_thread(unreachable_lm, QUESTION) == answer
    assert len(cassette.played) == 1


def test_a_plain_thread_is_refused_by_name_when_two_cassettes_are_open(lm, provider):
    with lmtest.use_cassette("one.yaml", mode="record"), lmtest.use_cassette("two.yaml", mode="record"):
        error = _in_a_plain_thread(lm, QUESTION)
    assert isinstance(error, lmtest.LMTestError)
    assert all(name in str(error) for name in ("nobody's", "one.yaml", "two.yaml"))
    assert provider.requests == []


def test_a_call_after_the_cassette_was_closed_is_refused(lm, provider):
    async def late():
        with lmtest.use_cassette("qa.yaml", mode="record"):
            closed = asyncio.Event()

            async def call():
                await closed.wait()
                return await acall(QUESTION)

            task = asyncio.create_task(call())
        closed.set()
        return await asyncio.gather(task, return_exceptions=True)

    with dspy.context(lm=lm):
        [error] = asyncio.run(late())
    assert isinstance(error, lmtest.LMTestError)
    assert "was closed" in str(error)
    assert provider.requests == []
