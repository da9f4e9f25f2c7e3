"""How prompts are written and answers read: DSPy's adapters by their formats' names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_worker.domain.program import Format

if TYPE_CHECKING:
    import dspy

STREAMED = frozenset({None, Format.CHAT, Format.JSON, Format.XML})
"""The formats whose fields DSPy finds in an answer while it comes."""


def adapter_of(format_: Format | None, lm: dspy.BaseLM) -> dspy.Adapter | None:
    """The adapter of a format; None is DSPy's own choice, which is chat.

    Args:
        format_: None where a program names none.
        lm: Reads the answers of ``two_step``, which wants a second model call for that.
    """
    if format_ is None:
        return None
    import dspy
    from dspy.adapters.baml_adapter import BAMLAdapter

    match format_:
        case Format.CHAT:
            return dspy.ChatAdapter()
        case Format.JSON:
            return dspy.JSONAdapter()
        case Format.XML:
            return dspy.XMLAdapter()
        case Format.BAML:
            return BAMLAdapter()
        case Format.TWO_STEP:
            return dspy.TwoStepAdapter(lm)
