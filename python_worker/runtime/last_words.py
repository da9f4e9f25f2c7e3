"""The model's last words in a run, kept for when they break the signature. Imports DSPy: import it late."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from dspy.utils.callback import BaseCallback

from python_worker.domain.value import storable


class LastWords:
    """What the last model call of a run answered.

    Attributes:
        text: The text, or None where no call has answered.
    """

    def __init__(self) -> None:
        self.text: str | None = None


_HEARD: ContextVar[LastWords | None] = ContextVar("last_words", default=None)


class _Ear(BaseCallback):  # type: ignore[misc, unused-ignore]
    def on_lm_end(self, call_id: str, outputs: Any, exception: Exception | None = None) -> None:  # noqa: ARG002 - DSPy's signature
        words = _HEARD.get()
        if words is None or not outputs:
            return
        first = outputs[0] if isinstance(outputs, list) else outputs
        text = first.get("text") if isinstance(first, dict) else first
        words.text = None if text is None else storable(str(text))


_EAR = _Ear()


def listen(lm: Any, words: LastWords) -> None:
    """Keep what a model answers in this context, and in the threads that DSPy starts from it.

    The model itself carries the callback: one of the context's would be called for every step of DSPy's, at the cost of
    a tenth of a replayed execution.
    """
    if _EAR not in lm.callbacks:
        lm.callbacks.append(_EAR)
    _HEARD.set(words)
