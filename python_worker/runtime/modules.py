"""The DSPy modules behind programs."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from python_worker.domain.program import Module
from python_worker.signatures import to_dspy

if TYPE_CHECKING:
    import dspy

    from python_worker.domain.signature import Signature


@lru_cache(maxsize=1024)
def build(module: Module, signature: Signature) -> dspy.Module:
    """The DSPy module; it keeps no state of a run, so executions share it."""
    import dspy

    match module:
        case Module.PREDICT:
            return dspy.Predict(to_dspy(signature))
        case Module.CHAIN_OF_THOUGHT:
            return dspy.ChainOfThought(to_dspy(signature))


def answered(module: Module, signature: Signature) -> Signature:
    """The signature that the module's answers obey."""
    return signature.with_reasoning() if module is Module.CHAIN_OF_THOUGHT else signature
