"""The model's last words in a run, kept for when they break the signature. Imports DSPy: import it late."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import dspy

from python_worker.domain.value import storable


class LastWords:
    """What the last model call of a run answered.

    Attributes:
        text: The text, or None where no call has answered.
    """

    def __init__(self) -> None:
        self.text: str | None = None


_HEARD: ContextVar[LastWords | None] = ContextVar("last_words", default=None)


class HeardLM(dspy.LM):  # type: ignore[misc, unused-ignore]
    """A model whose answers are heard by the run that asks for them.

    Not a callback of DSPy's: where there is one, DSPy works out by name what each call was given, at the cost of a
    twentieth of a replayed execution.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Answer as any ``dspy.LM``."""
        return _heard(super().__call__(*args, **kwargs))

    async def acall(self, *args: Any, **kwargs: Any) -> Any:
        """Answer as any ``dspy.LM``."""
        return _heard(await super().acall(*args, **kwargs))


def listen(words: LastWords) -> None:
    """Keep what models answer in this context, and in the threads that DSPy starts from it."""
    _HEARD.set(words)


def _heard(outputs: Any) -> Any:
    words = _HEARD.get()
    if words is not None and outputs:
        first = outputs[0] if isinstance(outputs, list) else outputs
        text = first.get("text") if isinstance(first, dict) else first
        words.text = None if text is None else storable(str(text))
    return outputs
