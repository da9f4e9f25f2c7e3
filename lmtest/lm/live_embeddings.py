"""Embeddings that are answered live: each request past the gate and into the ledger, what is sent again too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from dspy.lm15 import LM15Error

from lmtest.cassette.interaction import Reply
from lmtest.cassette.vectors import packed, unpacked
from lmtest.errors import ConfigurationError
from lmtest.lm.embedding_backend import AsyncEmbeddingBackend, EmbeddingBackend
from lmtest.lm.embeddings import Answer
from lmtest.lm.live import AsyncLiveEngine, LiveEngine
from lmtest.money.waiting import Clock

if TYPE_CHECKING:
    from decimal import Decimal

    from lmtest.cassette.cassette import Cassette
    from lmtest.cassette.interaction import Interaction, Json
    from lmtest.lm.embeddings import Embedding
    from lmtest.lm.gate import Gate
    from lmtest.lm.query import Query
    from lmtest.lm.scope import Scope
    from lmtest.lm.seam import Billed
    from lmtest.lm.stop import Stop


class _Embeds:
    """The part that is other for embeddings than for answers of LMs, whether they are awaited or not."""

    _backend: Any
    _cassette: Cassette
    _query: Query
    _request: Json
    _scope: Scope
    _stop: Stop | None
    _packed: Json | None = None
    _problem = ""

    @property
    def _terms(self) -> tuple[str, Json, int | None, Clock | None]:
        model = self._query.model
        return model, self._request, 0, self._stop.clock(model) if self._stop else None

    def _received(self, response: Any) -> tuple[Any, Reply]:
        """The answer, and as plain data; without vectors where they are none that a cassette can hold."""
        usage = _usage(getattr(response, "usage", None))
        said: Json = {"usage": usage} if usage else {}
        if self._cassette.mode.writes:
            try:
                self._packed = packed([each["embedding"] for each in response.data])
                said["vectors"] = self._packed
            except (TypeError, ValueError, OverflowError) as error:
                self._problem = str(error)
        if name := getattr(response, "model", None):
            said["model"] = str(name)
        return response, Reply(response=said)

    def _keep(self, interaction: Interaction, source: str) -> None:
        # What is asked again the program never sees; it is in the ledger.
        kept = "vectors" in interaction.outcome.response if isinstance(interaction.outcome, Reply) else None
        if kept or (kept is None and self._backend.pause is None):
            self._cassette.record(interaction, source=source)

    def _dspy_estimate(self, outcome: Any) -> Decimal | None:  # noqa: ARG002 - DSPy estimates no embedding
        return None

    def _given(self, response: Any) -> Any:
        """Give what the program gets: where calls are recorded, what a replay will give it."""
        if self._problem:
            with self._scope.spoiled_by(ConfigurationError):
                raise ConfigurationError(
                    f"{self._query.model} answered an embedding with {self._problem}, which a cassette cannot hold: "
                    "it takes vectors of finite numbers, all of one length. Leave encoding_format away, or use "
                    "LM_MODE=live."
                )
        return response if self._packed is None else Answer.of(unpacked(self._packed))

    def _pause_after(self, failure: LM15Error) -> float:
        """Seconds after which a request is sent again.

        Raises:
            Exception: LiteLLM's own, where it is not.
        """
        if self._backend.pause is None:
            raise failure.__cause__ or failure
        return float(self._backend.pause)

    @property
    def _clock(self) -> Clock:
        return self._stop.clock(self._query.model) if self._stop else Clock()


class LiveEmbedder(_Embeds, LiveEngine):
    """Answers one call live.

    Args:
        scope: Whose call it is.
        embedding: What it asks.
        provider: Who answers.
        source: The host that answers.
        gate: What stands in front.
        stop: Ends calls from another thread.
    """

    def __init__(
        self, scope: Scope, embedding: Embedding, provider: Billed, *, source: str, gate: Gate, stop: Stop | None
    ) -> None:
        asked = cast("Query", embedding)  # which has all of it that matters here
        super().__init__(
            EmbeddingBackend(embedding.body), asked, scope.cassette, provider, source=source, gate=gate, stop=stop
        )
        self._scope = scope

    def complete(self, request: Any = None) -> Any:
        """Answer.

        Raises:
            LimitError: A limit stopped the call before it was sent.
            Stopped: The stop was called, or its time is over.
            ConfigurationError: What came is nothing that a cassette can hold.
            Exception: LiteLLM's own, where the provider failed.
        """
        while True:
            try:
                return self._given(super().complete(request))
            except LM15Error as error:
                failure = error
            self._clock.sleep(self._pause_after(failure))
            self._scope.check_open(f"a call to {self._query.model}")

    def _held(self) -> Any:
        # A thread cannot be hung up on: its request gets what is left of the time.
        self._backend.timeout = self._stop.left if self._stop else None
        return super()._held()


class AsyncLiveEmbedder(_Embeds, AsyncLiveEngine):
    """The async twin of :class:`LiveEmbedder`."""

    def __init__(
        self, scope: Scope, embedding: Embedding, provider: Billed, *, source: str, gate: Gate, stop: Stop | None
    ) -> None:
        asked = cast("Query", embedding)
        super().__init__(
            AsyncEmbeddingBackend(embedding.body), asked, scope.cassette, provider, source=source, gate=gate, stop=stop
        )
        self._scope = scope

    async def complete(self, request: Any = None) -> Any:
        """Answer, with the same errors as :meth:`LiveEmbedder.complete`."""
        while True:
            try:
                return self._given(await super().complete(request))
            except LM15Error as error:
                failure = error
            await self._clock.sleep_async(self._pause_after(failure))
            self._scope.check_open(f"a call to {self._query.model}")


def _usage(counted: Any) -> Json:
    """The tokens as LiteLLM counted them; nothing where nobody did."""
    sent = getattr(counted, "prompt_tokens", None) or getattr(counted, "total_tokens", None)
    if not isinstance(sent, int) or not sent:
        return {}
    return {"input_tokens": sent, "output_tokens": 0, "total_tokens": getattr(counted, "total_tokens", None) or sent}
