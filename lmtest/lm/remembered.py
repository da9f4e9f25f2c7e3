"""Answers that were played before in this process, and need not be read again."""

from __future__ import annotations

import marshal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dspy.lm15 import Response, TextPart

from lmtest.cassette.memo import Memo

if TYPE_CHECKING:
    from pathlib import Path

    from lmtest.cassette.cassette import Call
    from lmtest.cassette.player import Taken

MOST_REMEMBERED: Final = 4 << 20
"""Characters of documents whose answers are remembered."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a document answers.

    Attributes:
        call: What its cassette notes of it.
        cost: USD, for DSPy's history.
        plain: The answer, without the one part of it that a program could change.
        beside: That part: what the provider said beside the answer.
    """

    call: Call
    cost: float | None
    plain: Response
    beside: bytes

    def response(self) -> Response:
        """Give the answer, as a value of its own."""
        response = object.__new__(Response)
        for name in _FIELDS:
            object.__setattr__(response, name, getattr(self.plain, name))
        object.__setattr__(response, "provider_data", marshal.loads(self.beside))  # noqa: S302 - written by us, just now
        return response


_FIELDS: Final = tuple(name for name in Response.__slots__ if name != "provider_data")

# By the whole text of the document, so that one of which a byte was changed is another.
_answers: Memo[tuple[Path, str], Answer] = Memo(MOST_REMEMBERED)


def remembered(taken: Taken) -> Answer | None:
    """Give the answer of a document that was played before, if it is remembered."""
    return _answers.get((taken.index.path, taken.text))


def remember(taken: Taken, response: Response, call: Call, cost: float | None) -> None:
    """Keep an answer that is nothing but text; others are read each time, with what a program could change in them."""
    if not (taken.alone and _is_text(response)):
        return
    answer = Answer(call, cost, response, marshal.dumps(response.provider_data, 2))
    _answers.put((taken.index.path, taken.text), answer, weight=len(taken.text))


def _is_text(response: Response) -> bool:
    message = response.message
    return (
        all(type(part) is TextPart and not part.continuation for part in message.parts)
        and not message.continuation
        and response.logprobs is None
        and not response.adaptations
    )
