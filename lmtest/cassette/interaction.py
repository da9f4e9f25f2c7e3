"""What a cassette holds: one request and what came of it, as frozen plain data.

Requests and replies are JSON values in the shape of DSPy's ``dspy.lm15`` serialisation, so this module needs no DSPy.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from lmtest.cassette.streamed import changed
from lmtest.errors import CassetteFormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal


STAND_IN: Final = "stand-in"
"""The source of what our own server answered: never to be taken for a provider's."""

ESTIMATED: Final = "estimated"
"""Beside the usage in a stream's last event: the client counted by itself, because the provider had not."""

Json = dict[str, Any]
"""A JSON object; ``Any`` because JSON values nest without end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Tokens of one call as the provider counted them; None where it did not say.

    The names are lm15's. ``input_tokens`` and ``output_tokens`` are the provider's own totals.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Usage:
        """Read the fields known here; what else the mapping holds is left.

        >>> Usage.from_mapping({"input_tokens": 12, "output_tokens": 3, "x": 1}).input_tokens
        12
        """
        return cls(**{name: data[name] for name in data if name in _COUNTED})


_COUNTED: Final = frozenset(Usage.__slots__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """The provider answered, whole."""

    response: Json


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """The provider, or the way to it, failed.

    Attributes:
        code: lm15's error code, such as ``rate_limit``.
        message: What the provider said.
        status: The HTTP status, where there was one.
        retry_after: Seconds the provider asked to wait.
        provider_code: The provider's own code.
        details: What else the error says, by its attribute's name, such as ``rate_limit_headers``.
        events: What a stream had delivered before it was cut.
    """

    code: str
    message: str
    status: int | None = None
    retry_after: float | None = None
    provider_code: str | None = None
    details: Json = field(default_factory=dict)
    events: tuple[StreamedEvent, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamedEvent:
    """One event of a stream.

    Attributes:
        at: Seconds from the request to this event.
        event: The event, as lm15 serialises it.
    """

    at: float
    event: Json


@dataclass(frozen=True, kw_only=True, slots=True)
class EventStream:
    """The provider answered as a stream.

    Attributes:
        events: What was received, in order.
        left: The program gave the call up after these events, which may be none: it stopped reading, or was cancelled.
    """

    events: tuple[StreamedEvent, ...]
    left: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """A tool answered.

    Attributes:
        value: What it returned, a JSON value.
    """

    value: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Raised:
    """A tool raised.

    Attributes:
        kind: The error's class, ``module:name``; of a built-in one the name alone.
        message: Its text.
        arguments: What it was made with, where that says more than the text.
    """

    kind: str
    message: str
    arguments: tuple[Any, ...] | None = None


ModelOutcome = Reply | Failure | EventStream
ToolOutcome = Result | Raised
Outcome = ModelOutcome | ToolOutcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Interaction:
    """One request and its outcome.

    Attributes:
        key: The request's fingerprint, 64 hexadecimal digits.
        request: The request in its normal form (:mod:`lmtest.cassette.fingerprint`).
        outcome: What came of it.
        provider: Who answered, in DSPy's spelling, such as ``gemini``.
        cost: USD by the price list of the day, or None where the price is unknown.
        latency: Seconds from sending to the end of the answer.
        recorded_at: ISO 8601, UTC.
        thought: The output field that a module of DSPy added for the model to think aloud in, where the request does
            not tell.
        digest: SHA-256 of its document as it stands in the file; "" where it was not read from one.
    """

    key: str
    request: Json
    outcome: Outcome
    provider: str | None = None
    cost: Decimal | None = None
    latency: float | None = None
    recorded_at: str | None = None
    thought: str | None = None
    digest: str = field(default="", compare=False)

    @property
    def usage(self) -> Usage:
        """Tokens as the provider counted them; none where it did not, and a client made a guess or said zero.

        Of a stream, each event says what is known by then: with Anthropic the first has the input, the last the output.
        """
        if isinstance(self.outcome, Result | Raised):
            return Usage()
        counted: dict[str, int] = {}
        for said in self.said:
            if (usage := said.get("usage")) and not said.get(ESTIMATED):
                counted |= {name: count for name, count in usage.items() if count is not None}
        return Usage.from_mapping(counted) if any(counted.values()) else Usage()

    @property
    def said(self) -> list[Json]:
        """What the provider, or the tool, said: its whole answer, or the events of a stream."""
        if isinstance(self.outcome, Reply):
            return [self.outcome.response]
        if isinstance(self.outcome, Result):
            return [{"result": self.outcome.value}]
        if isinstance(self.outcome, Raised):
            return [{"raised": self.outcome.message, "arguments": self.outcome.arguments}]
        return [streamed.event for streamed in self.outcome.events]

    def saying(self, change: Callable[[Any], Any], *, whole: Callable[[str, str], str] | None = None) -> Interaction:
        """The interaction with what the provider said changed; its request stays.

        Args:
            change: Changes a value.
            whole: Changes what a stream says in pieces; see :func:`lmtest.cassette.streamed.changed`.
        """
        match self.outcome:
            case Reply(response=response):
                outcome: Outcome = Reply(response=change(response))
            case EventStream() as stream:
                outcome = replace(stream, events=_changed(stream.events, change, whole))
            case Result(value=value):
                outcome = Result(value=change(value))
            case Raised() as raised:
                kept = None if raised.arguments is None else tuple(change(list(raised.arguments)))
                outcome = replace(raised, message=change(raised.message), arguments=kept)
            case Failure() as failure:
                events = _changed(failure.events, change, whole)
                message, details = change(failure.message), change(failure.details)
                outcome = replace(failure, message=message, details=details, events=events)
        return replace(self, outcome=outcome)

    @property
    def answer(self) -> ModelOutcome:
        """What a model answered.

        Raises:
            CassetteFormatError: It was a tool: somebody gave its document a model's key.
        """
        if isinstance(self.outcome, Result | Raised):
            raise CassetteFormatError(
                f"under the key {self.key[:12]} of a request to a model stands a call of the tool {self.tool!r}. "
                "Restore the cassette from version control, or record it again with LM_MODE=record."
            )
        return self.outcome

    @property
    def failed(self) -> str | None:
        """The error code of a call that failed, else None. A tool that raised has answered."""
        return self.outcome.code if isinstance(self.outcome, Failure) else None

    @property
    def left(self) -> bool:
        """Whether the program gave the call up before the answer was there."""
        return isinstance(self.outcome, EventStream) and self.outcome.left

    @property
    def streamed(self) -> bool:
        """True where the answer came in pieces, the failed one's too."""
        return isinstance(self.outcome, EventStream | Failure)

    @property
    def model(self) -> str:
        """The model that was asked, in DSPy's spelling; "" where it was a tool."""
        return str(self.request.get("model", ""))

    @property
    def tool(self) -> str:
        """The tool that was called; "" where it was a model."""
        return "" if "model" in self.request else str(self.request.get("tool", ""))

    @property
    def embeds(self) -> bool:
        """True where a model was asked for vectors."""
        return is_embedding(self.request)


def is_embedding(request: Json) -> bool:
    """Decide whether a request asks for vectors of texts.

    >>> is_embedding({"model": "openai/text-embedding-3-small", "embed": ["Paris"]})
    True
    """
    return "model" in request and "messages" not in request and isinstance(request.get("embed"), list)


def _changed(
    events: tuple[StreamedEvent, ...], change: Callable[[Any], Any], whole: Callable[[str, str], str] | None
) -> tuple[StreamedEvent, ...]:
    anew = changed([each.event for each in events], change, whole)
    return tuple(replace(each, event=event) for each, event in zip(events, anew, strict=True))


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """Where a cassette's recordings come from; the file's first document.

    Attributes:
        format: The file format's version.
        recorded_at: When the file was first written, ISO 8601, UTC.
        source: The hosts that answered, or ``stand-in`` for a server of our own on this machine; "" where none was
            asked.
        lmtest: The version of lmtest that wrote the file.
        dspy: The version of DSPy under it.
        test: The id of the test that owns the file, where one does; of several, one a line.
        executed: What a worker executed, where it recorded the file with no test behind it: see
            :mod:`lmtest.cassette.executed`.
        further: Fields that another version of lmtest wrote and this one does not know; they stay in the file.
    """

    format: int
    recorded_at: str
    source: str
    lmtest: str
    dspy: str | None = None
    test: str | None = None
    executed: Json | None = None
    further: Json = field(default_factory=dict)

    @property
    def tests(self) -> tuple[str, ...]:
        r"""The ids of the tests that own the file.

        >>> Header(format=1, recorded_at="", source="", lmtest="", test="t.py::test_a\nt.py::test_b").tests
        ('t.py::test_a', 't.py::test_b')
        """
        return tuple((self.test or "").splitlines())

    @property
    def sources(self) -> tuple[str, ...]:
        """The hosts that answered, one by one.

        >>> Header(format=1, recorded_at="", source="a.example, b.example", lmtest="").sources
        ('a.example', 'b.example')
        """
        return tuple(self.source.split(", ")) if self.source else ()
