"""Engines for ``mock`` mode: DSPy's engine contract, answered by ``lmtest.lm.answers``."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, cast

from dspy.lm15 import (
    DataPart,
    FunctionTool,
    Message,
    Request,
    Response,
    StreamDeltaEvent,
    TextDelta,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
    Usage,
    response_to_events,
)

from lmtest.cassette.cassette import MOCKED, Call
from lmtest.cassette.interaction import Usage as TokenUsage
from lmtest.lm import translate
from lmtest.lm.answers import Answer, Prompt, count_tokens, inputs_of, write_answer
from lmtest.lm.caller import find_caller
from lmtest.lm.rules import Asked
from lmtest.lm.seam import handed_through
from lmtest.lm.steps import ToolSpec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from lmtest.cassette.cassette import Cassette
    from lmtest.cassette.interaction import Json
    from lmtest.lm.answers import Told
    from lmtest.lm.caller import Caller
    from lmtest.lm.query import Query
    from lmtest.lm.rules import Script


class MockEngine:
    """Answers every request by itself: typed, deterministic, free, and marked by an id that starts with ``mock-``.

    >>> engine = MockEngine()
    >>> engine.complete(Request(model="gemini-2.5-flash", messages=(Message.user("Why is the sky blue?"),))).text
    'Mock answer for "Why is the sky blue?": harbor.'

    Args:
        cassette: The open cassette that keeps count of the calls, where there is one.
        script: What is replied to some calls, where anything is.
        query: What the call asks, where the request that it is given does not hold all of it.
    """

    def __init__(
        self, cassette: Cassette | None = None, script: Script | None = None, query: Query | None = None
    ) -> None:
        self._cassette = cassette
        self._script = script
        self._query = query

    def complete(self, request: Request) -> Response:
        """Answer one request whole.

        Raises:
            ValueError: The request's schema is one that nothing fits.
            ConfigurationError: A rule of the script cannot be used.
            Exception: What a rule of the script raises.
        """
        prompt = _prompt(request)
        caller = find_caller()
        told = self._told(prompt, request.model, caller) if self._script else None
        response = _response(
            request.model, prompt, write_answer(prompt, max_tokens=request.config.max_tokens, asker=caller, told=told)
        )
        if self._cassette is not None:
            asked = self._query.data if self._query else translate.request_json(request)
            self._cassette.note(_made_up(asked, response, self._cassette))
        return response

    def _told(self, prompt: Prompt, model: str, caller: Caller | None) -> Told:
        assert self._script is not None
        ending = tuple(caller.ending.output_fields) if caller and caller.ending else ()
        fields = (*caller.signature.output_fields, *ending) if caller else ()
        asked = Asked(text=prompt.asked, inputs=inputs_of(prompt), fields=fields, model=model)
        with handed_through():
            return self._script.reply(asked)

    def stream(self, request: Request) -> Iterator[Any]:
        """Answer one request as lm15 stream events, the text a few words at a time."""
        for event in response_to_events(self.complete(request)):
            if isinstance(event, StreamDeltaEvent) and isinstance(event.delta, TextDelta):
                for piece in Answer(id="", text=event.delta.text).pieces:
                    yield replace(event, delta=replace(event.delta, text=piece))
            else:
                yield event

    def close(self) -> None:
        """Nothing is held open."""


class AsyncMockEngine:
    """The asynchronous twin of `MockEngine`; both answer a request alike."""

    def __init__(
        self, cassette: Cassette | None = None, script: Script | None = None, query: Query | None = None
    ) -> None:
        self._engine = MockEngine(cassette, script, query)

    async def complete(self, request: Request) -> Response:
        """Answer one request whole."""
        return self._engine.complete(request)

    async def stream(self, request: Request) -> AsyncIterator[Any]:
        """Answer one request as lm15 stream events."""
        for event in self._engine.stream(request):
            yield event

    async def aclose(self) -> None:
        """Nothing is held open."""


def _made_up(asked: Json, response: Response, cassette: Cassette) -> Call:
    key, normal = cassette.normalise(asked)
    usage = translate.reply(response).response.get("usage", {})
    return Call(
        key=key,
        model=normal["model"],
        hit=MOCKED,
        usage=TokenUsage.from_mapping(usage),
        cost=Decimal(0),
        worth=Decimal(0),
        latency=0.0,
    )


def _prompt(request: Request) -> Prompt:
    config = request.config
    response_format = config.response_format or {}
    choice = config.tool_choice
    tools = [tool for tool in request.tools if isinstance(tool, FunctionTool)]
    if choice is not None:
        tools = [] if choice.mode == "none" else [t for t in tools if not choice.allowed or t.name in choice.allowed]
    system = request.system or ""
    return Prompt(
        system=system if isinstance(system, str) else _text(system),
        turns=tuple((_role(message), _text(message.parts)) for message in request.messages),
        tools=tuple(ToolSpec(name=t.name, description=t.description or "", parameters=t.parameters) for t in tools),
        tool_required=choice is not None and choice.mode == "required",
        response_schema=response_format.get("schema"),
        json_mode=bool(response_format),
        thinking=config.reasoning is not None and config.reasoning.summary is not None,
        seed=config.seed,
    )


def _role(message: Message) -> Literal["user", "assistant", "tool"]:
    return "user" if message.role == "developer" else cast("Literal['user', 'assistant', 'tool']", message.role)


def _text(parts: Iterable[Any]) -> str:
    return "\n".join(_part_text(part) for part in parts)


def _part_text(part: Any) -> str:
    if isinstance(part, TextPart | ThinkingPart):
        return str(part.text)
    if isinstance(part, ToolCallPart):
        return f"{part.name}({json.dumps(part.input)})"
    if isinstance(part, ToolResultPart):
        return _text(part.content)
    if isinstance(part, DataPart):
        return json.dumps(part.value, ensure_ascii=False)
    # Other media must give another answer, but their bytes are no part of a prompt's length.
    return f"[{part.type} {hashlib.sha256(repr(asdict(part)).encode()).hexdigest()[:8]}]"


def _response(model: str, prompt: Prompt, answer: Answer) -> Response:
    parts: list[Any] = [ThinkingPart(answer.thinking)] if answer.thinking else []
    parts += [
        ToolCallPart(id=f"{answer.id}-{index}", name=call.name, input=call.arguments)
        for index, call in enumerate(answer.tool_calls)
    ]
    if not answer.tool_calls:
        parts.append(TextPart(answer.text))
    thought = count_tokens(answer.thinking) if answer.thinking else None
    return Response(
        id=answer.id,
        model=model,
        message=Message.assistant(parts),
        finish_reason=answer.finish,
        usage=Usage(
            input_tokens=prompt.tokens,
            output_tokens=answer.tokens,
            total_tokens=prompt.tokens + answer.tokens + (thought or 0),
            reasoning_tokens=thought,
        ),
    )
