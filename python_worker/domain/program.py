"""A program: a signature, a DSPy module and the settings of its model, in versions."""

from __future__ import annotations

import difflib
import enum
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

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
    PROGRAM_OF_THOUGHT = "ProgramOfThought"
    BEST_OF_N = "BestOfN"
    REFINE = "Refine"
    MULTI_CHAIN_COMPARISON = "MultiChainComparison"
    PARALLEL = "Parallel"


class Format(enum.StrEnum):
    """How prompts are written and answers read: DSPy's adapters."""

    CHAT = "chat"
    JSON = "json"
    XML = "xml"
    BAML = "baml"
    TWO_STEP = "two_step"


@dataclass(frozen=True, kw_only=True)
class ProgramConfig:
    """Settings of the model; None is the worker's own, or the provider's default.

    Attributes:
        model: Such as ``gemini/gemini-2.5-flash``.
        temperature: As the provider counts it.
        max_tokens: The most tokens of an answer.
        format: How prompts are written; None is ``chat``.
        demos: Worked examples that the model is shown, each by field, in JSON form.
        module_options: Of the module, such as ``max_iters`` of ReAct.
        tools: Names of tools that clients serve, or import paths on the worker's allow-list.
    """

    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    format: Format | None = None
    demos: tuple[Fields, ...] = ()
    module_options: Fields = field(default_factory=dict)
    tools: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What can be done with a program.

    Attributes:
        streaming: Tokens can be told as they come.
        tools: It calls tools.
        asynchronous: It can be awaited, without a thread of its own.
    """

    streaming: bool = False
    tools: bool = False
    asynchronous: bool = False


@dataclass(frozen=True, kw_only=True)
class Program:
    """One version of a program: what an execution runs. Immutable by ``id`` and ``version``.

    Attributes:
        signature_id: "" where it came from an import path that has none.
        module: None where it came from an import path.
        session: Whose it is; "" is everybody's.
        version: From 1; every update makes a new one.
        updated_at: When this version was made; None for the first.
        has_state: Whether it came from a saved DSPy program.
        state: That, as JSON; "" where there is none, and at a client, who is not told it.
        import_path: ``package.module:name``, instead of a module; "" where there is none.
        actions: Run around every execution.
    """

    id: str
    name: str
    signature_id: str
    module: Module | None
    config: ProgramConfig
    created_at: datetime
    session: str = ""
    version: int = 1
    updated_at: datetime | None = None
    has_state: bool = False
    state: str = ""
    import_path: str = ""
    actions: tuple[Action, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    capabilities: Capabilities = field(default_factory=Capabilities)

    @property
    def made_of(self) -> str:
        """The module's name, or the import path.

        >>> from datetime import UTC, datetime
        >>> Program(
        ...     id="prog_1", name="p", signature_id="", module=None, import_path="mine:Qa", config=ProgramConfig(),
        ...     created_at=datetime.now(UTC),
        ... ).made_of
        'mine:Qa'
        """
        return self.module.value if self.module else self.import_path


@dataclass(frozen=True, kw_only=True)
class ProgramDraft:
    """What a program is to be made of; in an update, what is unset or empty stays as it is.

    Attributes:
        signature: Id, name, or a text to compile.
        module: Its name.
        state: Of a saved DSPy program, as JSON.
        import_path: ``package.module:name``, instead of signature and module.
    """

    signature: str = ""
    module: str = ""
    config: ProgramConfig | None = None
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
    return _parse(Module, name, "module", "a program can be one of")


def parse_format(name: str) -> Format:
    """The format of that name.

    Raises:
        WorkerError: ``invalid_argument``.

    >>> parse_format("xml")
    <Format.XML: 'xml'>
    """
    return _parse(Format, name, "format", "Known:")


def check_settings(config: ProgramConfig) -> None:
    """See that the settings of the model can be settings.

    Raises:
        WorkerError: ``invalid_argument``.
    """
    if config.model is not None and not config.model.strip():
        raise _no_setting("model", "is empty: leave it unset for the worker's own, or name one")
    if config.temperature is not None and not 0 <= config.temperature < math.inf:
        raise _no_setting("temperature", f"is {config.temperature}: it must be 0 or more")
    if config.max_tokens is not None and config.max_tokens < 1:
        raise _no_setting("max_tokens", f"is {config.max_tokens}: it must be 1 or more")


_Known = TypeVar("_Known", bound=enum.StrEnum)


def _parse(known: type[_Known], name: str, field_name: str, listing: str) -> _Known:
    try:
        return known(name)
    except ValueError:
        close = difflib.get_close_matches(name, list(known), n=1)
        hint = f"; did you mean {str(close[0])!r}? " if close else ": "
        raise WorkerError(
            f"no {field_name} {name!r}{hint}{listing} {', '.join(known)}.",
            reason=Reason.INVALID_ARGUMENT,
            field=field_name,
        ) from None


def _no_setting(name: str, what: str) -> WorkerError:
    return WorkerError(f"config.{name} {what}.", reason=Reason.INVALID_ARGUMENT, field=f"config.{name}")
