"""The DSPy modules behind programs."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from python_worker.domain.program import Module
from python_worker.signatures import to_dspy

if TYPE_CHECKING:
    from collections.abc import Sequence

    import dspy

    from python_worker.domain.signature import Signature


def build(module: Module, signature: Signature, tools: Sequence[dspy.Tool] = ()) -> dspy.Module:
    """The DSPy module, with the tools of one run."""
    if module is not Module.REACT:
        return _build(module, signature)
    import dspy

    return dspy.ReAct(to_dspy(signature), tools=list(tools))


@lru_cache(maxsize=1024)
def _build(module: Module, signature: Signature) -> dspy.Module:
    """The DSPy module; it keeps no state of a run, so executions share it."""
    import dspy

    match module:
        case Module.REACT:
            raise AssertionError("it is built with its tools")
        case Module.PREDICT:
            return dspy.Predict(to_dspy(signature))
        case Module.CHAIN_OF_THOUGHT:
            return dspy.ChainOfThought(to_dspy(signature))


def answered(module: Module, signature: Signature) -> Signature:
    """The signature that the module's answers obey."""
    return signature.with_reasoning() if module in {Module.CHAIN_OF_THOUGHT, Module.REACT} else signature
