"""A request's tokens as its provider counts them: asked for before the call, where that costs nothing.

Gemini counts by kind (https://ai.google.dev/api/tokens#method:-models.counttokens), Claude in one sum
(https://platform.claude.com/docs/en/build-with-claude/token-counting). The count goes the way of the call, with its
key, as a request of its own: the call stays as it is.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmtest.lm.seam import wire
from lmtest.money.estimate import Estimate

if TYPE_CHECKING:
    from lmtest.cassette.interaction import Json

_PATIENCE: Final = 10.0
"""Seconds; an estimate takes none."""

# What of Claude's request its counter takes; it refuses all else.
_COUNTED: Final = ("messages", "model", "system", "tools", "tool_choice", "thinking", "mcp_servers", "output_config")
_KINDS: Final = {"IMAGE": "image", "AUDIO": "audio", "VIDEO": "video", "DOCUMENT": "document"}


class _Question(NamedTuple):
    send: Any
    request: Any


def count(backend: Any, request: Any, estimated: Estimate) -> Estimate:
    """Ask a provider how many tokens a request has.

    Args:
        backend: DSPy's, that will carry the call.
        request: What it will be given.
        estimated: What stands where nobody counts, or the count fails: it must not stop the call.
    """
    try:
        question = _question(backend, request)
        return estimated if question is None else _read(question.send(question.request), estimated)
    except Exception:  # noqa: BLE001 - whatever is wrong with the call, its own answer tells
        return estimated


async def count_async(backend: Any, request: Any, estimated: Estimate) -> Estimate:
    """Ask as `count` does, leaving the event loop free."""
    try:
        question = await asyncio.to_thread(_question, backend, request)
        return estimated if question is None else _read(await question.send(question.request), estimated)
    except Exception:  # noqa: BLE001 - likewise
        return estimated


def _question(backend: Any, request: Any) -> _Question | None:
    if (call := wire(backend, request)) is None:
        return None
    asked, body = call.request, json.loads(call.request.body)
    if call.provider == "gemini" and (model := re.search(r"/(models/[^/:?]+):generateContent(?=\?|$)", asked.url)):
        url = asked.url[: model.end(1)] + ":countTokens" + asked.url[model.end() :]
        body = {"generateContentRequest": {"model": model[1], **body}}
    elif call.provider == "anthropic" and asked.url.endswith("/messages"):
        url = f"{asked.url}/count_tokens"
        body = {name: body[name] for name in _COUNTED if name in body}
    else:
        return None
    content = json.dumps(body).encode()
    kind = type(asked)
    headers = [(name, value) for name, value in asked.headers if name.lower() != "content-length"]
    return _Question(call.send, kind(asked.method, url, headers, content, _PATIENCE, _PATIENCE, _PATIENCE))


def _read(response: Any, estimated: Estimate) -> Estimate:
    if response.status != 200:
        return estimated
    said: Json = json.loads(response.body)
    if isinstance(total := said.get("input_tokens"), int):
        return Estimate(text=total, answered_in=estimated.answered_in)
    total = said["totalTokens"]
    kinds = {
        _KINDS[each["modality"]]: each["tokenCount"]
        for each in said.get("promptTokensDetails") or ()
        if each.get("modality") in _KINDS and each.get("tokenCount")
    }
    return Estimate(text=max(0, total - sum(kinds.values())), **kinds, answered_in=estimated.answered_in)
