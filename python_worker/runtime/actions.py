"""Actions: what is run before and after an execution, and may refuse it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from python_worker.domain.action import ActionContext, ActionMoment, ActionOutcome, ActionRefused, ActionResult
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.nearest import did_you_mean
from python_worker.runtime.failures import told
from python_worker.runtime.imports import is_import_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_worker.domain.action import Action
    from python_worker.domain.value import Fields
    from python_worker.runtime.imports import Imports

_LOG = logging.getLogger(__name__)

Told = Mapping[str, Any] | None
"""What a hook has to tell: values by name, or nothing."""


class Hooks(Protocol):
    """An action's own code. It refuses by raising ``ActionRefused``."""

    def before(self, context: ActionContext) -> Told:
        """Called when the inputs hold, before any model is asked."""

    def after(self, context: ActionContext, outcome: ActionOutcome) -> Told:
        """Called when the outputs hold, before anybody gets them."""


@dataclass(frozen=True, kw_only=True)
class Actions:
    """The actions of a worker.

    Attributes:
        builtin: Makes the hooks of each that the worker brings, by name.
        imports: Those that are users'.
        serialize: Raises what cannot go to a client.
    """

    builtin: Mapping[str, Callable[[], Hooks]]
    imports: Imports
    serialize: Callable[[Fields], object]

    def check(self, actions: Sequence[Action]) -> None:
        """See that there are such actions, without running or importing any.

        Raises:
            WorkerError: ``invalid_argument`` or ``permission_denied``.
        """
        for index, action in enumerate(actions):
            self._check(action, f"actions[{index}].name")

    def open(self, actions: Sequence[Action], context: ActionContext) -> ActionRun:
        """The actions around one execution, in order.

        Args:
            actions: Those of the program, then those of the request.
            context: The execution; each action is told its own options.

        Raises:
            WorkerError: As ``check``; or ``configuration``: one does not import.
        """
        made = [(action, self._hooks(action, f"actions[{index}].name")) for index, action in enumerate(actions)]
        return ActionRun(made, context, serialize=self.serialize)

    def _check(self, action: Action, field: str) -> None:
        if action.name in self.builtin:
            return
        if is_import_path(action.name):
            self.imports.check(action.name, field=field)
            return
        raise WorkerError(
            f"there is no action {action.name[:120]!r}.{did_you_mean(action.name, self.builtin)} There are "
            f"{', '.join(self.builtin)}, and 'package.module:name' on the worker's allow-list.",
            reason=Reason.INVALID_ARGUMENT,
            field=field,
        )

    def _hooks(self, action: Action, field: str) -> Hooks:
        self._check(action, field)
        if action.name in self.builtin:
            return self.builtin[action.name]()
        found = self.imports.load(action.name, field=field)
        with _naming(action, "when it was made"):
            return _Imported(found() if isinstance(found, type) else found)


class ActionRun:
    """The actions around one execution. Made by ``Actions.open``.

    Attributes:
        results: What they said so far.
    """

    def __init__(
        self, actions: Sequence[tuple[Action, Hooks]], context: ActionContext, *, serialize: Callable[[Fields], object]
    ) -> None:
        self._actions = actions
        self._context = context
        self._serialize = serialize
        self.results: tuple[ActionResult, ...] = ()

    def before(self, inputs: Fields, fields: frozenset[str]) -> str:
        """Run those before; what they were, in a few words.

        Args:
            inputs: As the signature accepted them.
            fields: The names of all fields; empty where they are not known.

        Raises:
            WorkerError: ``action_refused``; ``invalid_argument``: options that an action does not take; or
                ``internal``: one failed.
        """
        self._context = replace(self._context, inputs=inputs, fields=fields)
        return self._all(ActionMoment.BEFORE, lambda hooks, context: hooks.before(context))

    def after(self, outcome: ActionOutcome) -> str:
        """Run those after, likewise; with the same errors."""
        return self._all(ActionMoment.AFTER, lambda hooks, context: hooks.after(context, outcome))

    def _all(self, moment: ActionMoment, call: Callable[[Hooks, ActionContext], Told]) -> str:
        for action, hooks in self._actions:
            self._one(action, moment, lambda context, hooks=hooks: call(hooks, context))  # type: ignore[misc]
        names = ", ".join(action.name for action, _ in self._actions)
        return f"; {moment.value}: {names}" if names else ""

    def _one(self, action: Action, moment: ActionMoment, call: Callable[[ActionContext], Told]) -> None:
        context = replace(self._context, options=action.options)
        start, refusal, values = time.perf_counter(), None, {}
        with _naming(action, f"{moment.value} the run"):
            try:
                values = dict(call(context) or {})
            except ActionRefused as refused:
                refusal, values = refused, dict(refused.values)
            self._serialize(values)
        result = ActionResult(
            action=action.name,
            moment=moment,
            refused=refusal is not None,
            reason=refusal.reason if refusal else "",
            values=values,
            duration=time.perf_counter() - start,
        )
        self.results = (*self.results, result)
        if refusal:
            raise WorkerError(
                f"action {action.name!r} refused the run: {refusal.reason}", reason=Reason.ACTION_REFUSED
            ) from refusal


class _Imported:
    """A user's action: an object with either hook, or a function of ``(context, outcome)`` for both moments."""

    def __init__(self, found: Any) -> None:
        self._before, self._after = getattr(found, "before", None), getattr(found, "after", None)
        if self._before is None and self._after is None:
            if not callable(found):
                raise TypeError(f"a {type(found).__name__} has neither before nor after, and is no function")
            self._before, self._after = (lambda context: found(context, None)), found

    def before(self, context: ActionContext) -> Told:
        told: Told = self._before(context) if self._before else None
        return told

    def after(self, context: ActionContext, outcome: ActionOutcome) -> Told:
        told: Told = self._after(context, outcome) if self._after else None
        return told


class _naming:  # noqa: N801 - reads as what it does
    """Turns whatever an action raises into an error that names it; a ``WorkerError`` of a worker's own passes."""

    def __init__(self, action: Action, when: str) -> None:
        self._action, self._when = action, when

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if not isinstance(error, Exception) or (
            isinstance(error, WorkerError) and not is_import_path(self._action.name)
        ):
            return
        _LOG.error("action %r failed %s", self._action.name, self._when, exc_info=error)
        raise WorkerError(
            f"action {self._action.name!r} failed {self._when}: {told(error)} (the worker's log has the traceback)",
            reason=Reason.INTERNAL,
        ) from error
