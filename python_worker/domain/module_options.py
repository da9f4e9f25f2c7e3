"""The options of DSPy's modules: which there are, of what type, and what they are when unset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_worker.domain.constraints import build_constraint
from python_worker.domain.errors import invalid_values
from python_worker.domain.field import Field, accept_fields
from python_worker.domain.program import Module
from python_worker.domain.types import EnumType, FloatType, IntegerType, OptionalType, Report, StringType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from python_worker.domain.types import Type
    from python_worker.domain.value import Fields, Value

_WITHIN = (Module.PREDICT, Module.CHAIN_OF_THOUGHT, Module.REACT, Module.PROGRAM_OF_THOUGHT)


def _integer(low: int, high: int) -> Type:
    return IntegerType(constraints=(build_constraint("min", low), build_constraint("max", high)))


def _of(default: Module, why: str) -> Field:
    return Field(
        name="of", type=EnumType(choices=tuple(each.value for each in _WITHIN)), default=default.value, description=why
    )


_REPEATED = (
    _of(Module.CHAIN_OF_THOUGHT, "the module that is tried"),
    Field(name="n", type=_integer(1, 20), default=3, description="how often it is tried at most"),
    Field(name="threshold", type=FloatType(), default=1.0, description="the reward that is good enough"),
    Field(
        name="reward",
        type=StringType(),
        description='"field:<output>", the output being a number or a boolean; or "package.module:function" on the '
        "allow-list, called with the inputs and the prediction, for a number",
    ),
    Field(
        name="fail_count",
        type=OptionalType(_integer(0, 20)),
        default=None,
        description="how many tries may fail before the run does; all but the last where unset",
    ),
)

OPTIONS: Mapping[Module, tuple[Field, ...]] = {
    Module.PREDICT: (),
    Module.CHAIN_OF_THOUGHT: (),
    Module.REACT: (
        Field(name="max_iters", type=_integer(1, 100), default=20, description="how many tools it calls at most"),
    ),
    Module.PROGRAM_OF_THOUGHT: (
        Field(name="max_iters", type=_integer(1, 20), default=3, description="how many programs it tries at most"),
    ),
    Module.BEST_OF_N: _REPEATED,
    Module.REFINE: _REPEATED,
    Module.MULTI_CHAIN_COMPARISON: (
        Field(name="m", type=_integer(2, 20), default=3, description="how many chains are compared"),
        Field(
            name="temperature",
            type=FloatType(constraints=(build_constraint("exclusive_min", 0), build_constraint("max", 2))),
            default=0.7,
            description="of the chains and of the comparison",
        ),
    ),
    Module.PARALLEL: (
        _of(Module.PREDICT, "the module that answers each item"),
        Field(name="num_threads", type=_integer(1, 64), default=4, description="how many items at once"),
    ),
}
"""By module; docs/worker.md shows this table to clients, and a test holds the two equal."""


def accept_options(module: Module, given: Fields) -> dict[str, Value]:
    """The options of a module, those of the module within it too, unset ones as their defaults.

    Raises:
        WorkerError: ``validation_error`` or ``constraint_violation``, with every problem listed.

    >>> accept_options(Module.PARALLEL, {"of": "ReAct", "max_iters": 5})
    {'of': 'ReAct', 'num_threads': 4, 'max_iters': 5}
    """
    inner = within(module, given)
    fields = OPTIONS[module] + (OPTIONS[inner] if inner is not module else ())
    report = Report()
    accepted = accept_fields(fields, given, report)
    if report.problems:
        raise invalid_values(tuple(report.problems), what=f"module_options of {module}")
    return accepted


def within(module: Module, given: Fields) -> Module:
    """The module that does the work: that of the option ``of``, or the module itself.

    >>> within(Module.BEST_OF_N, {"of": "Predict"}), within(Module.BEST_OF_N, {}), within(Module.REACT, {})
    (<Module.PREDICT: 'Predict'>, <Module.CHAIN_OF_THOUGHT: 'ChainOfThought'>, <Module.REACT: 'ReAct'>)
    """
    default = next((field.default for field in OPTIONS[module] if field.name == "of"), None)
    if default is None:
        return module
    asked = given.get("of", default)
    return Module(asked) if isinstance(asked, str) and asked in list(_WITHIN) else Module(default)
