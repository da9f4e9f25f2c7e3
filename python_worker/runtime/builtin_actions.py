"""The actions that a worker brings: ``complex_validation`` and ``resource_management``."""

from __future__ import annotations

import math
import resource
import sys
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from python_worker.domain.action import ActionContext, ActionOutcome, ActionRefused
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.nearest import did_you_mean
from python_worker.domain.rule import read_rules
from python_worker.domain.value import excerpt

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from python_worker.domain.rule import Rule
    from python_worker.domain.value import Value
    from python_worker.runtime.actions import Hooks

_MIB = 2**20

_LEAST = "min_budget_usd"
_MORE_MONEY = "Raise the limits in USD of the worker (--limit) or of the session, or answer from cassettes."


@dataclass(frozen=True, kw_only=True)
class Load:
    """How busy a worker is.

    Attributes:
        busy: Threads that run programs.
        waiting: Programs that wait for one.
    """

    busy: int
    waiting: int


def builtin_actions(load: Callable[[], Load]) -> dict[str, Callable[[], Hooks]]:
    """What makes the hooks of each, by name.

    Args:
        load: How busy the worker is now.
    """
    return {"complex_validation": ComplexValidation, "resource_management": lambda: ResourceManagement(load)}


class ComplexValidation:
    """Holds fields to rules across them: before the run those about inputs alone, after it those about outputs too.

    Options: ``rules``, see :func:`python_worker.domain.rule.read_rules`.
    """

    def before(self, context: ActionContext) -> dict[str, Value]:
        """Check the rules about inputs alone."""
        rules = _rules(context)
        if context.fields:
            _check_known(rules, context.fields)
        return _held([rule for rule in rules if rule.fields <= context.inputs.keys()], context.inputs)

    def after(self, context: ActionContext, outcome: ActionOutcome) -> dict[str, Value]:
        """Check the others."""
        values = {**context.inputs, **outcome.outputs}
        rules = [rule for rule in _rules(context) if not rule.fields <= context.inputs.keys()]
        _check_known(rules, values)
        return _held(rules, values)


class ResourceManagement:
    """Refuses a run while the worker is too busy or too little money is left, and tells what it used.

    Options, each a number beyond which the run is refused: ``max_memory_mib`` of this process, ``max_busy_threads``,
    ``max_waiting``; and ``min_budget_usd``, less than which its budgets must not have left.

    Args:
        load: How busy the worker is now.
    """

    def __init__(self, load: Callable[[], Load]) -> None:
        self._load = load
        self._processor = time.process_time()

    def before(self, context: ActionContext) -> dict[str, Value]:
        """Compare what is used with what may be."""
        load = self._load()
        used = {"memory_mib": memory() / _MIB, "busy_threads": load.busy, "waiting": load.waiting}
        left = context.budget_left()
        told: dict[str, Value] = {**used, "budget_left_usd": None if left is None else f"{left:f}"}
        known = {f"max_{name}": name for name in used} | {_LEAST: "budget_left_usd"}
        for option, given in context.options.items():
            bound, name = _bound(option, given, known), known[option]
            if option == _LEAST:
                if left is not None and left < (least := Decimal(str(bound))):
                    raise ActionRefused(f"{name} is {left:f}, less than {option} of {least:f}. {_MORE_MONEY}", told)
            elif used[name] > bound:
                raise ActionRefused(
                    f"{name} is {used[name]:.10g}, beyond {option} of {bound:g}. Try again later.", told
                )
        return told

    def after(self, context: ActionContext, outcome: ActionOutcome) -> dict[str, Value]:  # noqa: ARG002 - as hooks are
        """Tell what the run used; processor time is the whole worker's meanwhile, memory what it has now."""
        costs = [call.cost for call in outcome.calls]
        known = [cost for cost in costs if cost is not None]
        return {
            "memory_mib": memory() / _MIB,
            "processor_seconds": time.process_time() - self._processor,
            "model_calls": len(outcome.calls),
            "tool_calls": len(outcome.tools),
            "input_tokens": sum(call.input_tokens or 0 for call in outcome.calls),
            "output_tokens": sum(call.output_tokens or 0 for call in outcome.calls),
            "cost_usd": str(sum(known, Decimal(0))) if len(known) == len(costs) else None,
        }


def _bound(option: str, given: Value, known: Collection[str]) -> float:
    if option in known and isinstance(given, int | float) and not isinstance(given, bool) and not math.isnan(given):
        return given
    wrong = f" is {excerpt(given)}" if option in known else ""
    raise WorkerError(
        f"resource_management: option {option!r}{wrong}: there are {', '.join(known)}, each a number."
        f"{'' if wrong else did_you_mean(option, known)}",
        reason=Reason.INVALID_ARGUMENT,
        field=option,
    )


def memory() -> int:
    """Bytes of memory that this process has now; where the system does not say, the most it ever had."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return pages * resource.getpagesize()


def _check_known(rules: Iterable[Rule], fields: Collection[str]) -> None:
    unknown = sorted({name for rule in rules for name in rule.fields if name not in fields})
    if unknown:
        raise WorkerError(
            f"complex_validation: no field {unknown[0]!r}: there are {', '.join(sorted(fields))}."
            f"{did_you_mean(unknown[0], fields)}",
            reason=Reason.INVALID_ARGUMENT,
            field="rules",
        )


def _rules(context: ActionContext) -> tuple[Rule, ...]:
    unknown = sorted(context.options.keys() - {"rules"})
    if unknown:
        raise WorkerError(
            f"complex_validation: option {unknown[0]!r}: there is 'rules' alone.",
            reason=Reason.INVALID_ARGUMENT,
            field=unknown[0],
        )
    return read_rules(context.options.get("rules", []))


def _held(rules: list[Rule], values: Any) -> dict[str, Value]:
    broken = [problem for rule in rules for problem in rule.problems(values)]
    told: dict[str, Value] = {"rules": len(rules), "broken": list(broken)}
    if broken:
        raise ActionRefused("; ".join(broken), told)
    return told
