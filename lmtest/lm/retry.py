"""How long a provider asks to wait before it is called again, and how long DSPy then does.

A provider asks in a header, in the body of its error, or in words.

The headers: RFC 9110, 10.2.3, and Azure's in milliseconds. The body: google.rpc.RetryInfo,
https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto
"""

from __future__ import annotations

import logging
import math
import re
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

from dspy import LMError, lm15

from lmtest import clock
from lmtest.errors import RateLimited
from lmtest.money.queue import LONG_WAIT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DELAY: Final = "lmtest_retry_delay"
"""The attribute of an error of lm15's that keeps the delay of a body, which lm15 does not hand on; see `in_body`."""

_PLAYED: Final = "lmtest_played"
_PATIENCE: Final = "lmtest_patience"
_LOG: Final = logging.getLogger("lmtest")
_OF_DSPY: Final = (lm15.LM15Error, LMError)
_YEAR: Final = 31_536_000  # seconds, beyond which there may be no date
_BUSY: Final = (lm15.RateLimitError, lm15.ServerError)
_IN_MILLISECONDS: Final = ("retry-after-ms", "x-ms-retry-after-ms")
# A body may stand in a message as JSON, or as JSON in JSON: with quotes that are escaped.
_RETRY_DELAY: Final = re.compile(r"""retryDelay[\\"']+\s*:\s*[\\"']+(\d+(?:\.\d+)?)s""")
_SECONDS: Final = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3_600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
}
_UNIT: Final = "|".join(sorted(_SECONDS, key=len, reverse=True))
_PART: Final = rf"(\d+(?:\.\d+)?)\s?({_UNIT})(?![a-z])"
_IN_WORDS: Final = re.compile(
    rf"\b(?:retry|try again|retry your request|try your request again)\s+(?:in|after)\s+((?:{_PART}[\s,]*)+)",
    re.IGNORECASE,
)


def retry_after(error: lm15.LM15Error) -> float | None:
    """Seconds that a provider asked to wait; None where it did not say.

    Args:
        error: As lm15 or DSPy's way through LiteLLM raised it, still with what it was raised from.

    >>> retry_after(lm15.RateLimitError("Quota exceeded. Please retry in 34.07s."))
    34.07
    >>> retry_after(lm15.RateLimitError("Rate limit reached. Please try again in 1m4s."))
    64.0
    """
    if error.retry_after is not None:
        return float(error.retry_after)
    if (seconds := _in_headers(_headers(error))) is not None:
        return seconds
    if not isinstance(error, _BUSY):
        return None
    told: float | None = getattr(error, DELAY, None)
    if told is None:
        told = in_body(error.message)
    return in_words(error.message) if told is None else told


def played(error: lm15.LM15Error) -> lm15.LM15Error:
    """Mark an error that was recorded or made up: no time that passes makes the next answer any other."""
    setattr(error, _PLAYED, True)
    return error


def with_patience(error: lm15.LM15Error, seconds: float | None) -> None:
    """Mark an error with how long its call may wait; None for as long as it takes."""
    setattr(error, _PATIENCE, seconds)


def pause(error: BaseException, seconds: float) -> float:
    """Decide how long DSPy waits before it asks again; a long wait is said.

    Args:
        error: What the call ended with.
        seconds: As DSPy would wait.

    Returns:
        Seconds; 0 after an error that was `played`.

    Raises:
        RateLimited: The provider asks for longer than the call may wait.
    """
    marks = {name: value for each in causes(error) for name, value in vars(each).items()}
    if _PLAYED in marks:
        return 0.0
    if _PATIENCE not in marks:
        return seconds
    until, most = f"{clock.utc_now() + timedelta(seconds=min(seconds, _YEAR)):%Y-%m-%d %H:%M:%S} UTC", marks[_PATIENCE]
    if most is not None and seconds > most and getattr(error, "retry_after", None) is not None:
        raise RateLimited(
            f"the provider asks to wait {seconds:g} s, until {until}, longer than the {most:g} s that it may, "
            "and it was not asked again. Let it wait longer (max_wait, LMTEST_MAX_WAIT=SECONDS or none), try again "
            "later, or answer from cassettes: LM_MODE=replay.",
            retry_after=seconds,
        )
    if seconds > LONG_WAIT:
        _LOG.warning("A call is asked again in %g s, at %s: %s", seconds, until, error)
    return seconds


def in_body(body: str) -> float | None:
    """Read the seconds of a google.rpc.RetryInfo in the body of an error.

    >>> in_body('{"error": {"details": [{"@type": "…google.rpc.RetryInfo", "retryDelay": "34.07s"}]}}')
    34.07
    """
    found = _RETRY_DELAY.search(body)
    return float(found[1]) if found else None


def in_words(message: str) -> float | None:
    """Read the seconds that a sentence asks to wait.

    >>> in_words("Please try again in 7m12s."), in_words("Please retry after 6 seconds."), in_words("retry in 4000ms")
    (432.0, 6.0, 4.0)
    """
    found = _IN_WORDS.search(message)
    if found is None:
        return None
    parts = re.findall(_PART, found[1], re.IGNORECASE)
    return math.fsum(float(number) * _SECONDS[unit.lower()] for number, unit in parts)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Give an error, what it was raised from, and so on."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or each.__context__


def _headers(error: lm15.LM15Error) -> dict[str, str]:
    """The headers of the answer that an error of LiteLLM's is about.

    Which of its exceptions keeps them differs from provider to provider. Below the first that has any, and below
    another of DSPy's, is what was handled when this call was made: perhaps the answer to an earlier one.
    """
    of_this_call = takewhile(lambda each: each is error or not isinstance(each, _OF_DSPY), causes(error))
    for cause in of_this_call if error.status is not None else ():
        places = (cause, "litellm_response_headers"), (getattr(cause, "response", None), "headers"), (cause, "headers")
        for owner, name in places:
            if headers := _mapping(getattr(owner, name, None)):
                return headers
    return {}


def _mapping(headers: Any) -> dict[str, str]:
    items: Mapping[Any, Any] = headers if hasattr(headers, "items") else {}
    return {str(name).lower(): str(value) for name, value in items.items()}


def _in_headers(headers: Mapping[str, str]) -> float | None:
    """As lm15 reads them: the standard's own first, of an answer's own clock none."""
    if (seconds := _delay(headers.get("retry-after", ""))) is not None:
        return seconds
    told = (_number(headers.get(name, "")) for name in _IN_MILLISECONDS)
    return next((number / 1_000 for number in told if number is not None), None)


def _delay(text: str) -> float | None:
    """Seconds, or until a date.

    >>> _delay("120"), _delay("Fri, 31 Dec 1999 23:59:59 GMT"), _delay("soon")
    (120.0, 0.0, None)
    """
    if (seconds := _number(text)) is not None:
        return seconds
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - clock.utc_now()).total_seconds())


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
