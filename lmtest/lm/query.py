"""What a call asks of a model: the same value in every mode, and what its key is over."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from dspy import lm15
from pydantic import BaseModel

from lmtest.lm import translate

if TYPE_CHECKING:
    from lmtest.cassette.interaction import Json

# How a request travels, not what it asks; a number of candidates is asked for, and a rollout, each in its own place.
_TRANSPORT: Final = frozenset(
    {
        "api_base", "api_key", "api_version", "azure_ad_token_provider", "base_url", "cache", "caching",
        "extra_headers", "headers", "logger_fn", "max_retries", "n", "num_retries", "organization", "project",
        "request_timeout", "rollout_id", "stream", "stream_options", "timeout",
    }
)  # fmt: skip


# Settings that stand for themselves where an answer is made up.
_SIMPLE: Final = (
    "tools", "tool_choice", "response_format", "max_tokens", "max_completion_tokens", "temperature", "stop", "logprobs",
    "top_logprobs",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Query:
    """What a call asks.

    Attributes:
        request: In canonical form, which does not depend on who carries it; of a call that has none, its texts.
        body: What DSPy gives to LiteLLM, of a call that has no canonical form; else None.
        candidates: How many answers are wanted of one request that can ask for several.
        rollout: DSPy's ``rollout_id``, which tells apart calls that ask the same; None without one.
    """

    request: lm15.Request
    body: Json | None = None
    candidates: int = 1
    rollout: Any = None

    @classmethod
    def recorded(cls, data: Json, *, model: str) -> Query:
        """Read what a call asked from its recording, of another model."""
        asked = data | {"model": model}
        rollout, candidates = asked.pop("rollout_id", None), asked.pop("n", 1)
        if is_canonical(data):
            return cls(request=translate.request_from_json(asked), candidates=candidates, rollout=rollout)
        body = asked if candidates == 1 else asked | {"n": candidates}
        return cls(request=texts_of(body), body=body, candidates=candidates, rollout=rollout)

    @property
    def model(self) -> str:
        """The model, as DSPy names it."""
        return str(self.request.model)

    @property
    def system(self) -> str:
        """The instructions; empty where there are none."""
        return str(self.request.system or "")

    @property
    def max_tokens(self) -> int | None:
        """How much output the call allows, where it says so."""
        body = self.body or {}
        return self.request.config.max_tokens or body.get("max_completion_tokens") or body.get("max_tokens")

    @cached_property
    def data(self) -> Json:
        """The call as plain data, from which its key is made."""
        data = translate.request_json(self.request) if self.body is None else plain_body(self.body)
        return data if self.rollout is None else data | {"rollout_id": self.rollout}

    @property
    def several(self) -> Json:
        """The call as plain data, where one request asks for all of its candidates."""
        return self.data if self.candidates == 1 else self.data | {"n": self.candidates}

    @property
    def exactly(self) -> bytes | None:
        """Bytes that no other call has, where they are cheaper than the data; see `translate.exactly`."""
        plain = self.body is None and self.rollout is None and self.candidates == 1
        return translate.exactly(self.request) if plain else None

    @property
    def forms(self) -> tuple[Json, ...]:
        """The data under which the call may be recorded, the likeliest first; one for nearly every call.

        Cassettes from before rollouts were told apart hold them under what they have in common.
        """
        common = {name: value for name, value in self.data.items() if name != "rollout_id"}
        several = () if self.candidates == 1 else (self.several,)
        return (*several, self.data, *(() if self.rollout is None else (common,)))


def is_canonical(data: Json) -> bool:
    """Decide whether a recorded request is in lm15's form; else it is what LiteLLM was given.

    >>> is_canonical({"model": "m", "messages": [{"role": "user", "parts": []}]})
    True
    >>> is_canonical({"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
    False
    """
    return all(isinstance(message, dict) and "parts" in message for message in data.get("messages") or ())


def texts_of(body: Json) -> lm15.Request:
    """Give the texts of a call that has no canonical form as a request, with the settings that have one.

    It stands for the call where its content does not matter, or where an answer is made up for it.
    """
    messages = [_simple(message) for message in body.get("messages") or ()]
    if all(message["role"] == "system" for message in messages):
        messages = [{**message, "role": "user"} for message in messages] or [{"role": "user", "content": "?"}]
    asked: Json = {"model": body["model"], "messages": messages}
    for settings in ({name: body[name] for name in _SIMPLE if body.get(name) is not None}, {}):
        try:
            return lm15.request_from_openai_chat(asked | settings)
        except (TypeError, ValueError, lm15.LM15Error):
            continue
    return lm15.Request(body["model"], (lm15.Message.user("?"),))


def _simple(message: Json) -> Json:
    content = message.get("content")
    if not isinstance(content, str):
        parts = content if isinstance(content, list) else []
        content = "\n".join(
            str(part.get("text") or f"[{part.get('type')}]") for part in parts if isinstance(part, dict)
        )
    role = message.get("role")
    return {"role": role if role in {"system", "assistant"} else "user", "content": content or "?"}


def plain_body(body: Json) -> Json:
    """Give what LiteLLM is asked as plain data, without the way it takes."""
    return {
        name: plain
        for name, value in body.items()
        if name not in _TRANSPORT and value is not None and (plain := _plain(value)) is not _NOTHING
    }


_NOTHING: Final = object()


def _plain(value: Any) -> Any:
    """Give a value as JSON has it; a function is no part of what is asked."""
    match value:
        case None | bool() | int() | float() | str():
            plain: Any = value
        case dict():
            items = {str(name): _plain(item) for name, item in value.items()}
            plain = {name: item for name, item in items.items() if item is not _NOTHING}
        case list() | tuple() | set() | frozenset():
            ordered = value if isinstance(value, list | tuple) else sorted(value, key=repr)
            plain = [item for item in map(_plain, ordered) if item is not _NOTHING]
        case bytes():
            plain = base64.b64encode(value).decode()
        case type() if issubclass(value, BaseModel):
            plain = value.model_json_schema()
        case BaseModel():
            plain = _plain(value.model_dump())
        case _:
            plain = _NOTHING if callable(value) else repr(value)
    return plain
