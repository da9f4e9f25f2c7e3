"""Actions: what is run before and after an execution, and may refuse it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from python_worker.domain.stage import LMCall, ToolUse
    from python_worker.domain.value import Fields


class ActionMoment(enum.StrEnum):
    """When an action was run."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, kw_only=True)
class Action:
    """An action that is asked for.

    Attributes:
        name: ``complex_validation``, ``resource_management``, or an import path on the worker's allow-list.
        options: What it is told.
    """

    name: str
    options: Fields = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ActionResult:
    """What an action said.

    Attributes:
        refused: Whether it stopped the run.
        reason: Why, or "".
        values: What else it has to tell.
        duration: Seconds.
    """

    action: str
    moment: ActionMoment
    refused: bool = False
    reason: str = ""
    values: Fields = field(default_factory=dict)
    duration: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ActionContext:
    """What an action is told of the execution it is run around.

    Attributes:
        program: Its name.
        inputs: By field.
        options: The action's own.
        fields: The names of all fields, inputs and outputs; empty where the program has no signature.
        budget_left: Tells the USD that its model calls may still cost; None where no budget holds them.
    """

    program: str
    version: int
    execution_id: str
    session: str
    inputs: Fields
    options: Fields = field(default_factory=dict)
    fields: frozenset[str] = frozenset()
    budget_left: Callable[[], Decimal | None] = field(default=lambda: None, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class ActionOutcome:
    """What an action is told of a run that has answered.

    Attributes:
        outputs: By field, as the signature accepted them.
        calls: The language model calls that were made.
        tools: The calls of tools.
    """

    outputs: Fields
    calls: tuple[LMCall, ...] = ()
    tools: tuple[ToolUse, ...] = ()


class ActionRefused(Exception):
    """Raised by an action that stops the run.

    Attributes:
        reason: Why, for whoever asked.
        values: What else there is to tell.

    >>> raise ActionRefused("outside office hours", {"opens": 9})
    Traceback (most recent call last):
    python_worker.domain.action.ActionRefused: outside office hours
    """

    def __init__(self, reason: str, values: Fields | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.values: Fields = values or {}
