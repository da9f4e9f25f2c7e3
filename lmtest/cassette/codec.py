"""Interactions and headers to the documents of a cassette file, and back: format 1.

A file is a YAML stream. Its first document is the header; each further one is an interaction whose first line is its
key and whose last is a digest, so a reader finds one without parsing the rest and sees where a file was cut, but for a
cut between two documents. The digest is SHA-256 over the document's text before it, as it stands there: where it holds,
the text is as :func:`encode` wrote it, and is read without a YAML parser. A message that is one text is written
``- user: text``.
"""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from lmtest.cassette import quicktext, yamltext
from lmtest.cassette.canonical import digest
from lmtest.cassette.interaction import (
    EventStream,
    Failure,
    Header,
    Interaction,
    Raised,
    Reply,
    Result,
    StreamedEvent,
)
from lmtest.errors import CassetteFormatError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lmtest.cassette.interaction import Json, Outcome

FORMAT: Final = 1
"""The version of the file format that this lmtest writes."""

MIGRATIONS: dict[int, Callable[[Json], Json]] = {}
"""For each older format, what turns one of its interaction documents into one of the next format."""

_HEADER: Final = {
    "format": int,
    "recorded_at": str,
    "source": str,
    "lmtest": str,
    "dspy": str,
    "test": str,
    "executed": dict,
}
"""The fields of a header that are known here, as they stand in a file, with their types."""

_TITLE = "# An lmtest cassette. To read it as a conversation: lmtest show FILE\n"
_ROLES = frozenset({"user", "assistant", "developer", "tool", "system"})


def encode_header(header: Header) -> str:
    """Write a header as the text that starts a file.

    >>> print(encode_header(Header(format=1, recorded_at="2026-11-20T12:00:00Z", source="stand-in", lmtest="0.1.0")))
    # An lmtest cassette. To read it as a conversation: lmtest show FILE
    format: 1
    recorded_at: "2026-11-20T12:00:00Z"
    source: stand-in
    lmtest: "0.1.0"
    <BLANKLINE>
    """
    fields = {name: getattr(header, name) for name in _HEADER} | header.further
    return _TITLE + yamltext.dump({name: value for name, value in fields.items() if value is not None})


def decode_header(text: str, *, path: Path) -> Header:
    """Read the text before the first interaction.

    Raises:
        CassetteFormatError: It is no header, or one of a newer format.
    """
    if (quick := _written_header(text)) is not None:
        return quick
    data = yamltext.load_any(text, path=path)
    version = data.get("format") if isinstance(data, dict) else None
    if isinstance(version, bool) or not isinstance(version, int):
        raise CassetteFormatError(
            f"{path}:1: {_what_it_is(data)}. Name a cassette, or record one here with LM_MODE=record.",
            path=path,
            line=1,
        )
    missing = next((older for older in range(version, FORMAT) if older not in MIGRATIONS), None)
    if missing is not None:
        raise CassetteFormatError(
            f"{path}:1: this cassette is of format {version}, and this lmtest no longer reads format {missing}. "
            "Record it again with LM_MODE=record.",
            path=path,
            line=1,
        )
    if version > FORMAT:
        raise CassetteFormatError(
            f"{path}:1: this cassette is of format {version}, written by lmtest {data.get('lmtest', '(unknown)')}; "
            f"this lmtest knows formats up to {FORMAT}. Upgrade it: pip install --upgrade lmtest",
            path=path,
            line=1,
        )
    try:
        for name, kind in _HEADER.items():
            _expect(data, name, kind, optional=name in {"dspy", "test", "executed"})
        known = {name: data[name] for name in _HEADER if name in data}
        return Header(**known, further={name: value for name, value in data.items() if name not in _HEADER})
    except (KeyError, TypeError) as error:
        raise CassetteFormatError(
            f"{path}:1: the header is not whole ({type(error).__name__}: {error}). "
            "Restore it from version control, or record it again with LM_MODE=record.",
            path=path,
            line=1,
        ) from error


def _what_it_is(data: Any) -> str:
    """What a file is that begins with other data than a header."""
    if data is None:
        return "the file is empty"
    if isinstance(data, dict) and "interactions" in data:
        return "this is a cassette of another recorder, such as vcrpy or cassetter, which cannot be played"
    return f"no line 'format: {FORMAT}' at the top, so this is not an lmtest cassette"


# A header as we write it; what holds more than such lines, such as an escape, is left to the YAML parser.
_PLAIN = r'(?:"[^"\\\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]+"|[a-z][a-z0-9._-]*[a-z0-9]|[1-9][0-9]*)\n'
_PLAIN_HEADER = re.compile(
    re.escape(f"{_TITLE}format: {FORMAT}\n")
    + rf"(?:(?:recorded_at|source|lmtest|dspy|test): {_PLAIN})+"
    + rf"(?:executed:\n(?:  [a-z0-9_]+: {_PLAIN})+(?:  inputs:\n(?:    [A-Za-z_]\w*: {_PLAIN})+)?)?",
    re.ASCII,
)


def _written_header(text: str) -> Header | None:
    """A header of this format read the quick way, or None where it does not stand there as it was written."""
    data = quicktext.read(text.removeprefix(_TITLE)) if _PLAIN_HEADER.fullmatch(text) else None
    # A word such as `true` is no text.
    if data is None or not all(type(data[name]) is kind for name, kind in _HEADER.items() if name in data):
        return None
    if not all(type(value) in {str, int, dict} for value in (data.get("executed") or {}).values()):
        return None
    try:
        return Header(**data)
    except TypeError:
        return None


def encode(interaction: Interaction) -> str:
    """Write an interaction as one document, with the line ``---`` before it."""
    name, outcome = _OUTCOMES[type(interaction.outcome)](interaction.outcome)
    document: Json = {
        "key": interaction.key,
        "recorded_at": interaction.recorded_at,
        "provider": interaction.provider,
        "request": _shorten(interaction.request),
        name: outcome,
        "cost": None if interaction.cost is None else format(interaction.cost, "f"),
        "latency": interaction.latency,
        "thought": interaction.thought,
    }
    document = {key: value for key, value in document.items() if value is not None or key == name}
    key = document.pop("key")
    # Quoted by hand: a reader could take one without a letter for a number.
    text = f'key: "{key}"\n{yamltext.dump(document)}'
    return f'---\n{text}digest: "{_digest(text)}"\n'


def decode(text: str, *, path: Path, line: int = 1, version: int = FORMAT, request: Json | None = None) -> Interaction:
    """Read one interaction's document.

    Args:
        text: The document, from its key to its digest.
        path: The file, for messages.
        line: The line of the file on which it starts.
        version: The file's format.
        request: The request whose key the document has, where it is at hand: then the document's own is read only
            when somebody edited it.

    Raises:
        CassetteFormatError: It does not read as an interaction.
    """
    proven = _proven(text)
    known = {"request": request} if request is not None and version == FORMAT else {}
    document = quicktext.read(proven, but="request" if known else None) if proven is not None else None
    if document is None:
        document, known = yamltext.load(text, path=path, line=line), {}
    try:
        for older in range(version, FORMAT):
            document = MIGRATIONS[older](document)
        document |= known
        _check(document)
        cost = document.get("cost")
        return Interaction(
            key=document["key"],
            request=_lengthen(document["request"]),
            outcome=_outcome(document),
            provider=document.get("provider"),
            cost=None if cost is None else Decimal(str(cost)),
            latency=document.get("latency"),
            recorded_at=document.get("recorded_at"),
            thought=document.get("thought"),
            digest=stated(text) if proven is not None else digest_of(text),
        )
    except (KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise CassetteFormatError(
            f"{path}:{line}: this interaction is not whole ({type(error).__name__}: {error}). "
            "Restore it from version control, or record it again with LM_MODE=record.",
            path=path,
            line=line,
        ) from error


def _check(document: Json) -> None:
    """Make sure that each part is of the type that whoever plays it relies on."""
    _expect(document, "key", str)
    _expect(document, "request", dict)
    _expect(document["request"], "messages", list, optional=True)
    for name in ("provider", "recorded_at", "thought"):
        _expect(document, name, str, optional=True)
    _expect(document, "latency", float, optional=True)
    if "reply" in document:
        _expect(document, "reply", dict)
        _expect(document["reply"], "usage", dict, optional=True)
    if ("result" in document or "raised" in document) != ("tool" in document["request"]):
        raise TypeError("a model's outcome stands under a tool's call, or a tool's under a model's")
    if "tool" in document["request"]:
        _expect(document["request"], "tool", str)
        _expect(document["request"], "arguments", dict, optional=True)


def _expect(holder: Json, name: str, kind: type, *, optional: bool = False) -> None:
    value = holder.get(name) if optional else holder[name]
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
        raise TypeError(f"{name!r} is of type {type(value).__name__} where {kind.__name__} was expected")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of(text: str) -> str:
    """SHA-256 of a document as it stands there, whatever digest it states."""
    return _digest(text.replace("\r\n", "\n").rpartition('digest: "')[0] or text)


def stated(text: str) -> str:
    r"""Give the digest that a document states in its last line.

    >>> stated('key: "k"\ndigest: "0a"\n')
    '0a'
    """
    return text.rpartition('digest: "')[2].strip().removesuffix('"')


def _proven(text: str) -> str | None:
    """The text before a document's digest, or None where that does not prove that it is as it was written.

    A checkout on Windows may have turned the line ends; no other carriage return is ever written as it is.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    before, _, last = text.rpartition('digest: "')
    return before if last.rstrip("\n") == f'{_digest(before)}"' else None


def is_intact(text: str, *, path: Path, line: int = 1) -> bool:
    """Whether a document still is what was recorded: its digest and its key both hold.

    Raises:
        CassetteFormatError: It does not read as a document.
    """
    proven = _proven(text)
    document = quicktext.read(proven) if proven is not None else None
    if document is None:
        document = yamltext.load(text, path=path, line=line)
    return proven is not None and document.get("key") == digest(_lengthen(document.get("request") or {}))


# ── outcomes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _encode_reply(reply: Reply) -> tuple[str, Json]:
    response = dict(reply.response)
    if message := response.get("message"):
        response["message"] = _short_message(message)
    # What people review stands first, what providers say beside it last.
    order = ("message", "finish_reason", "usage")
    ordered = {name: response.pop(name) for name in order if name in response}
    provider_data = response.pop("provider_data", None)
    ordered |= response
    if provider_data is not None:
        ordered["provider_data"] = provider_data
    return "reply", ordered


def _encode_stream(stream: EventStream) -> tuple[str, list[Json]]:
    return "left" if stream.left else "stream", [{"at": item.at, "event": item.event} for item in stream.events]


def _encode_failure(failure: Failure) -> tuple[str, Json]:
    fields = {name: getattr(failure, name) for name in failure.__slots__ if name != "events"}
    data = {name: value for name, value in fields.items() if value is not None and value != {}}
    if failure.events:
        data["events"] = _encode_stream(EventStream(events=failure.events))[1]
    return "failure", data


def _encode_raised(raised: Raised) -> tuple[str, Json]:
    arguments = {} if raised.arguments is None else {"arguments": list(raised.arguments)}
    return "raised", {"type": raised.kind, "message": raised.message, **arguments}


_OUTCOMES: dict[type, Callable[[Any], tuple[str, Any]]] = {
    Reply: _encode_reply,
    EventStream: _encode_stream,
    Failure: _encode_failure,
    Result: lambda result: ("result", result.value),
    Raised: _encode_raised,
}


def _outcome(document: Json) -> Outcome:
    if "reply" in document:
        response = dict(document["reply"])
        if message := response.get("message"):
            response["message"] = _long_message(message)
        return Reply(response=response)
    for name in ("stream", "left"):
        if name in document:
            return EventStream(events=_events(document[name]), left=name == "left")
    if "result" in document:
        return Result(value=document["result"])
    if "raised" in document:
        return _raised(document["raised"])
    failure = dict(document["failure"])
    for name in ("code", "message"):
        _expect(failure, name, str)
    _expect(failure, "details", dict, optional=True)
    return Failure(**failure | {"events": _events(failure.get("events", ()))})


def _raised(raised: Json) -> Raised:
    for name, kind in (("type", str), ("message", str)):
        _expect(raised, name, kind)
    _expect(raised, "arguments", list, optional=True)
    arguments = raised.get("arguments")
    return Raised(
        kind=raised["type"], message=raised["message"], arguments=None if arguments is None else tuple(arguments)
    )


def _events(items: list[Json]) -> tuple[StreamedEvent, ...]:
    for item in items:
        _expect(item, "at", float)
        _expect(item, "event", dict)
        _expect(item["event"], "usage", dict, optional=True)
    return tuple(StreamedEvent(at=float(item["at"]), event=item["event"]) for item in items)


# ── messages ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _shorten(request: Json) -> Json:
    # In the order in which a model is told.
    ordered = {name: request[name] for name in ("model", "system", "messages", "tools") if name in request}
    if "messages" in ordered:
        ordered["messages"] = [_short_message(message) for message in ordered["messages"]]
    return ordered | {name: value for name, value in request.items() if name not in ordered}


def _lengthen(request: Json) -> Json:
    if "messages" not in request:
        return request
    return {**request, "messages": [_long_message(message) for message in request["messages"]]}


def _short_message(message: Any) -> Any:
    match message:
        case {"role": str(role), "parts": [{"type": "text", "text": str(text), **beside}], **more}:
            if not beside and not more and role in _ROLES:
                return {role: text}
    return message


def _long_message(message: Any) -> Any:
    if isinstance(message, dict) and len(message) == 1:
        [(role, text)] = message.items()
        if role in _ROLES and isinstance(text, str):
            return {"role": role, "parts": [{"type": "text", "text": text}]}
    return message
