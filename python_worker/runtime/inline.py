"""The adapter that runs programs in threads of this process."""

from __future__ import annotations

import threading
import time
from asyncio import CancelledError
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import lmtest
from python_worker.domain.adapter import AdapterInfo
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.program import Format, Module
from python_worker.runtime.adapter import Outcome, Task
from python_worker.runtime.builtin_actions import Load
from python_worker.runtime.failures import explain
from python_worker.runtime.formats import adapter_of
from python_worker.runtime.inputs import for_dspy
from python_worker.runtime.modules import answers, interface
from python_worker.runtime.sandbox import Sandboxes
from python_worker.runtime.tools import ToolLost

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from python_worker.domain.program import Program
    from python_worker.domain.session import SessionLM
    from python_worker.runtime.last_words import LastWords
    from python_worker.runtime.lms import LMs, LMScope
    from python_worker.runtime.modules import Modules

# A client whose own deadline passes cancels the call, a moment before or after this process sees the same deadline.
_CLOCKS_APART = 0.1

_LAST_WORDS = 0.25
"""Seconds that a program gets to end, once it was hung up on, so that its trail has the calls it made."""


class InlineAdapter:
    """Runs each program in one of a fixed number of threads.

    A thread cannot be stopped from outside. At the deadline, or when it is cancelled, a program that has not begun
    never begins; one that has is hung up on: its model call fails at once, and so does every later one, its answer is
    thrown away, and nothing of it is recorded. What it does beside model calls it does to its end.

    A program that does nothing but ask, and is answered without a provider, runs in the thread that wants it: handing
    it over would cost a tenth of such a run, and it cannot hang, so that nobody has to wait beside it. It ends at its
    next model call.

    Args:
        lms: Where programs get their language model from.
        modules: Builds programs.
        threads: How many programs run at once; more wait their turn. Those that run where they are wanted have as many
            turns of their own.
    """

    info = AdapterInfo(name="inline", streaming=True, tools=True, cancellation=True)

    def __init__(self, lms: LMs, *, modules: Modules, threads: int) -> None:
        self._lms = lms
        self._threads = threads
        self._modules = modules
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="program")
        self._turns = threading.BoundedSemaphore(threads)
        self._here = 0
        self._closed = False
        self._running: set[Future[Outcome]] = set()
        self._lock = threading.Lock()

    def spends(self, lm: SessionLM) -> bool:
        """Whether a run may cost money."""
        return self._lms.spends(lm)

    def budget_left(self, program: Program, lm: SessionLM) -> Decimal | None:
        """USD that a program's model calls may still cost; None where no budget holds them."""
        return self._lms.budget_left(program.config, lm)

    def run(self, task: Task, *, deadline: float, cancelled: Future[None]) -> Outcome:
        """Run to the end, or until the deadline, or until it is cancelled."""
        run = _Run(task, self._lms, self._modules, deadline=deadline)
        if task.tell is None and _only_asks(task.program) and not self._lms.spends(task.lm):
            return self._run_here(run, deadline=deadline, cancelled=cancelled)
        future = self._submit(run)
        either: set[Future[Any]] = {future, cancelled}
        wait(either, timeout=max(0.0, deadline - time.monotonic()), return_when=FIRST_COMPLETED)
        if future.done() and not _hung_up_on(future.result(), run.stop):
            return future.result()
        in_time = time.monotonic() < deadline - _CLOCKS_APART
        run.end()
        begun = not future.cancel()
        if begun:
            wait({future}, timeout=_LAST_WORDS)
        stopped = _stopped(cancelled=cancelled.done() and in_time, begun=begun, spends=self._lms.spends(task.lm))
        return replace(run.so_far, error=stopped)

    @property
    def load(self) -> Load:
        """How busy it is: those in its own threads, and those where they are wanted, each with as many turns."""
        with self._lock:
            wanted = (len(self._running), self._here)
        busy = [min(each, self._threads) for each in wanted]
        return Load(busy=sum(busy), waiting=sum(wanted) - sum(busy))

    def close(self, *, timeout: float) -> bool:
        """Take no more programs, and wait for those that run."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            running = set(self._running)
        return not wait(running, timeout=timeout).not_done

    def _run_here(self, run: _Run, *, deadline: float, cancelled: Future[None]) -> Outcome:
        if self._closed:
            raise _closing()
        with self._counted():
            return self._run_in_turn(run, deadline=deadline, cancelled=cancelled)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._here += 1
        try:
            yield
        finally:
            with self._lock:
                self._here -= 1

    def _run_in_turn(self, run: _Run, *, deadline: float, cancelled: Future[None]) -> Outcome:
        if not self._turns.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return Outcome(error=_stopped(cancelled=cancelled.done(), begun=False))
        try:
            if _unwanted(deadline, cancelled):
                return Outcome(error=_stopped(cancelled=cancelled.done(), begun=False))
            stop = run.stop  # alone: the callback may outlive the run
            cancelled.add_done_callback(lambda _: stop.now())
            outcome = run.answer()
        finally:
            self._turns.release()
        if _unwanted(deadline, cancelled):
            return replace(outcome, outputs={}, error=_stopped(cancelled=cancelled.done(), begun=True))
        return outcome

    def _submit(self, run: _Run) -> Future[Outcome]:
        try:
            future = self._pool.submit(run.answer)
        except RuntimeError as error:  # the pool's word for "closed"
            raise _closing() from error
        with self._lock:
            self._running.add(future)
        future.add_done_callback(self._forget)
        return future

    def _forget(self, future: Future[Outcome]) -> None:
        with self._lock:
            self._running.discard(future)


class _Run:
    """One run of a task.

    Attributes:
        stop: Ends its model calls.
    """

    def __init__(self, task: Task, lms: LMs, modules: Modules, *, deadline: float) -> None:
        self.stop = lmtest.Stop(after=deadline - time.monotonic())
        self._task = task
        self._lms = lms
        self._modules = modules
        self._sandboxes = Sandboxes()
        self._submitted = time.perf_counter()
        self._scope: LMScope | None = None
        self._words: LastWords | None = None

    def end(self) -> None:
        """Hang up on its model calls, and end the code that it runs; from any thread."""
        self.stop.now()
        self._sandboxes.end()

    @property
    def so_far(self) -> Outcome:
        """What is known of it while it runs."""
        words, scope, tools = self._words, self._scope, self._task.tools
        return Outcome(
            raw_answer=words.text if words else None,
            calls=scope.calls if scope else (),
            tools=tools.told(scope.tools) if scope and tools else (),
            refreshed=scope.refreshed if scope else None,
        )

    def answer(self) -> Outcome:
        """Run it, in this thread."""
        from python_worker.runtime.last_words import LastWords

        waited, processor = time.perf_counter() - self._submitted, time.thread_time()
        task, self._words = self._task, LastWords()
        outputs: dict[str, Any] = {}
        failure: WorkerError | None = None
        try:
            opened = self._lms.scope(
                task.program.folder,
                task.inputs,
                task.lm,
                execution_id=task.execution_id,
                stop=self.stop,
                owner=task.owner,
                executed=_executed(task),
            )
            with opened as self._scope:
                outputs = self._predict(self._words)
                _check_wanted(self.stop)
                self._check(outputs)
        except _Refused:
            pass  # told where the outputs are accepted, with the stage
        except ToolLost as lost:
            failure = lost.error
        except (Exception, CancelledError) as error:  # noqa: BLE001 - whatever a program raises is an outcome, told apart by explain
            failure = explain(error)
        processor = time.thread_time() - processor
        return replace(self.so_far, outputs=outputs, error=failure, waited=waited, processor=processor)

    def _check(self, outputs: dict[str, Any]) -> None:
        """Have nothing recorded of an execution that will fail for its outputs, where anything might be."""
        if self._task.check is None or not self._lms.spends(self._task.lm):
            return
        try:
            self._task.check(outputs)
        except WorkerError as error:
            raise _Refused from error

    def _predict(self, words: LastWords) -> dict[str, Any]:
        import dspy

        from python_worker.runtime.last_words import listen

        task = self._task
        tools = task.tools.dspy_tools() if task.tools else ()
        module = self._modules.build(task.program, task.signature, tools)
        lm = self._lms.lm(task.program.config, task.lm)
        face = interface(task.program, task.signature)
        inputs = for_dspy(face, task.inputs) if face else dict(task.inputs)
        adapter = adapter_of(task.program.config.format, lm)
        listen(words)
        # History would grow with every execution: the trail is the worker's history.
        with dspy.context(lm=lm, adapter=adapter, disable_history=True, interpreter_factory=self._sandboxes.open):
            if task.tell is None:
                return answers(module(**inputs))
            from python_worker.runtime.streaming import run_streaming

            return answers(run_streaming(module, inputs, tell=task.tell))


class _Refused(Exception):
    """Ends a scope as failed, so that no cassette is written."""


def _executed(task: Task) -> dict[str, Any]:
    """What a cassette's header tells of a task."""
    program = task.program
    session = {"session": task.session} if task.session else {}
    return {
        "program": program.name,
        "version": program.version,
        "signature": str(task.signature) if task.signature else program.made_of,
        "adapter": f"{InlineAdapter.info.name}, {program.config.format or Format.CHAT}",
        **session,
        "execution": task.execution_id,
    }


def _only_asks(program: Program) -> bool:
    return program.module in {Module.PREDICT, Module.CHAIN_OF_THOUGHT} and not program.import_path


def _closing() -> WorkerError:
    message = "the worker is shutting down and takes no more programs."
    return WorkerError(message, reason=Reason.UNAVAILABLE, retryable=True)


def _hung_up_on(outcome: Outcome, stop: lmtest.Stop) -> bool:
    # A call that is awaited sees its time pass as soon as who waits for it here: they tell the same.
    return outcome.error is not None and outcome.error.reason is Reason.CANCELLED and stop.over


def _unwanted(deadline: float, cancelled: Future[None]) -> bool:
    return cancelled.done() or time.monotonic() >= deadline


def _check_wanted(stop: lmtest.Stop) -> None:
    # Raised inside the scope, so that it closes as failed: no cassette is written of an answer nobody got.
    if stop.called:
        raise WorkerError("nobody waited for the answer any more.", reason=Reason.CANCELLED)


def _stopped(*, cancelled: bool, begun: bool, spends: bool = False) -> WorkerError:
    where = "after it began" if begun else "in the queue"
    if begun and spends:
        where += "; its model call was hung up on and may still cost money"
    if cancelled:
        return WorkerError(f"the execution was cancelled {where}.", reason=Reason.CANCELLED)
    return WorkerError(
        f"the execution reached its deadline {where}. Give it a longer timeout, or the worker more threads.",
        reason=Reason.TIMEOUT,
        retryable=True,
    )
