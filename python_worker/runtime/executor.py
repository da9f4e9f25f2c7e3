"""The executor: one program, five stages, one trail."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from python_worker.domain.action import ActionContext, ActionOutcome
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.execution import Execution, ExecutionStatus, Stage
from python_worker.domain.session import SessionLM
from python_worker.runtime.adapter import Adapter, Outcome, Task
from python_worker.runtime.ids import new_id
from python_worker.runtime.modules import accept_outputs, interface
from python_worker.runtime.trail import Trail

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from python_worker.domain.action import Action
    from python_worker.domain.program import Program
    from python_worker.domain.repositories import Executions, Sessions
    from python_worker.domain.signature import Signature
    from python_worker.domain.value import Fields, Value
    from python_worker.runtime.actions import ActionRun, Actions
    from python_worker.runtime.modules import Modules
    from python_worker.runtime.shelf import Shelf
    from python_worker.runtime.toolbox import Tools


class Executor:
    """Runs programs and keeps what happened.

    Args:
        shelf: Where programs are.
        modules: Builds them.
        executions: Where executions are kept.
        sessions: Where sessions are.
        adapter: Where programs run.
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
        adapter: Adapter,
        serialize: Callable[[Fields], int],
        tools: Tools,
        actions: Actions,
    ) -> None:
        self._shelf = shelf
        self._modules = modules
        self._executions = executions
        self._sessions = sessions
        self._adapter = adapter
        self._serialize = serialize
        self._tools = tools
        self._actions = actions

    def execute(
        self,
        program: str,
        inputs: Fields,
        *,
        timeout: float,
        cancelled: Future[None],
        session: str = "",
        actions: tuple[Action, ...] = (),
        version: int = 0,
    ) -> Execution:
        """Run a program, by id or name, to its end.

        What is known before money is spent is stored before it is spent; the rest when the run has ended.

        Args:
            program: Id or name.
            inputs: By field.
            timeout: Seconds.
            cancelled: Done when the client is gone.
            session: Whose language model answers, and whose programs are meant; the worker's own where empty.
            actions: Run around it, after those of the program.
            version: Of the program; the newest where 0.

        Raises:
            WorkerError: Why it did not succeed, with its ``execution_id`` and ``stage``. The execution is stored.
        """
        start, deadline = time.perf_counter(), time.monotonic() + timeout
        lm = self._sessions.get(session).lm if session else SessionLM()
        found, trail = self._shelf.find(program, session=session, version=version), Trail()
        execution = self._begun(found, inputs)
        context = ActionContext(
            program=found.name, version=found.version, execution_id=execution.id, session=session, inputs=inputs
        )
        around = self._actions.open((*found.actions, *actions), context)
        task = self._prepare(found, inputs, lm, trail, around)
        self._executions.begin(replace(execution, stages=trail.records))
        behind = len(trail.records)
        if isinstance(task, Task):
            names = found.config.tools
            with closing(
                self._tools.open(names, session=session, execution_id=execution.id, deadline=deadline)
            ) as toolbox:
                task = replace(task, tools=toolbox)
                outcome = self._answer(task, trail, deadline=deadline, cancelled=cancelled)
            outputs, error = self._accept(task, outcome, trail, around)
        else:
            outcome, outputs, error = Outcome(), {}, task
        duration = time.perf_counter() - start
        ended = replace(execution, status=_ending(error), outputs=outputs, error=error, duration=duration)
        ended = replace(
            ended, raw_answer=outcome.raw_answer, stages=trail.records, action_results=around.results, session=session
        )
        self._executions.finish(ended, trail.records[behind:])
        if error:
            error.execution_id = execution.id
            raise error
        return ended

    def _begun(self, program: Program, inputs: Fields) -> Execution:
        return Execution(
            id=new_id("exec"),
            program_id=program.id,
            program_version=program.version,
            status=ExecutionStatus.RUNNING,
            inputs=inputs,
            outputs={},
            error=None,
            raw_answer=None,
            adapter_used=self._adapter.name,
            started_at=datetime.now(UTC),
            duration=None,
            stages=(),
        )

    def _prepare(
        self, program: Program, inputs: Fields, lm: SessionLM, trail: Trail, around: ActionRun
    ) -> Task | WorkerError:
        try:
            with trail.stage(Stage.SIGNATURE_COMPILATION) as notes:
                signature = self._shelf.signature(program)
                self._modules.build(program, signature)
                notes.detail = f"{signature.name!r} for {program.made_of}" if signature else program.made_of
            with trail.stage(Stage.INPUT_VALIDATION) as notes:
                face = interface(program, signature)
                accepted = face.accept_inputs(inputs) if face else inputs
                notes.detail = f"{len(accepted)} inputs {'hold' if face else 'of unknown types'}"
                notes.detail += around.before(accepted, _names(face))
        except WorkerError as error:
            return error
        return Task(program=program, signature=signature, inputs=accepted, lm=lm)

    def _answer(self, task: Task, trail: Trail, *, deadline: float, cancelled: Future[None]) -> Outcome:
        outcome = Outcome()
        try:
            with trail.stage(Stage.ADAPTER_EXECUTION) as notes:
                outcome = self._adapter.run(task, deadline=deadline, cancelled=cancelled)
                notes.calls, notes.tools = outcome.calls, outcome.tools
                notes.detail = (
                    f"{self._adapter.name}: {len(outcome.calls)} model call{'' if len(outcome.calls) == 1 else 's'}"
                )
                if outcome.error and outcome.error.reason is not Reason.UNPARSABLE_ANSWER:
                    raise outcome.error
        except WorkerError as error:
            return replace(outcome, error=error)
        return outcome

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


def _names(face: Signature | None) -> frozenset[str]:
    return frozenset(field.name for field in (*face.inputs, *face.outputs)) if face else frozenset()


def _ending(error: WorkerError | None) -> ExecutionStatus:
    if error is None:
        return ExecutionStatus.SUCCEEDED
    stops = {Reason.TIMEOUT: ExecutionStatus.TIMED_OUT, Reason.CANCELLED: ExecutionStatus.CANCELLED}
    return stops.get(error.reason, ExecutionStatus.FAILED)
