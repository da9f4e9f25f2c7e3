"""Calls of ``dspy.Embedder`` to hosted models: played back, made up, or handed on to be answered live.

A function of the user's own that embeds is called in every mode; what it computes costs nothing, and is not recorded.
"""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, Self

from lmtest import clock
from lmtest.cassette.cassette import MOCKED, Call
from lmtest.cassette.interaction import Failure, Usage
from lmtest.cassette.vectors import unpacked, vectors_of
from lmtest.errors import CassetteMiss, CassetteNotFound
from lmtest.lm import seam
from lmtest.lm.embedding_backend import litellm_error
from lmtest.lm.query import plain_body
from lmtest.lm.replay import GivenUp, patience, played, whole
from lmtest.modes import Mode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from lmtest.cassette.cassette import Cassette
    from lmtest.cassette.interaction import Json
    from lmtest.lm.scope import Scope

_DIMENSIONS: Final = 768
"""Of a made-up vector, where neither the call nor DSPy's table of models says how many."""

_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """One request for embeddings.

    Attributes:
        model: The model, as DSPy names it.
        texts: What is to be embedded.
        settings: Whatever else LiteLLM is given, credentials and the way it takes among it.
    """

    candidates: ClassVar[int] = 1  # as `lmtest.lm.query.Query` has them
    system: ClassVar[str] = ""  # likewise
    model: str
    texts: tuple[str, ...]
    settings: Json

    @property
    def body(self) -> Json:
        """The arguments that DSPy gives to LiteLLM."""
        return {"model": self.model, "input": list(self.texts), **self.settings}

    @classmethod
    def of(cls, asked: Json) -> Self:
        """Read what DSPy gives to LiteLLM."""
        settings = {name: value for name, value in asked.items() if name not in {"model", "input"}}
        return cls(model=asked["model"], texts=tuple(asked["input"]), settings=settings)

    @cached_property
    def data(self) -> Json:
        """The call as plain data, from which its key is made."""
        config = plain_body(self.settings)
        return {"model": self.model, "embed": list(self.texts), **({"config": config} if config else {})}


@dataclass(frozen=True)
class Answer:
    """The part of LiteLLM's answer that DSPy reads.

    Attributes:
        data: For each text, in order, a mapping with its vector as ``embedding``.
    """

    data: list[dict[str, Any]]

    @classmethod
    def of(cls, vectors: Sequence[Sequence[float]]) -> Self:
        """Give vectors as LiteLLM does."""
        return cls([{"object": "embedding", "index": index, "embedding": each} for index, each in enumerate(vectors)])


class Live(Protocol):
    """Who answers live: gives LiteLLM's answer, or what gives it when awaited."""

    def complete(self) -> Any:
        """Answer."""


def answer(scope: Scope, embedding: Embedding, live: Callable[[], Live]) -> Any:
    """Answer a call as the cassette's mode says.

    Raises:
        CassetteMiss: It is not recorded, or was given up before its answer came.
        LimitError: A limit stopped the call before it was sent.
        ConfigurationError: What the provider answered is nothing that a cassette can hold.
        Exception: LiteLLM's own, where the provider failed, or had.
    """
    try:
        known = _known(scope, embedding)
    except GivenUp as given_up:
        raise _ended(scope, given_up) from None
    return live().complete() if known is None else known


async def answer_async(scope: Scope, embedding: Embedding, live: Callable[[], Live]) -> Any:
    """Answer a call as :func:`answer` does."""
    try:
        known = _known(scope, embedding)
    except GivenUp as given_up:
        # As long as the recorded program waited, nobody knows that it will not come.
        await clock.sleep_async(patience(given_up.interaction))
        raise _ended(scope, given_up) from None
    if known is not None:
        return known
    answering: Awaitable[Any] = live().complete()
    return await answering


def _known(scope: Scope, embedding: Embedding) -> Answer | None:
    """Give what is recorded or made up; None where the provider is to be asked.

    Raises:
        GivenUp: The call was given up when it was recorded.
    """
    cassette = scope.cassette
    if cassette.mode is Mode.MOCK:
        return _made_up(cassette, embedding)
    found = cassette.find(embedding.data) if cassette.mode is Mode.REPLAY or cassette.plays_first else None
    if found is None and cassette.mode is Mode.REPLAY:
        with scope.spoiled_by(CassetteMiss, CassetteNotFound):
            found = cassette.play(embedding.data)
    if found is None:
        return None
    call = played(found, cassette)
    # One that was put together is no recording, whose last price would be that of another recording of it.
    cassette.note(call if found.recorded_at else replace(call, cassette=None))
    outcome = whole(found).answer
    if isinstance(outcome, Failure):
        raise litellm_error(outcome.code, outcome.message, model=embedding.model)
    return Answer.of(unpacked(vectors_of(found)))


def _ended(scope: Scope, given_up: GivenUp) -> CassetteMiss:
    miss = scope.cassette.ended(given_up.interaction)
    with scope.spoiled_by(CassetteMiss):
        raise miss


# ── made up ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _made_up(cassette: Cassette, embedding: Embedding) -> Answer:
    from lmtest.lm.answers import count_tokens  # late: only mock mode makes answers up

    key, _ = cassette.normalise(embedding.data)
    tokens = sum(map(count_tokens, embedding.texts))
    cassette.note(
        Call(
            key=key,
            model=embedding.model,
            hit=MOCKED,
            usage=Usage(input_tokens=tokens, output_tokens=0, total_tokens=tokens),
            cost=Decimal(0),
            worth=Decimal(0),
            latency=0.0,
        )
    )
    asked = embedding.settings.get("dimensions")
    dimensions = asked if isinstance(asked, int) and asked > 0 else seam.vector_size(embedding.model) or _DIMENSIONS
    return Answer.of([made_up_vector(text, dimensions, model=embedding.model) for text in embedding.texts])


def made_up_vector(text: str, dimensions: int, *, model: str) -> list[float]:
    """Make a vector up: of length 1, always the same for the same text and model, near those of texts with its words.

    Each word has a direction, drawn from its hash, and so has the whole text; a text points where all of its own do
    together. Case does not matter to a word.

    >>> texts = "Capital: Paris", "Why is it?", "capital of Paris"
    >>> near, far, text = (made_up_vector(each, 256, model="m") for each in texts)
    >>> dot = lambda one, other: sum(a * b for a, b in zip(one, other))
    >>> round(dot(text, text), 6), dot(text, near) > 0.3 > dot(text, far)
    (1.0, True)
    """
    words = [word.casefold() for word in _WORD.findall(text)]
    total = sum(_direction(f"word {word}", dimensions, model) for word in words)
    total = total + _direction(f"text {text}", dimensions, model)
    length = float((total @ total) ** 0.5)
    vector: list[float] = (total / length).astype("<f4").tolist()
    return vector


@functools.lru_cache(maxsize=1024)
def _direction(what: str, dimensions: int, model: str) -> Any:
    import numpy as np  # late: DSPy needs it only to embed

    # SHAKE gives as many bytes as wanted, the same on every machine and in every version of whatever draws numbers.
    drawn = hashlib.shake_256(f"{model}\n{what}".encode("utf-8", "surrogatepass")).digest(4 * dimensions)
    vector = np.frombuffer(drawn, "<u4") / 2**31 - 1.0
    return vector / np.linalg.norm(vector)
