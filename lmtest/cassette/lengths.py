"""How long recorded answers were, to tell before a call how long its like may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lmtest.cassette.index import Index
from lmtest.errors import CassetteError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lmtest.cassette.interaction import Interaction

MARGIN: Final = 2
"""How many times as long as the recorded one an answer is taken to be at most."""


class Lengths:
    """The most tokens that an answer to a request is likely to have.

    Args:
        calls: What is recorded.
    """

    def __init__(self, calls: Iterable[Interaction]) -> None:
        self._of_key: dict[str, int] = {}
        self._of_model: dict[str, int] = {}
        for call in calls:
            # Some providers count what a model thinks apart from what it says.
            if tokens := (call.usage.output_tokens or 0) + (call.usage.reasoning_tokens or 0):
                self._of_key[call.key] = max(tokens, self._of_key.get(call.key, 0))
                self._of_model[call.model] = max(tokens, self._of_model.get(call.model, 0))

    @classmethod
    def recorded_in(cls, path: Path) -> Lengths:
        """Those of a cassette; of one that is not there, or does not read, nothing is known."""
        try:
            index = Index(path)
            return cls([index.read(entry) for entry in index.entries])
        except CassetteError:
            return cls(())

    def most(self, key: str, model: str) -> int | None:
        """Tokens: twice those recorded for this very request, else for the longest answer of its model here.

        Args:
            key: The request's key.
            model: Who is asked.

        Returns:
            None where nothing of this model is recorded.
        """
        recorded = self._of_key.get(key) or self._of_model.get(model)
        return recorded and recorded * MARGIN
