"""The adapter that runs programs in threads of this process."""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from python_worker.domain.errors import Reason, WorkerError
from python_worker.runtime.adapter import Outcome, Task
from python_worker.runtime.builtin_actions import Load
from python_worker.runtime.failures import explain
from python_worker.runtime.formats import adapter_of
from python_worker.runtime.modules import answers, inputs_of
from python_worker.runtime.tools import ToolLost

if TYPE_CHECKING:
    from python_worker.runtime.last_words import LastWords
    from python_worker.runtime.lms import LMs, LMScope
    from python_worker.runtime.modules import Modules

# A client whose own deadline passes cancels the call, a moment before or after this process sees the same deadline.
_CLOCKS_APART = 0.1


class InlineAdapter:
    """Runs each program in one of a fixed number of threads.

    A thread cannot be stopped from outside. At the deadline, or when it is cancelled, a program that has not begun
    never begins; one that has keeps its thread until its model call returns, its answer is thrown away, and nothing of
    it is recorded.

    Args:
        lms: Where programs get their language model from.
        modules: Builds programs.
        threads: How many programs run at once; more wait their turn.
    """

    name = "inline"

    def __init__(self, lms: LMs, *, modules: Modules, threads: int) -> None:
        self._lms = lms
        self._threads = threads
        self._modules = modules
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="program")
        self._running: set[Future[Outcome]] = set()
        self._lock = threading.Lock()

    def run(self, task: Task, *, deadline: float, cancelled: Future[None]) -> Outcome:
        """Run to the end, or until the deadline, or until it is cancelled."""
        abandoned = threading.Event()
        future = self._submit(task, abandoned)
        either: set[Future[Any]] = {future, cancelled}
        wait(either, timeout=max(0.0, deadline - time.monotonic()), return_when=FIRST_COMPLETED)
        if future.done():
            return future.result()
        abandoned.set()
        begun = not future.cancel()
        in_time = time.monotonic() < deadline - _CLOCKS_APART
        return Outcome(error=_stopped(cancelled=cancelled.done() and in_time, begun=begun))

    @property
    def load(self) -> Load:
        """How busy it is."""
        with self._lock:
            running = len(self._running)
        return Load(busy=min(running, self._threads), waiting=max(0, running - self._threads))

    def close(self, *, timeout: float) -> bool:
        """Take no more programs, and wait for those that run."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            running = set(self._running)
        return not wait(running, timeout=timeout).not_done

    def _submit(self, task: Task, abandoned: threading.Event) -> Future[Outcome]:
        try:
            future = self._pool.submit(self._answer, task, abandoned)
        except RuntimeError as error:  # the pool's word for "closed"
            message = "the worker is shutting down and takes no more programs."
            raise WorkerError(message, reason=Reason.UNAVAILABLE, retryable=True) from error
        with self._lock:
            self._running.add(future)
        future.add_done_callback(self._forget)
        return future

    def _forget(self, future: Future[Outcome]) -> None:
        with self._lock:
            self._running.discard(future)

    def _answer(self, task: Task, abandoned: threading.Event) -> Outcome:
        from python_worker.runtime.last_words import LastWords

        words = LastWords()
        scope: LMScope | None = None
        outputs: dict[str, Any] = {}
        failure: WorkerError | None = None
        try:
            with self._lms.scope(task.program.name, task.inputs, task.lm) as scope:
                outputs = self._predict(task, words)
                _check_wanted(abandoned)
        except ToolLost as lost:
            failure = lost.error
        except Exception as error:  # noqa: BLE001 - whatever a program raises is an outcome, told apart by explain
            failure = explain(error)
        calls = scope.calls if scope else ()
        tools = task.tools.told(scope.tools) if scope and task.tools else ()
        return Outcome(outputs=outputs, raw_answer=words.text, calls=calls, tools=tools, error=failure)

    def _predict(self, task: Task, words: LastWords) -> dict[str, Any]:
        import dspy

        tools = task.tools.dspy_tools() if task.tools else ()
        module = self._modules.build(task.program, task.signature, tools)
        lm = self._lms.lm(task.program.config, task.lm)
        adapter = adapter_of(task.program.config.format, lm)
        # History would grow with every execution: the trail is the worker's history.
        with dspy.context(lm=lm, adapter=adapter, callbacks=[words], disable_history=True):
            return answers(module(**inputs_of(task.program, task.signature, task.inputs)))


def _check_wanted(abandoned: threading.Event) -> None:
    # Raised inside the scope, so that it closes as failed: no cassette is written of an answer nobody got.
    if abandoned.is_set():
        raise WorkerError("nobody waited for the answer any more.", reason=Reason.CANCELLED)


def _stopped(*, cancelled: bool, begun: bool) -> WorkerError:
    where = (
        "after it began; its model call may still cost money, its answer is thrown away" if begun else "in the queue"
    )
    if cancelled:
        return WorkerError(f"the client cancelled the execution {where}.", reason=Reason.CANCELLED)
    return WorkerError(
        f"the execution reached its deadline {where}. Give it a longer timeout, or the worker more threads.",
        reason=Reason.TIMEOUT,
        retryable=True,
    )
