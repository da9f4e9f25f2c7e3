"""Actions: what is run before and after an execution, and may refuse it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
