"""The model's last words in a run, kept for when they break the signature. Imports DSPy: import it late."""

from __future__ import annotations

from typing import Any

from dspy.utils.callback import BaseCallback

from python_worker.domain.value import storable


class LastWords(BaseCallback):  # type: ignore[misc, unused-ignore]
    """Hears what every model call of a run answers, and keeps the last.

    Attributes:
        text: The text, or None where no call has answered.
    """

    def __init__(self) -> None:
        self.text: str | None = None

    def on_lm_end(self, call_id: str, outputs: Any, exception: Exception | None = None) -> None:  # noqa: ARG002 - DSPy's signature
        """Keep the text of the first candidate."""
        if not outputs:
            return
        first = outputs[0] if isinstance(outputs, list) else outputs
        text = first.get("text") if isinstance(first, dict) else first
        self.text = None if text is None else storable(str(text))
