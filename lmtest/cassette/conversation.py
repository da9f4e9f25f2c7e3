"""An interaction as a conversation that a person reads."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from lmtest.cassette import assembled
from lmtest.cassette.interaction import EventStream, Failure, Raised, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmtest.cassette.interaction import Interaction, Outcome

Turn = tuple[str, str]
"""Who speaks, and what they say."""


def turns(interaction: Interaction) -> Iterator[Turn]:
    """Give what was said, by whom, in order: the system, each message, and the answer.

    >>> from lmtest.cassette.interaction import Interaction, Reply
    >>> part = {"type": "text", "text": "Hi"}
    >>> asked = {"system": "Be kind.", "messages": [{"role": "user", "parts": [part]}]}
    >>> answer = Reply(response={"message": {"role": "assistant", "parts": [part]}})
    >>> list(turns(Interaction(key="k", request=asked, outcome=answer)))
    [('system', 'Be kind.'), ('user', 'Hi'), ('assistant', 'Hi')]
    """
    request = interaction.request
    if system := request.get("system"):
        yield "system", system if isinstance(system, str) else _parts(system)
    for message in request.get("messages", []):
        yield _message(message)
    if tools := request.get("tools"):
        yield "tools", ", ".join(str(tool.get("name")) if isinstance(tool, dict) else str(tool) for tool in tools)
    for text in request["embed"] if interaction.embeds else ():
        yield "embed", _brief(text)
    if interaction.tool:
        yield f"tool {interaction.tool}", _brief(request.get("arguments", {}))
    if config := request.get("config"):
        yield "settings", "\n".join(f"{name}: {_brief(value)}" for name, value in config.items())
    yield from _answer(interaction.outcome)


def _answer(outcome: Outcome) -> Iterator[Turn]:
    if isinstance(outcome, Result):
        yield "result", _brief(outcome.value)
        return
    if isinstance(outcome, Raised):
        yield f"failure ({outcome.kind})", outcome.message
        return
    if isinstance(outcome, Failure):
        if outcome.events:
            yield "assistant (cut off)", _streamed(outcome.events)
        after = f", retry after {outcome.retry_after:g} s" if outcome.retry_after is not None else ""
        yield f"failure ({outcome.code}{after})", outcome.message
    elif isinstance(outcome, EventStream):
        how = "given up after" if outcome.left else "streamed in"
        yield f"assistant ({how} {len(outcome.events)} events)", _streamed(outcome.events)
    elif isinstance(vectors := outcome.response.get("vectors"), dict):
        yield "vectors", "{count} of {dimensions} dimensions [{data}]".format_map(defaultdict(str, vectors))
    else:
        message = outcome.response.get("message")
        yield _message(message) if isinstance(message, dict) else ("assistant", _brief(outcome.response))


def _streamed(events: Any) -> str:
    return _parts(assembled.parts(streamed.event for streamed in events))


def _message(message: Any) -> Turn:
    if not isinstance(message, dict):
        return "?", _brief(message)
    # What has no canonical form keeps LiteLLM's, which says it under `content`.
    return str(message.get("role", "?")), _parts(message.get("parts", message.get("content") or []))


def _parts(parts: Any) -> str:
    return "\n".join(_part(part) for part in parts) if isinstance(parts, list) else _brief(parts)


def _part(part: Any) -> str:
    match part:
        case {"type": "text", "text": str(text)}:
            said = text
        case {"type": "thinking" | "refusal" as kind, "text": str(text)}:
            said = f"({kind}) {text}"
        case {"type": "tool_call", "name": name, **more}:
            said = f"→ {name}({_brief(more.get('input', {}))})"
        case {"type": "tool_result", "content": content, **more}:
            said = f"← {more.get('name') or more.get('id')}: {_parts(content)}"
        case {"type": kind, "media_type": media_type, **more}:
            said = f"[{kind} {media_type}: {more.get('data') or more.get('url') or more.get('file_id')}]"
        case {"type": kind, **more}:
            said = f"[{kind}] {_brief(more)}"
        case _:
            said = _brief(part)
    return said


def _brief(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
