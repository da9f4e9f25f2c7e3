"""What BestOfN and Refine hold a try's answer against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.types import BooleanType, ConfidenceScoreType, FloatType, IntegerType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from python_worker.domain.signature import Signature
    from python_worker.runtime.imports import Imports

_FIELD = "field:"


def find_reward(name: str, signature: Signature, imports: Imports) -> Callable[..., Any]:
    """The reward of that name.

    Args:
        name: ``field:<output>``, or an import path on the allow-list.
        signature: What a try answers by.
        imports: The allow-list.

    Raises:
        WorkerError: ``invalid_argument``: no such output, or none that is a number; or what an import raises.
    """
    if not name.startswith(_FIELD):
        found: Callable[..., Any] = imports.load(name, field="reward")
        if not callable(found):
            raise _refused(f"{name!r} is no function")
        return found
    numbers = [
        each.name
        for each in signature.outputs
        if isinstance(each.type.resolved, IntegerType | FloatType | ConfidenceScoreType | BooleanType)
    ]
    if name.removeprefix(_FIELD) not in numbers:
        listed = ", ".join(repr(_FIELD + each) for each in numbers) or "none here"
        raise _refused(f"{name!r} is no output that is a number or a boolean; there is {listed}")
    return FieldReward(name.removeprefix(_FIELD))


class FieldReward:
    """The value of one output.

    Args:
        name: Of the output.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, _inputs: Mapping[str, Any], prediction: Any) -> float:
        """The output as a number."""
        return float(prediction[self._name])


def _refused(what: str) -> WorkerError:
    return WorkerError(f"reward {what}.", reason=Reason.INVALID_ARGUMENT, field="module_options.reward")
