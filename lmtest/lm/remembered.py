"""Answers that were played before in this process, and need not be read again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson
from dspy.lm15 import Response, TextPart

from lmtest.cassette.memo import Memo

if TYPE_CHECKING:
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
        plain: The fields of the answer, without the one that a program could change.
        beside: That one, as JSON: what the provider said beside the answer.
    """

    call: Call
    cost: float | None
    plain: tuple[object, ...]
    beside: bytes

    def response(self) -> Response:
        """Give the answer, as a value of its own; what it is made of was checked when it was made first."""
        response = object.__new__(Response)
        for put, value in zip(_PUT, self.plain, strict=True):
            put(response, value)
        _PUT_BESIDE(response, orjson.loads(self.beside))
        return response


_FIELDS: Final = tuple(name for name in Response.__slots__ if name != "provider_data")
_PUT: Final = tuple(vars(Response)[name].__set__ for name in _FIELDS)
_PUT_BESIDE: Final = vars(Response)["provider_data"].__set__

# By the whole text of the document, so that one of which a byte was changed is another.
_answers: Memo[tuple[str, str], Answer] = Memo(MOST_REMEMBERED)


def remembered(taken: Taken) -> Answer | None:
    """Give the answer of a document that was played before, if it is remembered."""
    return _answers.get((taken.file.name, taken.text))


def remember(taken: Taken, response: Response, call: Call, cost: float | None) -> None:
    """Keep an answer that is nothing but text; others are read each time, with what a program could change in them."""
    if not (taken.alone and _is_text(response)):
        return
    try:
        beside = orjson.dumps(response.provider_data)
    except TypeError:
        return  # a number that orjson does not write
    plain = tuple(getattr(response, name) for name in _FIELDS)
    answer = Answer(call, cost, plain, beside)
    _answers.put((taken.file.name, taken.text), answer, weight=len(taken.text))


def _is_text(response: Response) -> bool:
    message = response.message
    return (
        all(type(part) is TextPart and not part.continuation for part in message.parts)
        and not message.continuation
        and response.logprobs is None
        and not response.adaptations
    )
