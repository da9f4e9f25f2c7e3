"""DSPy's requests, responses, events and errors to a cassette's plain data, and back."""

from __future__ import annotations

import dataclasses
import marshal
import re
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from dspy import lm15

from lmtest.cassette.interaction import EventStream, Failure, Reply, StreamedEvent
from lmtest.lm.counted import beside
from lmtest.lm.retry import causes, played, retry_after
from lmtest.lm.seam import StreamAccumulator, error_class_for_code, other_candidates, serde

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lmtest.cassette.interaction import Json, ModelOutcome


def _fields(kind: type, *but: str) -> Callable[[Any], Any]:
    return attrgetter(*(field.name for field in dataclasses.fields(kind) if field.name not in but))


# All fields there are, lest two requests that differ in a new one pass for the same.
_REQUEST, _CONFIG = _fields(lm15.Request, "messages", "config"), _fields(lm15.Config)
_MESSAGE, _TEXT = _fields(lm15.Message, "parts"), _fields(lm15.TextPart)
# Request Timeout and Gateway Timeout: who waited gave up, who answered may have gone on.
_MAYBE_SERVED = frozenset({408, 504})
_UNDER_WAY = (lm15.TransportError, lm15.TimeoutError, lm15.StreamAssemblyError)
# The names that lm15, httpx, aiohttp and sockets have for a connection that never was.
_NOT_CONNECTED = frozenset(
    {
        "ClientConnectorDNSError",
        "ClientConnectorError",
        "ConnectError",
        "ConnectTimeout",
        "ConnectionRefusedError",
        "ConnectionTimeoutError",
        "PoolTimeout",
        "gaierror",
    }
)
# What DSPy hands on of an error beside what a Failure has a place for.
_DETAILS = ("provider", "model", "request_id", "env_keys", "credential_hint", "part_index")
_NO_TEXT = object()  # which marshal refuses
_WORDS = re.compile(r"\s*\S+\s*")


def request_json(request: lm15.Request) -> Json:
    """Give a request as plain data."""
    data = serde.request_to_dict(request)
    assert isinstance(data, dict)
    return data


def request_from_json(data: Json) -> lm15.Request:
    """Read a request that :func:`request_json` wrote."""
    return serde.request_from_dict(data)


def exactly(request: lm15.Request) -> bytes | None:
    """Give bytes that no other request has, or None for one that holds more than text; cheaper than plain data.

    >>> one, other = (lm15.Request("m", (lm15.Message.user(text),)) for text in ("Why?", "Who?"))
    >>> exactly(one) == exactly(lm15.Request("m", (lm15.Message.user("Why?"),))), exactly(one) == exactly(other)
    (True, False)
    """
    messages = [
        (_MESSAGE(message), [_TEXT(part) if type(part) is lm15.TextPart else _NO_TEXT for part in message.parts])
        for message in request.messages
    ]
    try:
        return marshal.dumps((_REQUEST(request), _CONFIG(request.config), messages), 2)
    except ValueError:
        return None  # it is made of more than marshal knows


def reply(response: lm15.Response) -> Reply:
    """Give a whole answer as plain data, with what the provider said beside it."""
    return Reply(response=serde.response_to_dict(response, include_provider_data=True))


def event_json(event: Any) -> Json:
    """Give one event of a stream as plain data, with what is known beside it."""
    data = serde.stream_event_to_dict(event)
    assert isinstance(data, dict)
    return data | beside(event)


def failure(raised: lm15.LM15Error, events: tuple[StreamedEvent, ...] = ()) -> Failure:
    """Give a provider's failure as plain data."""
    return Failure(
        code=raised.code or "provider",
        message=raised.message,
        status=raised.status,
        retry_after=retry_after(raised),
        provider_code=raised.provider_code,
        details=_details(raised),
        events=events,
    )


def response(outcome: ModelOutcome, request: lm15.Request) -> lm15.Response:
    """Give a recorded outcome as a whole answer, whether it was recorded whole or as a stream.

    Raises:
        lm15.LM15Error: A failure was recorded: the same class, with the same retry-after.
    """
    if isinstance(outcome, Reply):
        return serde.response_from_dict(outcome.response)
    if isinstance(outcome, Failure):
        raise error(outcome)
    accumulator = StreamAccumulator(request)
    for streamed in outcome.events:
        accumulator.push(serde.stream_event_from_dict(streamed.event))
    return accumulator.response()


def candidates(answer: lm15.Response, request: lm15.Request) -> list[lm15.Response]:
    """Give each candidate of an answer that holds several, the first with the usage of all."""
    return [answer, *other_candidates(answer, request)]


def events(outcome: ModelOutcome) -> Iterator[tuple[float, Any]]:
    """Give a recorded outcome as a stream: each event with its seconds since the request.

    A whole answer becomes a stream of words, so that what listens for a field's beginning finds it.

    Raises:
        lm15.LM15Error: A failure was recorded; after the events that had come before it.
    """
    if isinstance(outcome, Reply):
        for event in lm15.response_to_events(serde.response_from_dict(outcome.response)):
            yield from ((0.0, word) for word in _word_by_word(event))
        return
    for streamed in outcome.events:
        yield streamed.at, serde.stream_event_from_dict(streamed.event)
    if isinstance(outcome, Failure):
        raise error(outcome)


def stream(recorded: list[StreamedEvent]) -> EventStream:
    """Give the events of a live stream as an outcome; one whose end did not come was left."""
    return EventStream(events=tuple(recorded), left=not (recorded and recorded[-1].event.get("type") == "end"))


def may_be_billed(error: BaseException) -> bool:
    """Decide whether a provider may charge for a call that failed so.

    It charges nothing for what it answered with an error, nor for what never reached it; it may for what it was still
    answering when the connection or the patience ended, or answered in a way that nobody could read.
    """
    if isinstance(error, lm15.LM15Error):
        if error.status is not None:
            return error.status in _MAYBE_SERVED
        if not isinstance(error, _UNDER_WAY) and type(error) is not lm15.ProviderError:
            return False
    return not any(type(cause).__name__ in _NOT_CONNECTED for cause in causes(error))


def is_failure_code(code: str) -> bool:
    """Whether lm15 has an error of this code.

    >>> is_failure_code("rate_limit"), is_failure_code("rate_limits")
    (True, False)
    """
    return code == "provider" or error_class_for_code(code) is not error_class_for_code("provider")


def error(outcome: Failure) -> lm15.LM15Error:
    """A recorded failure as the error that lm15 raised."""
    details = dict(outcome.details)
    raised: lm15.LM15Error = error_class_for_code(outcome.code)(
        outcome.message,
        code=outcome.code,
        status=outcome.status,
        retry_after=outcome.retry_after,
        provider_code=outcome.provider_code,
        rate_limit_headers=details.pop("rate_limit_headers", None),
    )
    # Some make their text anew, with advice that is in the recorded one already.
    raised.message, raised.args = outcome.message, (outcome.message,)
    for name, value in details.items():
        if name in _DETAILS:
            setattr(raised, name, tuple(value) if isinstance(value, list) else value)
    return played(raised)


def _details(raised: lm15.LM15Error) -> Json:
    said = {name: value for name in _DETAILS if (value := getattr(raised, name, None))}
    headers = {name: list(values) for name, values in raised.rate_limit_headers.items()}
    details = {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}
    return details | ({"rate_limit_headers": headers} if headers else {})


def _word_by_word(event: Any) -> Iterator[Any]:
    delta = getattr(event, "delta", None)
    if not isinstance(delta, lm15.TextDelta) or delta.logprobs or not delta.text.strip():
        yield event
        return
    for word in _WORDS.findall(delta.text):
        yield lm15.StreamDeltaEvent(delta=lm15.TextDelta(text=word, part_index=delta.part_index))
