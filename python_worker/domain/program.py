"""A program: a signature, a DSPy module and the settings of its model."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_worker.domain.errors import Reason, WorkerError

if TYPE_CHECKING:
    from datetime import datetime

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class Module(enum.StrEnum):
    """The DSPy modules a program can be."""

    PREDICT = "Predict"
    CHAIN_OF_THOUGHT = "ChainOfThought"


@dataclass(frozen=True, kw_only=True)
class ProgramConfig:
    """Settings of the model; None is the worker's own, or the provider's default.

    Attributes:
        model: Such as ``gemini/gemini-2.5-flash``.
        temperature: As the provider counts it.
        max_tokens: The most tokens of an answer.
    """

    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class Program:
    """What an execution runs."""

    id: str
    name: str
    signature_id: str
    module: Module
    config: ProgramConfig
    created_at: datetime


def check_program_name(name: str) -> str:
    """The name, if it can also name a folder of cassettes.

    Raises:
        WorkerError: ``invalid_argument``.

    >>> check_program_name("qa.v2")
    'qa.v2'
    """
    if _NAME.fullmatch(name):
        return name
    raise WorkerError(
        f"{name!r} cannot name a program: use up to 100 letters, digits, '_', '-' and '.', the first no '-' or '.' "
        "(the name is also a folder of cassettes).",
        reason=Reason.INVALID_ARGUMENT,
        field="name",
    )


def parse_module(name: str) -> Module:
    """The module of that name.

    Raises:
        WorkerError: ``invalid_argument``.

    >>> parse_module("Predict")
    <Module.PREDICT: 'Predict'>
    """
    try:
        return Module(name)
    except ValueError:
        known = ", ".join(Module)
        raise WorkerError(
            f"no module {name!r}: a program can be one of {known}.", reason=Reason.INVALID_ARGUMENT, field="module"
        ) from None
