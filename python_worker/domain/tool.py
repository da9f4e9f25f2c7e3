"""Tools that programs call: what they are, and what became of a call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_TIMEOUT = 30.0


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


@dataclass(frozen=True, kw_only=True)
class ToolUse:
    """One call of a tool.

    Attributes:
        hit: Who answered: ``cassette``, ``client``, ``python`` or ``mock``.
        key: Of the recording, 64 hexadecimal digits, or "".
        error: What went wrong, or "".
        latency: Seconds.
    """

    tool: str
    hit: str
    key: str = ""
    error: str = ""
    latency: float | None = None
