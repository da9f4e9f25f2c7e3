"""A user's metric over calls before and after."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import math
import numbers
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dspy

from lmtest.errors import ConfigurationError
from lmtest.literal import sentence
from lmtest.refresh.answer import read_answer
from lmtest.refresh.prompt import read_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from lmtest.cassette.interaction import Interaction
    from lmtest.refresh.drift import CallDrift

_TAKES = "It takes (example, prediction), and gives a number, a truth, or a dspy.Prediction with a score."


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

    def try_on(self, calls: Iterable[Interaction]) -> bool:
        """Score the first recorded answer that has fields with itself, so that a metric that cannot is told early.

        Args:
            calls: Recorded calls.

        Returns:
            Whether there was one.

        Raises:
            ConfigurationError: The metric raised, or gave no number.
        """
        call = next((each for each in calls if _fields(each)), None)
        if call is None:
            return False
        try:
            self._of(_example(call, _fields(call)), _fields(call))
        except _NoScoreError as error:
            raise ConfigurationError(
                f"--metric {self.name} {error}, tried on call {call.key[:12]}. Nothing was called. {_TAKES}"
            ) from error
        return True

    def score(self, call: CallDrift) -> tuple[tuple[float | None, float | None], str]:
        """Score a call before and after; None for an answer that is missing, failed or has no fields.

        Returns:
            The scores; and why one is missing that could not be told, or nothing.
        """
        before, after = _fields(call.before), _fields(call.after)
        example = _example(call.before or call.after, before)
        scores: list[float | None] = []
        problems: list[str] = []
        for when, fields in (("before", before), ("now", after)):
            try:
                scores.append(self._of(example, fields))
            except _NoScoreError as error:
                scores.append(None)
                problems.append(f"--metric {self.name} {error}, for the answer {when}")
        return (scores[0], scores[1]), "; ".join(problems)

    def _of(self, example: dspy.Example, fields: Mapping[str, Any] | None) -> float | None:
        """Score an answer.

        Raises:
            _NoScoreError: The metric raised, or gave no number.
        """
        if not fields:
            return None
        try:
            given = self._function(example, dspy.Prediction(dict(fields)))
        except Exception as error:
            raise _NoScoreError(f"raised {type(error).__name__}: {sentence(str(error))}") from error
        return _number(given)


class _NoScoreError(Exception):
    """A metric that raised, or gave no number; its text says which, after the metric's name."""


def _number(given: Any) -> float:
    score = given.get("score") if isinstance(given, dspy.Prediction) else given
    if inspect.iscoroutine(score):
        score.close()
        raise _NoScoreError("is asynchronous, and cannot be awaited here")
    if hasattr(score, "item"):  # a number of numpy's, or a tensor of torch's
        with contextlib.suppress(Exception):  # it has several elements
            score = score.item()
    if not isinstance(score, (numbers.Real, Decimal)):
        what = "a dspy.Prediction without a score" if isinstance(given, dspy.Prediction) else _shown(score)
        raise _NoScoreError(f"gave {what}, which is no number")
    if not math.isfinite(score):
        raise _NoScoreError(f"gave {score}, which no mean can be taken of")
    return float(score)


def _shown(value: Any) -> str:
    return "nothing (None)" if value is None else sentence(f"{value!r:.60} ({type(value).__name__})")


def _example(call: Interaction | None, labels: Mapping[str, Any] | None) -> dspy.Example:
    inputs = read_inputs(call.request) if call else {}
    return dspy.Example({**inputs, **(labels or {})}).with_inputs(*inputs)


def _fields(call: Interaction | None) -> Mapping[str, Any] | None:
    return None if call is None or call.failed or call.tool or call.embeds else read_answer(call).fields


def _load(name: str, root: Path | None) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    if root is not None and str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        found = getattr(importlib.import_module(module), function) if function else None
    except Exception as error:  # of an import: whatever the module does
        raise ConfigurationError(
            f"--metric {name!r} does not load: {type(error).__name__}: {sentence(str(error))}. Write it as "
            "package.module:function."
        ) from error
    if not callable(found):
        raise ConfigurationError(f"--metric {name!r} is no function. Write it as package.module:function.")
    return found  # type: ignore[no-any-return]  # whatever the user wrote
