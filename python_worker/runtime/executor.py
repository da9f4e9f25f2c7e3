"""The executor: one program, five stages, one trail."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from python_worker.domain.action import ActionContext, ActionOutcome
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.execution import Execution, ExecutionStatus
from python_worker.domain.execution_event import Started
from python_worker.domain.session import SessionLM
from python_worker.domain.stage import Stage
from python_worker.runtime.adapter import Outcome, Task
from python_worker.runtime.attempts import Attempts
from python_worker.runtime.ids import new_id
from python_worker.runtime.inputs import unchecked
from python_worker.runtime.metrics import measured
from python_worker.runtime.modules import accept_outputs, interface
from python_worker.runtime.trail import Trail

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from python_worker.domain.ask import Ask
    from python_worker.domain.execution_event import StatusText, Token
    from python_worker.domain.program import Program
    from python_worker.domain.repositories import Executions, Sessions
    from python_worker.domain.signature import Signature
    from python_worker.domain.value import Fields, Value
    from python_worker.runtime.actions import ActionRun, Actions
    from python_worker.runtime.adapters import Adapters
    from python_worker.runtime.attempts import Attempted
    from python_worker.runtime.modules import Modules
    from python_worker.runtime.repeats import Repeats
    from python_worker.runtime.running import Running
    from python_worker.runtime.shelf import Shelf
    from python_worker.runtime.toolbox import Toolbox, Tools

    Tell = Callable[[Started | Token | StatusText], None]


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What is settled before a run begins.

    Attributes:
        around: The actions around it.
        start: On ``time.perf_counter``'s clock.
        deadline: On ``time.monotonic``'s clock.
        stored: Whether it is on record while it runs.
        tell: Called with what happens while it happens; None where nobody listens.
    """

    execution_id: str
    ask: Ask
    program: Program
    lm: SessionLM
    attempts: Attempts
    around: ActionRun
    start: float
    deadline: float
    stored: bool
    tell: Tell | None


class Executor:
    """Runs programs and keeps what happened.

    Args:
        shelf: Where programs are.
        modules: Builds them.
        executions: Where executions are kept.
        sessions: Where sessions are.
        adapters: Where programs run.
        running: Those under way.
        repeats: Answers for a run that was asked for before.
        tools: Where they get tools from.
        actions: What may be run around them.
        serialize: Turns outputs into what goes to the client, and tells its size in bytes; raises what cannot go.
    """

    def __init__(
        self,
        *,
        shelf: Shelf,
        modules: Modules,
        executions: Executions,
        sessions: Sessions,
        adapters: Adapters,
        running: Running,
        repeats: Repeats,
        tools: Tools,
        actions: Actions,
        serialize: Callable[[Fields], int],
    ) -> None:
        self._shelf = shelf
        self._modules = modules
        self._executions = executions
        self._sessions = sessions
        self._adapters = adapters
        self._running = running
        self._repeats = repeats
        self._tools = tools
        self._actions = actions
        self._serialize = serialize

    def execute(self, ask: Ask, *, cancelled: Future[None], tell: Tell | None = None) -> Execution:
        """Run a program to its end.

        What is known before money is spent is stored before it is spent, and the rest when the run has ended. A run
        that can spend nothing is stored when it has ended, all at once: a worker that is killed leaves nothing of it.

        Args:
            ask: What is wanted.
            cancelled: Done when the client is gone.
            tell: Called with what happens while it happens; None where nobody listens.

        Raises:
            WorkerError: Why it did not succeed, with its ``execution_id`` and ``stage``. The execution is stored.
        """
        ask.check()
        plan = self._plan(ask, cancelled=cancelled, tell=tell)
        begun, trail = _begun(plan), Trail()
        with self._running.entered(begun, cancelled):
            task = self._prepare(plan, trail)
            before = self._executions.begin(replace(begun, stages=trail.records)) if plan.stored else None
            if tell:
                tell(Started(execution_id=before.id if before else begun.id))
            if before:
                return self._repeats.answer(ask, plan.program, before, deadline=plan.deadline, cancelled=cancelled)
            return self._run(plan, begun, task, trail)

    def _plan(self, ask: Ask, *, cancelled: Future[None], tell: Tell | None) -> _Plan:
        start, deadline = time.perf_counter(), time.monotonic() + ask.timeout
        lm = _asked(ask, self._sessions.get(ask.session).lm if ask.session else SessionLM())
        program = self._shelf.find(ask.program, session=ask.session, version=ask.version)
        able, fallbacks = self._adapters.choose(ask.adapters, tools=bool(program.config.tools))
        attempts = Attempts(able, fallbacks=fallbacks, retries=ask.retries, deadline=deadline, cancelled=cancelled)
        stored = bool(ask.idempotency_key) or any(adapter.spends(lm) for adapter in able)
        context = ActionContext(
            program=program.name,
            version=program.version,
            execution_id=new_id("exec"),
            session=ask.session,
            inputs=ask.inputs,
            budget_left=partial(able[0].budget_left, program, lm),
        )
        return _Plan(
            execution_id=context.execution_id,
            ask=ask,
            program=program,
            lm=lm,
            attempts=attempts,
            around=self._actions.open((*program.actions, *ask.actions), context),
            start=start,
            deadline=deadline,
            stored=stored,
            tell=tell,
        )

    def _run(self, plan: _Plan, begun: Execution, task: Task | WorkerError, trail: Trail) -> Execution:
        behind = len(trail.records)
        attempted: Attempted | None = None
        outputs: Fields = {}
        error: WorkerError | None = None
        if isinstance(task, Task):
            with closing(self._open_tools(plan)) as tools:
                attempted = plan.attempts.make(replace(task, tools=tools), trail)
            outputs, error = self._accept(task, attempted.last, trail, plan.around)
        else:
            error = task
        ended = _ended(plan, begun, attempted, outputs=outputs, error=error, trail=trail)
        if plan.stored:
            self._executions.finish(ended, trail.records[behind:])
        else:
            self._executions.keep(ended)
        if error:
            error.execution_id = begun.id
            raise error
        return ended

    def _open_tools(self, plan: _Plan) -> Toolbox:
        return self._tools.open(
            plan.program.config.tools,
            session=plan.ask.session,
            execution_id=plan.execution_id,
            deadline=plan.deadline,
        )

    def _prepare(self, plan: _Plan, trail: Trail) -> Task | WorkerError:
        program = plan.program
        try:
            with trail.stage(Stage.SIGNATURE_COMPILATION) as notes:
                signature = self._shelf.signature(program)
                if not program.config.tools:  # else it is built where they are
                    self._modules.build(program, signature)
                notes.detail = f"{signature.name!r} for {program.made_of}" if signature else program.made_of
            with trail.stage(Stage.INPUT_VALIDATION) as notes:
                face = interface(program, signature)
                accepted, notes.detail = _accepted(plan.ask, face)
                notes.detail += plan.around.before(accepted, _names(face))
        except WorkerError as error:
            return error
        return Task(
            program=program,
            signature=signature,
            inputs=accepted,
            lm=plan.lm,
            execution_id=plan.execution_id,
            tell=plan.tell,
            check=lambda outputs: self._serialize(accept_outputs(program, signature, outputs)),
            owner=plan.ask.owner,
            session=plan.ask.session,
        )

    def _accept(
        self, task: Task, outcome: Outcome, trail: Trail, around: ActionRun
    ) -> tuple[dict[str, Value], WorkerError | None]:
        if outcome.error and outcome.error.stage:
            return {}, outcome.error  # it ended in the stage before
        try:
            with trail.stage(Stage.OUTPUT_VALIDATION) as notes:
                if outcome.error:
                    raise outcome.error
                outputs = accept_outputs(task.program, task.signature, outcome.outputs)
                told = ActionOutcome(outputs=outputs, calls=outcome.calls, tools=outcome.tools)
                notes.detail = f"{len(outputs)} outputs hold" + around.after(told)
            with trail.stage(Stage.RESULT_SERIALIZATION) as notes:
                notes.detail = f"{self._serialize(outputs)} bytes"
        except WorkerError as error:
            return {}, error
        return outputs, None


def _asked(ask: Ask, lm: SessionLM) -> SessionLM:
    """The session's language model, in the mode of the test that asks unless the session has one of its own."""
    if ask.refresh:
        return replace(lm, mode="refresh")
    return replace(lm, mode=ask.owner.mode) if ask.owner and ask.owner.mode and not lm.mode else lm


def _names(face: Signature | None) -> frozenset[str]:
    return frozenset(field.name for field in (*face.inputs, *face.outputs)) if face else frozenset()


def _accepted(ask: Ask, signature: Signature | None) -> tuple[dict[str, Value], str]:
    if signature is None:
        return dict(ask.inputs), f"{len(ask.inputs)} inputs of unknown types"
    if ask.validate_inputs:
        accepted = signature.accept_inputs(ask.inputs)
        return accepted, f"{len(accepted)} inputs hold"
    taken, broken = unchecked(signature, ask.inputs)
    return taken, "types are not held to" + (f"; broken by {', '.join(broken)}" if broken else "")


def _begun(plan: _Plan) -> Execution:
    ask = plan.ask
    return Execution(
        id=plan.execution_id,
        program_id=plan.program.id,
        program_version=plan.program.version,
        session=ask.session,
        status=ExecutionStatus.RUNNING,
        inputs=ask.inputs,
        outputs={},
        error=None,
        raw_answer=None,
        adapter_used=plan.attempts.first,
        started_at=datetime.now(UTC),
        duration=None,
        stages=(),
        idempotency_key=ask.idempotency_key,
        asked_by=ask.asked_by,
    )


def _ended(
    plan: _Plan,
    begun: Execution,
    attempted: Attempted | None,
    *,
    outputs: Fields,
    error: WorkerError | None,
    trail: Trail,
) -> Execution:
    outcomes = attempted.outcomes if attempted else ()
    return replace(
        begun,
        status=_ending(error),
        outputs=outputs,
        error=error,
        raw_answer=attempted.last.raw_answer if attempted else None,
        adapter_used=attempted.adapter if attempted else begun.adapter_used,
        duration=time.perf_counter() - plan.start,
        stages=trail.records,
        attempts=max(1, len(outcomes)),
        fallbacks=attempted.fallbacks if attempted else (),
        metrics=measured(outcomes) if plan.ask.track_metrics else None,
        action_results=plan.around.results,
        refreshed=attempted.last.refreshed if attempted else None,
    )


def _ending(error: WorkerError | None) -> ExecutionStatus:
    if error is None:
        return ExecutionStatus.SUCCEEDED
    stops = {Reason.TIMEOUT: ExecutionStatus.TIMED_OUT, Reason.CANCELLED: ExecutionStatus.CANCELLED}
    return stops.get(error.reason, ExecutionStatus.FAILED)
