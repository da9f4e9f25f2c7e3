"""A user's metric over calls before and after."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import dspy

from lmtest.errors import ConfigurationError
from lmtest.refresh.answer import read_answer
from lmtest.refresh.prompt import read_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lmtest.cassette.interaction import Interaction
    from lmtest.refresh.drift import CallDrift


class Metric:
    """Scores calls by a function of DSPy's metric signature, ``fn(example, prediction)``.

    The example holds the inputs, and as labels the outputs that were recorded before: they stand for the truth where a
    metric asks for one, so that of an unchanged answer it says that it is right.

    Args:
        name: ``package.module:function``.
        root: The project; its modules are found as pytest finds them.

    Raises:
        ConfigurationError: There is no such function.

    >>> Metric("operator:eq").name
    'operator:eq'
    """

    def __init__(self, name: str, root: Path | None = None) -> None:
        self.name = name
        self._function = _load(name, root)

    def score(self, call: CallDrift) -> tuple[float | None, float | None]:
        """Score a call before and after; None for an answer that is missing, failed or has no fields.

        Raises:
            ConfigurationError: The metric raised, or gave no number.
        """
        before, after = _fields(call.before), _fields(call.after)
        asked = call.before or call.after
        inputs = read_inputs(asked.request) if asked else {}
        example = dspy.Example(**inputs, **(before or {})).with_inputs(*inputs)
        return self._of(example, before), self._of(example, after)

    def _of(self, example: dspy.Example, fields: Mapping[str, Any] | None) -> float | None:
        if not fields:
            return None
        try:
            return float(self._function(example, dspy.Prediction(**fields)))
        except Exception as error:
            raise ConfigurationError(
                f"--metric {self.name} raised {type(error).__name__}: {error}, for {example!r} and {dict(fields)!r}. "
                "It takes (example, prediction), and gives a number or a truth."
            ) from error


def _fields(call: Interaction | None) -> Mapping[str, Any] | None:
    return None if call is None or call.failed or call.tool or call.embeds else read_answer(call).fields


def _load(name: str, root: Path | None) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    if root is not None and str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        found = getattr(importlib.import_module(module), function) if function else None
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"--metric {name!r} does not load: {error}. Write it as package.module:function."
        ) from error
    if not callable(found):
        raise ConfigurationError(f"--metric {name!r} is no function. Write it as package.module:function.")
    return found  # type: ignore[no-any-return]  # whatever the user wrote
