"""A program: a signature, a DSPy module and the settings of its model."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_worker.domain.errors import Reason, WorkerError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from python_worker.domain.action import Action
    from python_worker.domain.value import Fields

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class Module(enum.StrEnum):
    """The DSPy modules a program can be."""

    PREDICT = "Predict"
    CHAIN_OF_THOUGHT = "ChainOfThought"
    REACT = "ReAct"


@dataclass(frozen=True, kw_only=True)
class ProgramConfig:
    """Settings of the model; None is the worker's own, or the provider's default.

    Attributes:
        model: Such as ``gemini/gemini-2.5-flash``.
        temperature: As the provider counts it.
        max_tokens: The most tokens of an answer.
        format: How prompts are written: ``chat``, ``json``, ``xml`` or ``baml``.
        demos: Worked examples that the model is shown, each by field.
        module_options: Of the module, such as ``max_iters`` of ReAct.
        tools: Names of tools that clients serve, or import paths on the worker's allow-list.
    """

    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    format: str | None = None
    demos: tuple[Fields, ...] = ()
    module_options: Fields = field(default_factory=dict)
    tools: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Program:
    """One version of a program: what an execution runs.

    Attributes:
        signature_id: "" where it came from an import path.
        session: Whose it is; "" is everybody's.
        version: From 1; every update makes a new one.
        updated_at: When this version was made; None for the first.
        state: Of a saved DSPy program, as JSON; "" where there is none.
        import_path: ``package.module:name``, instead of signature and module; "" where there is none.
        actions: Run around every execution.
    """

    id: str
    name: str
    signature_id: str
    module: Module
    config: ProgramConfig
    created_at: datetime
    session: str = ""
    version: int = 1
    updated_at: datetime | None = None
    state: str = ""
    import_path: str = ""
    actions: tuple[Action, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


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
