"""Why a program failed, told apart: a miss, a limit, the provider, the answer, or a bug."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import lmtest
from python_worker.domain.errors import Reason, WorkerError
from python_worker.runtime.sandbox import said

if TYPE_CHECKING:
    from collections.abc import Iterator

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
                return WorkerError(words(error), reason=reason, retryable=wait is not None, retry_after=wait)
    return None


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
        if isinstance(error, exceptions.LMError) and not isinstance(error, exceptions.LMUnexpectedError):
            retryable = exceptions.is_retryable_lm_error(error)
            reason = Reason.PROVIDER_FAILURE if retryable else Reason.PROVIDER_REFUSAL
            return WorkerError(words(error), reason=reason, retryable=retryable, retry_after=error.retry_after)
    return None


def _bug(error: BaseException) -> WorkerError:
    _LOG.error("a program failed in a way nobody foresaw", exc_info=error)
    return WorkerError(f"{told(error)} (the worker's log has the traceback)", reason=Reason.INTERNAL)
