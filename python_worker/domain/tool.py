"""Tools that clients serve: what they are, and what is said about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.value import excerpt

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from python_worker.domain.value import Fields

DEFAULT_TIMEOUT = 30.0
LONGEST_TIMEOUT = 3_600.0
_LONGEST_NAME = 64
_TAKEN = frozenset({"finish"})
"""What ReAct calls a tool of its own, which would hide another one of that name."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool that a client serves.

    Attributes:
        name: A Python identifier.
        description: What the model is told of it.
        parameters: The JSON Schema of its arguments, an object.
        timeout: Seconds one call may take.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = DEFAULT_TIMEOUT

    def check(self) -> None:
        """See that its name and its timeout can be used.

        Raises:
            WorkerError: ``invalid_argument``, with the field.

        >>> Tool(name="search").check()
        """
        if not self.name.isidentifier() or len(self.name) > _LONGEST_NAME:
            raise _refused(
                f"{self.name[:80]!r} cannot name a tool: use a Python identifier of at most {_LONGEST_NAME} letters.",
                "name",
            )
        if self.name in _TAKEN:
            raise _refused(f"a tool cannot be called {self.name!r}: ReAct has one of that name. Rename it.", "name")
        if not 0 < self.timeout <= LONGEST_TIMEOUT:
            raise _refused(
                f"tool {self.name!r} has a timeout of {excerpt(self.timeout, length=30)} s: it must be more than 0 "
                f"and at most {LONGEST_TIMEOUT:g} s.",
                "timeout",
            )


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """What a client is asked.

    Attributes:
        id: Of this call.
        deadline: After it an answer is not heard.
    """

    id: str
    tool: str
    arguments: Fields
    execution_id: str
    deadline: datetime


@dataclass(frozen=True, kw_only=True)
class ToolsRegistered:
    """A client is told that its tools can be called."""

    tools: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ToolCallCancelled:
    """A client is told that nobody waits for an answer any more."""

    id: str


ToClient = ToolCall | ToolsRegistered | ToolCallCancelled


def _refused(message: str, name: str) -> WorkerError:
    return WorkerError(message, reason=Reason.INVALID_ARGUMENT, field=f"tools.{name}")
