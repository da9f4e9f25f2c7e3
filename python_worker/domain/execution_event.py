"""What is told of an execution while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from python_worker.domain.execution import Execution


@dataclass(frozen=True, kw_only=True)
class Started:
    """It has begun."""

    execution_id: str


@dataclass(frozen=True, kw_only=True)
class Token:
    """A piece of an output field, as the model says it.

    Attributes:
        predictor: Whose, such as ``react``; a program may have several.
        last: Whether it is the field's last.
    """

    field: str
    text: str
    predictor: str
    last: bool = False


@dataclass(frozen=True, kw_only=True)
class StatusText:
    """What it is doing, such as ``Calling tool search...``."""

    text: str


ExecutionEvent: TypeAlias = "Started | Token | StatusText | Execution"
"""The execution itself, ended well, is the last."""
