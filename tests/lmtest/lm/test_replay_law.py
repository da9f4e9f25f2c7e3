"""The law of recording and replay: to a program, a replay is what its recording was, without the provider or any wait.

Programs are data: calls, tools, streams, caught errors, retries, threads and tasks in any order, with a provider that
answers, refuses, mumbles and hangs up in any order.
"""

import asyncio
import contextlib
import itertools
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import dspy
import pytest
from dspy.utils.exceptions import AdapterParseError
from hypothesis import example, given, settings
from hypothesis import strategies as st

import lmtest
from lmtest import clock
from lmtest.cassette.cassette import Cassette
from lmtest.lm import retry
from lmtest.testing import ScriptedProvider, cut, fields, rate_limited, server_error

# ── programs ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Ask:
    how: str
    candidates: int = 1
    again: bool = False


@dataclass(frozen=True)
class Use:
    """A tool, which raises where its argument is no word."""

    word: str


@dataclass(frozen=True)
class Together:
    how: str
    steps: tuple


HOWS = ["sync", "async", "lm", "stream", "stream of a thread", "left", "cancelled", "agent"]
GIVEN_UP = ["left", "cancelled"]
ASKS = st.builds(Ask, st.sampled_from(HOWS), candidates=st.integers(1, 2), again=st.booleans())
TOOLS = st.builds(Use, st.sampled_from(["one", "half \ud83d", "", "1"]))
# Within these no two ask the same: which of two threads is the first to be answered is nobody's to say.
MEMBERS = st.lists(st.one_of(st.builds(Ask, st.sampled_from(["sync", "lm"])), TOOLS), min_size=1, max_size=3)
TASKS = st.lists(st.builds(Ask, st.just("async")), min_size=1, max_size=3)
TOGETHER = st.one_of(
    st.builds(Together, st.just("threads"), MEMBERS.map(tuple)), st.builds(Together, st.just("tasks"), TASKS.map(tuple))
)
PROGRAMS = st.lists(st.one_of(ASKS, ASKS, TOOLS, TOGETHER), min_size=1, max_size=4)

WORDS = st.text(st.sampled_from('ab é😀\ud83d\ude00{}"\n'), min_size=1, max_size=12)
ANSWERS = st.one_of(st.none(), WORDS.map(lambda text: fields(answer=text)), st.just("no field at all"))
WAITS = st.sampled_from([None, 0, 7])
FAULTS = st.one_of(
    st.builds(rate_limited, retry_after=WAITS),
    st.builds(server_error, st.sampled_from([500, 503]), retry_after=WAITS),
    st.builds(cut, st.none(), after=st.integers(0, 3)),
)
SCRIPTS = st.lists(st.one_of(ANSWERS, FAULTS, FAULTS), min_size=1, max_size=8)
RETRIES = st.integers(0, 1)
PAUSE = retry.pause
HISTORY = ("messages", "prompt", "outputs", "usage", "cost")
CAUGHT = (dspy.LMError, AdapterParseError, ValueError, asyncio.CancelledError)

# ── a run ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@lmtest.tool
def spell(word: str, number: int) -> list[str]:
    if not word.isalpha():
        raise ValueError(f"{word.encode('ascii', 'replace')} is no word")
    return [*word, str(number)]


@dataclass
class Run:
    """A program that runs once.

    Attributes:
        lm: Whom it asks.
        seen: What it saw, step by step.
    """

    lm: dspy.LM
    seen: list = field(default_factory=list)
    numbers: itertools.count = field(default_factory=itertools.count)

    def run(self, program):
        for step in program:
            self.seen.append(self.outcome(step, next(self.numbers)))

    def outcome(self, step, number):
        """What comes of a step: a value, or the error that the program caught."""
        try:
            return self.value(step, number)
        except CAUGHT as error:
            if isinstance(error, lmtest.LMTestError):
                raise
            return told(error)

    def value(self, step, number):
        match step:
            case Ask():
                return self.asked(step, f"question {0 if step.again else number}")
            case Use(word):
                return spell(word, number)
            case Together("threads", steps):
                pairs = [(Member(self, each), {"number": f"{number}.{place}"}) for place, each in enumerate(steps)]
                return [each.value for each in dspy.Parallel(num_threads=3, disable_progress_bar=True)(pairs)]
            case Together("tasks", steps):
                asks = [self.lm_named().acall(question=f"question {number}.{place}") for place, _ in enumerate(steps)]
                return asyncio.run(gathered(asks))

    def asked(self, step, question):
        program = dspy.Predict("question -> answer", n=step.candidates)
        match step.how:
            case "sync":
                return texts(program(question=question))
            case "async":
                return texts(asyncio.run(program.acall(question=question)))
            case "agent":
                return dict(dspy.ReAct("question -> answer", tools=[spell], max_iters=2)(question=question).items())
            case "lm":
                return self.lm(question, n=step.candidates)
            case "stream" | "stream of a thread" | "left":
                return asyncio.run(streamed(step.how, question))
            case "cancelled":
                return asyncio.run(cancelled(question))

    def lm_named(self):
        return dspy.Predict("question -> answer")


class Member(dspy.Module):
    """One step of several that threads run."""

    def __init__(self, run, step):
        super().__init__()
        self.run, self.step = run, step

    def forward(self, number):
        return dspy.Prediction(value=self.run.outcome(self.step, number))


async def gathered(asks):
    answered = await asyncio.gather(*asks, return_exceptions=True)
    return [told(each) if isinstance(each, BaseException) else texts(each) for each in answered]


async def streamed(how, question):
    """The pieces of a stream, and how it ended."""
    listener = dspy.streaming.StreamListener("answer")
    program = dspy.streamify(
        dspy.Predict("question -> answer"), stream_listeners=[listener], is_async_program=how != "stream of a thread"
    )
    pieces = []
    source = program(question=question)
    try:
        async for item in source:
            pieces.append(item.chunk if isinstance(item, dspy.streaming.StreamResponse) else texts(item))
            if how == "left":
                break
    except (*CAUGHT, ExceptionGroup) as error:
        if any(isinstance(each, lmtest.LMTestError) for each in causes(error)):
            raise
        pieces.append(told(error))
    await source.aclose()
    return pieces


async def cancelled(question):
    asking = asyncio.ensure_future(dspy.Predict("question -> answer").acall(question=question))
    await asyncio.sleep(0)
    asking.cancel()
    return texts(await asking)


def texts(prediction):
    return dict(prediction.completions.items())


def causes(error):
    yield error
    for each in getattr(error, "exceptions", ()):
        yield from causes(each)


def told(error):
    """All that an error says."""
    said = {"class": type(error).__name__, "text": str(error)}
    names = ("status", "code", "retry_after", "provider", "provider_code", "model", "request_id", "rate_limit_headers")
    return (
        said
        | {name: getattr(error, name, None) for name in names}
        | {"of": [told(each) for each in getattr(error, "exceptions", ())]}
    )


def seen_of(program, lm, path, mode, **options):
    """All that a run shows: to its program, in DSPy's history and usage, and in the cassette; and its doubts."""
    lm.history.clear()
    run = Run(lm)
    with dspy.context(lm=lm), dspy.track_usage() as usage:
        with lmtest.use_cassette(path, mode=mode, **options) as cassette:
            run.run(program)
    calls = ((each.key, each.tool or each.model, each.failed, each.usage, each.worth) for each in cassette.calls)
    # Threads are answered in any order.
    history = sorted(repr([entry[name] for name in HISTORY]) for entry in lm.history)
    seen = {"steps": run.seen, "history": history, "usage": usage.get_total_tokens(), "calls": sorted(map(repr, calls))}
    return seen, cassette.doubts


@contextlib.contextmanager
def project(script, retries):
    """A model that a script answers, a cassette's path, and no time: DSPy asks again without a pause of its own."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LMTEST_LEDGER", "off")
        patch.setattr(retry, "pause", lambda *_: 0.0)
        with ScriptedProvider([*script, None], repeat_last=True) as server:
            yield server.lm(num_retries=retries), Path(folder) / "law.yaml", server, patch


@contextlib.contextmanager
def waits(patch):
    """Keep the seconds that lmtest, or DSPy between two attempts, waits for."""
    waited: list[float] = []

    def paused(error, seconds, pause=PAUSE):
        waited.append(pause(error, seconds))
        return 0.0

    async def sleep_async(seconds, sleep=clock.sleep_async):
        waited.append(seconds)
        await sleep(seconds)

    patch.setattr(retry, "pause", paused)
    patch.setattr(clock, "sleep", waited.append)
    patch.setattr(clock, "sleep_async", sleep_async)
    patch.setattr(Cassette, "wait", lambda _, seconds: waited.append(seconds))
    yield waited


@given(program=PROGRAMS, script=SCRIPTS, retries=RETRIES)
@settings(max_examples=30)
@pytest.mark.parametrize("mode", ["replay", "auto"])
def test_a_replay_is_to_its_program_what_the_recording_was(mode, program, script, retries):
    with project(script, retries) as (lm, path, server, patch):
        recorded, _ = seen_of(program, lm, path, "record", record_failures=True)
        server.close()
        with waits(patch) as waited:
            replayed, _ = seen_of(program, lm, path, mode)
    assert replayed == recorded
    # What was given up is waited for until it is given up again.
    assert not any(waited) or any(isinstance(each, Ask) and each.how in GIVEN_UP for each in program)


@given(program=PROGRAMS, script=SCRIPTS, retries=RETRIES)
@example(program=[Ask("sync", again=True), Ask("async", again=True)], script=[server_error()], retries=0)
@settings(max_examples=30)
def test_so_it_is_without_failures_or_the_recording_says_why_not(program, script, retries):
    with project(script, retries) as (lm, path, server, _):
        recorded, doubts = seen_of(program, lm, path, "record")
        server.close()
        if not doubts:
            replayed, _ = seen_of(program, lm, path, "replay")
            # What DSPy tried again was sent, and is not played.
            assert {**replayed, "calls": None} == {**recorded, "calls": None}
