"""The stages of an execution, and what was called in them."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from python_worker.domain.recording import Recording


class Stage(enum.StrEnum):
    """The stages of a run, in order."""

    SIGNATURE_COMPILATION = "signature_compilation"
    INPUT_VALIDATION = "input_validation"
    ADAPTER_EXECUTION = "adapter_execution"
    OUTPUT_VALIDATION = "output_validation"
    RESULT_SERIALIZATION = "result_serialization"


class StageStatus(enum.StrEnum):
    """How a stage ended."""

    OK = "ok"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class LMCall:
    """One call of a language model.

    Attributes:
        key: The request's fingerprint, 64 hexadecimal digits.
        hit: Who answered: ``cassette``, ``live`` or ``mock``.
        input_tokens: None where the provider did not say; likewise ``output_tokens``.
        cost: USD, or None where the price is unknown.
        cassette: The file that was played or written, or None.
        latency: Seconds.
        recording: What answered it, where it was played.
    """

    key: str
    hit: str
    model: str
    input_tokens: int | None
    output_tokens: int | None
    cost: Decimal | None
    cassette: str | None
    latency: float | None
    recording: Recording | None = None


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


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """What happened at one stage.

    Attributes:
        duration: Seconds.
        detail: One sentence.
        calls: The language model calls, under ``adapter_execution``.
        tools: The calls of tools, likewise.
    """

    stage: Stage
    status: StageStatus
    started_at: datetime
    duration: float
    detail: str
    calls: tuple[LMCall, ...] = ()
    tools: tuple[ToolUse, ...] = ()
