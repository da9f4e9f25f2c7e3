"""How many tokens a request has, estimated before it is sent: never too few, and by what they are made of."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from lmtest.lm import media
from lmtest.lm.families import family
from lmtest.lm.tokenizer import text_tokens
from lmtest.money.estimate import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lmtest.cassette.interaction import Json
    from lmtest.lm.families import Family

_UNKNOWN_WINDOW: Final = 1_048_576
"""The most that a model can be sent at all, where no table says: Gemini's window, the largest that is common."""

# How it is answered, and by whom: no part of what the model reads.
_SETTINGS: Final = frozenset(
    {
        "audio", "cache", "frequency_penalty", "function_call", "generationConfig", "generation_config",
        "logprobs", "max_completion_tokens", "max_output_tokens", "max_tokens", "metadata", "modalities",
        "model", "n", "output", "parallel_tool_calls", "presence_penalty", "probabilities", "reasoning",
        "reasoning_effort", "response_modalities", "responseModalities", "rollout_id", "seed", "service_tier",
        "stop", "store", "stream", "temperature", "tool_choice", "top_k", "top_logprobs", "top_p", "user",
        "user_id", "verbosity",
    }
)  # fmt: skip
_OUTER: Final = ("messages", "system", "config", "extensions")
_SCHEMATA: Final = ("tools", "functions", "response_format")
# What only holds the words of a message together.
_FRAME: Final = frozenset({"content", "messages", "parts", "role", "system", "text", "type"})
_ANSWERED_IN: Final = ("modalities", "responseModalities", "response_modalities", "output")


def estimated_tokens(request: Json, model: str) -> int:
    """Estimate a request's input tokens, see `estimate`.

    >>> estimated_tokens({"system": "Be brief.", "messages": []}, "gemini/gemini-2.5-flash")
    15
    """
    return estimate(request, model).input_tokens


def estimate(request: Json, model: str) -> Estimate:
    """Estimate what a request holds.

    Text is counted by the model's own tokenizer where that is public, else held by its bytes
    (`lmtest.lm.tokenizer`); media are counted as its provider says (`lmtest.lm.families`), by what their bytes tell.
    A sound, video or document that is only named, or cannot be read, is held at all that the model can be sent.

    Args:
        request: As lm15 serialises it, or as LiteLLM is given it.
        model: As DSPy names it.
    """
    rules, tokens = family(model), Counter[str]()
    for said in _said(request):
        found = media.inline(said) if isinstance(said, str) and said.startswith("data:") else said
        if isinstance(found, str):
            tokens["text"] += text_tokens(found, model)
        elif found is not None:
            tokens.update(_medium(found, rules, model))
    messages = request.get("messages")
    tokens["text"] += rules.message * (len(messages) + 1 if isinstance(messages, list) else 1)
    if any(_settings(request, name) for name in _SCHEMATA):
        tokens["text"] += rules.schema
    return Estimate(**tokens, answered_in=_answered_in(request, model))


def received_tokens(events: Iterable[Json], model: str = "") -> int:
    """Estimate the output tokens of what was received of an answer, rather too many than too few.

    Args:
        events: Of a stream, as lm15 serialises them.
        model: Who answered, as DSPy names it.

    >>> received_tokens([{"type": "delta", "delta": {"type": "text", "text": "Paris, the capital"}}])
    13
    """
    deltas = (event.get("delta") or {} for event in events)
    # In one piece: a stream may cut words anywhere.
    return text_tokens("".join(delta.get("text") or delta.get("input") or "" for delta in deltas), model)


def _medium(found: media.Medium, rules: Family, model: str) -> dict[str, int]:
    """A medium's tokens, by kind; the sound of a video is part of it."""
    content = found.content
    if found.kind == "image":
        return {"image": rules.image(media.size(content) if content else None, found.detail)}
    if found.kind == "text" and content is not None:
        return {"text": text_tokens(media.as_text(content), model)}
    from lmtest.lm.seam import most_input_tokens  # late: it brings DSPy, and text is estimated without its table

    most = most_input_tokens(model) or _UNKNOWN_WINDOW
    if content is None:
        return {"document" if found.kind == "text" else found.kind: most}
    if found.kind == "document":
        count = media.pages(content)
        return {"document": most if count is None else count * rules.page}
    length = media.seconds(content)
    if found.kind == "audio":
        seconds = media.held_seconds(content) if length is None else length
        return {"audio": min(most, math.ceil(seconds * rules.sound))}
    return {"video": most if length is None else math.ceil(length * (rules.frame * found.frames + rules.sound))}


def _said(request: Json) -> Iterator[str | media.Medium]:
    """The texts and media of a request, its settings left out."""
    for name, value in request.items():
        if name in _OUTER and isinstance(value, dict):
            yield from _said(value)
        elif name not in _SETTINGS:
            yield from _read(value) if name in _OUTER else _field(name, value)


def _field(name: str, value: Any) -> Iterator[str | media.Medium]:
    yield f'"{name}":'
    yield from _read(value)


def _read(value: Any) -> Iterator[str | media.Medium]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _read(item)
    elif isinstance(value, dict):
        if (found := media.medium(value)) is not None:
            yield found
        else:
            yield from _object(value)
    elif value is not None:
        yield f"{json.dumps(value, default=str)},"


def _object(value: Json) -> Iterator[str | media.Medium]:
    """A part or a message, or data: those cost their names and signs, too."""
    for name, item in value.items():
        if name in _FRAME and not (name == "type" and "parts" not in value and "text" not in value):
            if name not in {"type", "role"}:
                yield from _read(item)
        else:
            yield from _field(name, item)
            yield '{"",}'


def _settings(request: Json, name: str) -> Any:
    return request.get(name) or (request.get("config") or {}).get(name)


def _answered_in(request: Json, model: str) -> tuple[str, ...]:
    """Find what else than text is asked for: by the request, or by a model that does nothing else."""
    config = request.get("config") or {}
    places = [request, config, config.get("extensions") or {}]
    places += [place[name] for place in places for name in ("generationConfig", "generation_config") if name in place]
    asked = json.dumps([place.get(name) for place in places for name in _ANSWERED_IN], default=str).lower()
    speaks = "audio" in asked or "-tts" in model
    return ("audio",) if speaks else ()
