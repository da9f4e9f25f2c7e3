"""Output fields that DSPy's own modules add, in which a model thinks aloud: no program reads them.

A signature may have an output of the same name, which a program does read. The prompt tells them apart by the words
and places that DSPy 3.4 gives its own (``dspy/predict/chain_of_thought.py``, ``react.py``, ``react_v2.py``), but not
where ``dspy.ChainOfThought`` is given instructions of somebody's own: then the recording notes it.
"""

from __future__ import annotations

import re
from typing import Final

import dspy

_NEXT: Final = "next_thought"
_REASONING: Final = "reasoning"
_AGENT: Final = "You are an Agent. "
# Put before all outputs, and without a description.
_FIRST: Final = re.compile(
    rf"^Your output fields are:\n1\. `{_REASONING}` \(str\):[ ]*(?:\n\d+\. `|\nAll )", re.MULTILINE
)
_EXTRACT: Final = re.compile(r"^\d+\. `trajectory` \(str\):[ ]*\nYour output fields are:$", re.MULTILINE)
_OBJECTIVE: Final = "your objective is: \n"
# The objective that DSPy makes up of a signature that has none, before a module adds its field.
_MADE_UP: Final = re.compile(r"\s*Given the fields .*?, produce the fields (.*?)\.\s*(?:\n|$)")


def thoughts(prompt: str) -> frozenset[str]:
    """Name the output fields of a prompt that hold nothing but thoughts; where that cannot be told, none.

    >>> thoughts("You are an Agent. Think.")
    frozenset({'next_thought'})
    """
    if _AGENT in prompt:
        return frozenset({_NEXT})
    return frozenset({_REASONING}) if _is_added(prompt) else frozenset()


def thought_of_call(prompt: str) -> str | None:
    """Name the output field that a module of DSPy adds to the current call, where its prompt does not tell.

    >>> thought_of_call("Answer in one word.") is None
    True
    """
    if not _FIRST.search(prompt) or thoughts(prompt):
        return None
    modules = dspy.settings.caller_modules or []
    return _REASONING if any(isinstance(module, dspy.ChainOfThought) for module in modules[-2:-1]) else None


def _is_added(prompt: str) -> bool:
    if not _FIRST.search(prompt):
        return False
    if _EXTRACT.search(prompt):
        return True
    made_up = _MADE_UP.match(prompt.rpartition(_OBJECTIVE)[2])
    return made_up is not None and f"`{_REASONING}`" not in made_up[1]
