"""Why a program failed, told apart: a miss, a limit, the provider, the answer, or a bug."""

from __future__ import annotations

import logging
from http import HTTPStatus
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

import lmtest
from python_worker.domain.call_stop import CallStop, Difference, NearMiss
from python_worker.domain.errors import Reason, WorkerError
from python_worker.runtime.sandbox import said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dspy import LMError

_LOG = logging.getLogger(__name__)

# The specific before the general.
_LMTEST = (
    (lmtest.Stopped, Reason.CANCELLED),
    (lmtest.CassetteMiss, Reason.CASSETTE_MISS),
    (lmtest.CassetteNotFound, Reason.CASSETTE_NOT_FOUND),
    (lmtest.CassetteError, Reason.CASSETTE_UNUSABLE),
    (lmtest.RateLimited, Reason.RATE_LIMITED),
    (lmtest.BudgetExceeded, Reason.BUDGET_EXCEEDED),
    (lmtest.LimitError, Reason.LIMIT),
    (lmtest.LMTestError, Reason.CONFIGURATION),
)


_READING = {"parse_response", "parse_stream_events"}
"""By lm15's protocol of providers, what reads an answer; what it stumbles over stays an error of Python's own."""


def explain(error: BaseException) -> WorkerError:
    """The error a client gets for what a program raised.

    DSPy wraps what an engine raises, so the causes are searched too, lmtest's errors first.
    """
    chain = list(causes(error))
    found = next((each for each in chain if isinstance(each, WorkerError)), None)
    return found or _from_lmtest(chain) or _from_dspy(chain) or _bug(error)


def told(error: BaseException) -> str:
    """An error that somebody else's code raised, as one may be told: its class and its words, without secrets.

    >>> told(ValueError("Bearer abcdefghi"))
    'ValueError: Bearer <redacted>'
    """
    return f"{type(error).__name__}: {words(error)}"


def words(error: BaseException) -> str:
    """What it says, without secrets: a program may quote its environment, and a client the address that it called."""
    return str(lmtest.redact(str(error)))


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those it came of, the nearest first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _from_lmtest(chain: list[BaseException]) -> WorkerError | None:
    for kind, reason in _LMTEST:
        for error in chain:
            if isinstance(error, kind):
                wait = error.retry_after if isinstance(error, lmtest.RateLimited) else None
                return WorkerError(
                    words(error),
                    reason=reason,
                    retryable=wait is not None,
                    retry_after=wait,
                    stop=call_stop(error),
                )
    return None


def call_stop(error: lmtest.LMTestError) -> CallStop:
    """What lmtest stopped a call with, as a client is told it."""
    kind = next((each.__name__ for each in type(error).__mro__ if getattr(lmtest, each.__name__, None) is each), "")
    path = getattr(error, "path", None)
    return CallStop(
        kind=kind,
        key=getattr(error, "key", ""),
        cassette=from_here(path) if path else "",
        command=lmtest.redact(getattr(error, "command", "")),
        nearest=tuple(map(_near, getattr(error, "nearest", ()))),
        spent=getattr(error, "spent", None),
        limit=getattr(error, "limit", None),
        estimate=getattr(error, "estimate", None),
    )


def from_here(path: Path) -> str:
    """Write a path from the working directory, where it is inside: it must mean the same on another machine."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _near(near: Any) -> NearMiss:
    differences = (Difference(path=each.path, change=lmtest.redact(each.change)) for each in near.differences)
    return NearMiss(key=near.key, line=near.line, differences=tuple(differences))


def _from_dspy(chain: list[BaseException]) -> WorkerError | None:
    from dspy.primitives import CodeExecutionError, CodeInterpreterError
    from dspy.utils import exceptions

    for error in chain:
        if isinstance(error, CodeInterpreterError) and not isinstance(error, CodeExecutionError):
            told = f"the sandbox that the model's code runs in failed: {said(error)}"
            return WorkerError(told, reason=Reason.CONFIGURATION)
        if isinstance(error, exceptions.AdapterParseError):
            return WorkerError(words(error), reason=Reason.UNPARSABLE_ANSWER)
        if isinstance(error, exceptions.LMConfigurationError):
            return WorkerError(words(error), reason=Reason.CONFIGURATION)
        if not isinstance(error, exceptions.LMError):
            continue
        unread = _is_unread(error)
        if unread or not isinstance(error, exceptions.LMUnexpectedError):
            retryable = unread or exceptions.is_retryable_lm_error(error)
            reason = Reason.PROVIDER_FAILURE if retryable else Reason.PROVIDER_REFUSAL
            return WorkerError(words(error), reason=reason, retryable=retryable, retry_after=error.retry_after)
    return None


def _is_unread(error: LMError) -> bool:
    """Decide whether a provider answered, and not with an answer: a page, nothing, a stream without its finish."""
    from dspy.utils import exceptions

    if isinstance(error, exceptions.LMStreamAssemblyError):
        return True
    if type(error) is exceptions.LMProviderError:  # what is of no kind; a refusal's status says so
        return error.status is None or error.status in range(200, 300)
    of_this_call = list(causes(error.__cause__))
    if isinstance(error, exceptions.LMUnexpectedError):
        return any(_came_of_reading(each) for each in of_this_call)
    # LiteLLM's own status for an answer of 200 that it stumbled over (findings/litellm_page_is_bad_request.sh); a
    # provider's comes with no error of Python's.
    stumbled = any(isinstance(each, ValueError | TypeError | LookupError | AttributeError) for each in of_this_call)
    return stumbled and error.status == HTTPStatus.UNPROCESSABLE_ENTITY


def _came_of_reading(error: BaseException) -> bool:
    return any(frame.f_code.co_name in _READING for frame, _ in walk_tb(error.__traceback__))


def _bug(error: BaseException) -> WorkerError:
    _LOG.error("a program failed in a way nobody foresaw", exc_info=error)
    return WorkerError(f"{told(error)} (the worker's log has the traceback)", reason=Reason.INTERNAL)
