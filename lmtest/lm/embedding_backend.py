"""LiteLLM's embeddings as an engine that sends one request at a time.

The request is DSPy's own, argument by argument. Where LiteLLM's client would send it again by itself, after a refusal
or a lost connection, it is told not to, so that whoever asks can do that, past the gate, as the client would have.
"""

from __future__ import annotations

import random
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from dspy.lm15 import LM15Error

from lmtest.lm.seam import litellm_errors, litellm_of_embeddings

if TYPE_CHECKING:
    from lmtest.cassette.interaction import Json

# As openai/_base_client.py has them, in `_should_retry` and `_calculate_retry_timeout`.
_SENT_AGAIN: Final = frozenset({408, 409, 429})
_SERVER_ERROR: Final = 500  # and above
_FIRST_PAUSE: Final = 0.5  # seconds; doubled each time, less up to a quarter by chance
_LONGEST_PAUSE: Final = 8.0
_LONGEST_HEEDED: Final = 60.0  # seconds of a Retry-After
_TURN: Final = "x-stainless-retry-count"
_OPEN: Final = (dict, list)


class EmbeddingBackend:
    """Asks LiteLLM.

    Attributes:
        pause: Seconds after which its client would have sent again what just failed; None where it would not.
        timeout: Seconds that a request may take, where that is less than the call itself allows.

    Args:
        body: What DSPy gives to LiteLLM.
    """

    def __init__(self, body: Json) -> None:
        self._body = body
        self._turn = 0
        self.pause: float | None = None
        self.timeout: float | None = None

    def complete(self, _: Any) -> Any:
        """Ask once.

        Raises:
            LM15Error: LiteLLM's error, which is its cause.
        """
        try:
            with litellm_errors(model=self._body["model"]):
                return litellm_of_embeddings().embedding(**self._once())
        except LM15Error as error:
            self._failed(error)
            raise

    def _once(self) -> Json:
        self.pause = None
        # A copy, because LiteLLM writes into some of them.
        body: Json = {name: deepcopy(each) if isinstance(each, _OPEN) else each for name, each in self._body.items()}
        body["max_retries"] = _NONE
        if self._turn:
            body["extra_headers"] = {**(body.get("extra_headers") or {}), _TURN: str(self._turn)}
        said = body.get("timeout")
        if self.timeout is not None and not (isinstance(said, int | float) and said <= self.timeout):
            body["timeout"] = self.timeout
        return body

    def _failed(self, error: LM15Error) -> None:
        most = self._body.get("max_retries") or litellm_of_embeddings().DEFAULT_MAX_RETRIES
        if isinstance(most, int) and self._turn < most and _would_be_sent_again(error, self._turn):
            self.pause = _pause(error, self._turn)
            self._turn += 1


class AsyncEmbeddingBackend(EmbeddingBackend):
    """The async twin of :class:`EmbeddingBackend`."""

    async def complete(self, _: Any) -> Any:
        """Ask once, with the same errors as :meth:`EmbeddingBackend.complete`."""
        try:
            with litellm_errors(model=self._body["model"]):
                return await litellm_of_embeddings().aembedding(**self._once())
        except LM15Error as error:
            self._failed(error)
            raise


class _Zero(int):
    """A zero that LiteLLM does not take for no number at all (findings/litellm_embedding_retries.sh)."""

    def __bool__(self) -> bool:
        return True


_NONE: Final = _Zero()


# ── failures ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Failed(NamedTuple):
    """How a request of the openai package failed.

    Attributes:
        status: The HTTP status; None where there was no answer.
        should_retry: What the provider said of sending it again, ``true`` or ``false``; None where nothing.
        turn: How often it had been sent before, as its header says.
    """

    status: int | None
    should_retry: str | None
    turn: int


def _would_be_sent_again(error: LM15Error, turn: int) -> bool:
    """Decide if LiteLLM's client would have sent it again, had it not been told otherwise."""
    failed = _of_openai(error)
    if failed is None or failed.turn != turn:
        return False  # another client, which asks once; or one that cannot be told, and did so already
    if failed.should_retry in {"true", "false"}:
        return failed.should_retry == "true"
    return failed.status is None or failed.status in _SENT_AGAIN or failed.status >= _SERVER_ERROR


def _of_openai(error: BaseException | None) -> _Failed | None:
    """How a request of the openai package failed, below LiteLLM's error; None where it was none of its."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        # LiteLLM's own errors are subclasses of these.
        if type(error).__module__ == "openai" and (request := getattr(error, "request", None)) is not None:
            response = getattr(error, "response", None)
            return _Failed(
                status=getattr(response, "status_code", None),
                should_retry=None if response is None else response.headers.get("x-should-retry"),
                turn=int(request.headers.get(_TURN) or 0),
            )
        error = error.__cause__ or error.__context__
    return None


def _pause(error: LM15Error, turn: int) -> float:
    said = error.retry_after
    if said is not None and 0 < said <= _LONGEST_HEEDED:
        return float(said)
    return float(min(_FIRST_PAUSE * 2**turn, _LONGEST_PAUSE) * (1 - 0.25 * random.random()))  # noqa: S311 - no secret


def litellm_error(code: str, message: str, *, model: str) -> Exception:
    """Give a failure that was recorded as the error that LiteLLM raised.

    Args:
        code: lm15's code.
        message: Its text.
        model: The model that was asked.
    """
    name = _ERRORS.get(code, "APIError")
    more = {} if code in _ERRORS else {"status_code": _SERVER_ERROR}
    said = message.removeprefix(f"litellm.{name}: ")  # which its class writes before it
    kind = getattr(litellm_of_embeddings(), name)
    return cast("Exception", kind(message=said, model=model, llm_provider=model.partition("/")[0], **more))


_ERRORS: Final = {
    "auth": "AuthenticationError",
    "billing": "RateLimitError",
    "context_length": "ContextWindowExceededError",
    "invalid_request": "BadRequestError",
    "rate_limit": "RateLimitError",
    "server": "InternalServerError",
    "timeout": "Timeout",
    "transport": "APIConnectionError",
    "unsupported_feature": "UnsupportedParamsError",
    "unsupported_model": "NotFoundError",
}
