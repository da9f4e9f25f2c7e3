"""Programs that await their predictors: heard like others, and their thread given back when their time is over."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from lmtest.testing.provider import ScriptedProvider, fields, timeout
from python_worker.client import Reason, Token
from python_worker.domain.execution import ExecutionStatus

from ...streamed import whole  # noqa: TID252 - tests are no installed package
from ..calling import LONG_ENOUGH, refused, wait_until  # noqa: TID252 - tests are no installed package
from ..test_command_line import Served  # noqa: TID252 - as above

SOURCE = """
import asyncio

import dspy


class Awaiting(dspy.Module):
    def __init__(self):
        super().__init__()
        self.answer = dspy.Predict("question -> answer")

    def forward(self, question):
        return asyncio.run(self.answer.acall(question=question))


class Asyncified(Awaiting):
    def forward(self, question):
        return asyncio.run(dspy.asyncify(self.answer)(question=question))


class Streamified(Awaiting):
    def forward(self, question):
        return asyncio.run(self.hear(question))

    async def hear(self, question):
        async for said in dspy.streamify(self.answer, is_async_program=True)(question=question):
            if isinstance(said, dspy.Prediction):
                return said


class Inner(dspy.Module):
    def __init__(self):
        super().__init__()
        self.answer = dspy.Predict("question -> answer")

    async def aforward(self, question):
        return await self.answer.acall(question=question)


def syncified():
    return dspy.syncify(Inner(), in_place=False)


def cancelling():
    class Cancelling(Awaiting):
        def forward(self, question):
            asyncio.run(self.give_up())

        async def give_up(self):
            asyncio.current_task().cancel()
            await asyncio.sleep(60)

    return Cancelling()


def together():
    class Together(Awaiting):
        def forward(self, question):
            return asyncio.run(self.several(question))[0]

        async def several(self, question):
            return await asyncio.gather(*(self.answer.acall(question=question) for _ in range(3)))

    return Together()
"""
PROGRAMS = ["Awaiting", "Asyncified", "Streamified", "syncified", "together"]
ASKED = {"question": "sky"}
LONG = "blue " * 300


@pytest.fixture
def start(tmp_path):
    """Start a worker of one thread, in a process of its own, with a program and a provider that follows a script."""
    (tmp_path / "awaiting.py").write_text(SOURCE)
    started = []

    def start(program, *script):
        provider = ScriptedProvider(script, repeat_last=True)
        arguments = ["--lm-mode", "live", "--api-base", f"{provider.url}/v1beta", "--data-dir", str(tmp_path)]
        worker = Served(
            tmp_path,
            *arguments,
            *("--threads", "1", "--allow-import", "awaiting:*"),
            GEMINI_API_KEY="any-key",
            LMTEST_LEDGER="off",
            PYTHONPATH=str(tmp_path),
        )
        started.extend([provider.close, worker.kill])
        worker.provider = provider
        worker.client.create_program("qa", import_path=f"awaiting:{program}")
        return worker

    yield start
    for end in reversed(started):
        end()


@pytest.mark.parametrize("program", PROGRAMS)
def test_one_whose_time_is_over_gives_its_thread_back(start, program):
    calls = 3 if program == "together" else 1
    worker = start(program, *[timeout()] * 2 * calls, fields(answer="blue"))
    error = refused(worker.client.execute, "qa", ASKED, timeout=LONG_ENOUGH)
    assert (error.reason, "hung up on" in str(error)) == (Reason.TIMEOUT, True)
    error = refused(lambda: list(worker.client.stream("qa", ASKED, timeout=LONG_ENOUGH)))
    assert (error.reason, "hung up on" in str(error)) == (Reason.TIMEOUT, True)
    kept = worker.client.get_execution(error.execution_id)
    assert [(call.hit, call.cost) for call in kept.stages[2].calls] == [("live", None)] * calls
    # The only thread is free: a hanging call would leave this one in the queue.
    assert worker.client.execute("qa", ASKED).outputs == {"answer": "blue"}
    assert worker.stop() == (0, "")
    assert "still hangs" not in worker.errors


def test_one_that_is_cancelled_gives_its_thread_back(start):
    worker = start("Awaiting", timeout(), fields(answer="blue"))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(refused, worker.client.execute, "qa", ASKED)
        wait_until(lambda: worker.provider.requests)
        (listed,) = worker.client.list_executions()
        assert worker.client.cancel(listed.id).status is ExecutionStatus.CANCELLED
        assert running.result().reason is Reason.CANCELLED
    assert worker.client.execute("qa", ASKED).outputs == {"answer": "blue"}


@pytest.mark.parametrize("program", ["Awaiting", "Asyncified", "syncified"])
def test_one_is_heard_to_the_end_of_a_long_answer(start, program):
    worker = start(program, fields(answer=LONG))
    *events, result = worker.client.stream("qa", ASKED, timeout=30)
    assert whole(event.text for event in events if isinstance(event, Token)) == result.outputs["answer"]
    assert result.outputs["answer"] == LONG.strip()


def test_one_that_cancels_its_own_task_has_failed_and_was_not_stopped(start):
    worker = start("cancelling", timeout())
    error = refused(worker.client.execute, "qa", ASKED)
    assert (error.reason, error.message.partition(":")[0]) == (Reason.INTERNAL, "CancelledError")
    assert worker.client.get_execution(error.execution_id).status is ExecutionStatus.FAILED


def test_one_that_can_only_be_awaited_is_refused_with_what_would_work(start):
    error = refused(start, "Inner")
    assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, "import_path")
    assert "dspy.syncify(it, in_place=False)" in str(error)
