"""The Gemini REST protocol as data: requests in, prompts out; answers in, bodies out.

The shapes follow Google's reference for ``generativelanguage.googleapis.com``
(https://ai.google.dev/api/generate-content); protobuf's JSON rules accept ``camelCase`` and ``snake_case`` alike.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from genai_prices.data_snapshot import get_snapshot
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from lmtest.lm.answers import Answer, Prompt, count_tokens
from lmtest.lm.steps import ToolSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from genai_prices.types import ModelInfo

_GENERATES = ("generateContent", "streamGenerateContent", "countTokens")
_MOST_CANDIDATES = 8


class GeminiError(Exception):
    """An error as Google words it.

    Attributes:
        code: The HTTP status.
        body: What the client receives.
    """

    def __init__(self, code: int, status: str, message: str, *, details: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(message)
        self.code = code
        error: dict[str, Any] = {"code": code, "message": message, "status": status}
        self.body = {"error": error | ({"details": list(details)} if details else {})}


class _Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class _Media(_Wire):
    mime_type: str = ""
    data: str = ""
    file_uri: str = ""


class _FunctionCall(_Wire):
    name: str
    args: dict[str, Any] = {}


class _FunctionResponse(_Wire):
    name: str
    response: dict[str, Any] = {}


class _Part(_Wire):
    text: str | None = None
    inline_data: _Media | None = None
    file_data: _Media | None = None
    function_call: _FunctionCall | None = None
    function_response: _FunctionResponse | None = None

    def as_text(self) -> str:
        if self.text is not None:
            return self.text
        if self.function_call is not None:
            return f"{self.function_call.name}({json.dumps(self.function_call.args)})"
        if self.function_response is not None:
            return json.dumps(self.function_response.response, ensure_ascii=False)
        media = self.inline_data or self.file_data
        if media is None:
            return ""
        # Other media must give another answer, but their bytes are no part of a prompt's length.
        return f"[{media.mime_type} {hashlib.sha256((media.data + media.file_uri).encode()).hexdigest()[:8]}]"


class _Content(_Wire):
    role: str = "user"
    parts: list[_Part] = []

    def as_turn(self) -> tuple[Literal["user", "assistant", "tool"], str]:
        text = "\n".join(part.as_text() for part in self.parts)
        if self.role == "model":
            return "assistant", text
        return ("tool" if any(part.function_response for part in self.parts) else "user"), text


class _FunctionDeclaration(_Wire):
    name: str
    description: str = ""
    parameters: dict[str, Any] | None = None
    parameters_json_schema: dict[str, Any] | None = None

    def as_tool(self) -> ToolSpec:
        schema = self.parameters_json_schema or self.parameters or {}
        return ToolSpec(name=self.name, description=self.description, parameters=schema)


class _Tool(_Wire):
    function_declarations: list[_FunctionDeclaration] = []


class _FunctionCallingConfig(_Wire):
    mode: str = "AUTO"
    allowed_function_names: list[str] = []


class _ToolConfig(_Wire):
    function_calling_config: _FunctionCallingConfig = _FunctionCallingConfig()


class _ThinkingConfig(_Wire):
    include_thoughts: bool = False


class _GenerationConfig(_Wire):
    candidate_count: int = Field(default=1, ge=1, le=_MOST_CANDIDATES)
    max_output_tokens: int | None = Field(default=None, ge=1)
    response_mime_type: str = "text/plain"
    response_schema: dict[str, Any] | None = None
    response_json_schema: dict[str, Any] | None = None
    seed: int | None = None
    thinking_config: _ThinkingConfig = _ThinkingConfig()


class GenerateContentRequest(_Wire):
    """The body of ``generateContent`` and ``streamGenerateContent``, as far as an answer depends on it."""

    contents: list[_Content] = []
    system_instruction: _Content = _Content()
    tools: list[_Tool] = []
    tool_config: _ToolConfig = _ToolConfig()
    generation_config: _GenerationConfig = _GenerationConfig()

    @property
    def max_tokens(self) -> int | None:
        """Where the answer is cut."""
        return self.generation_config.max_output_tokens

    def prompts(self) -> list[Prompt]:
        """One prompt a candidate: the first as asked, the others under another seed.

        Raises:
            GeminiError: Nothing is asked.
        """
        if not self.contents:
            raise GeminiError(400, "INVALID_ARGUMENT", "* GenerateContentRequest.contents: contents is not specified\n")
        config = self.generation_config
        calling = self.tool_config.function_calling_config
        declared = [each for tool in self.tools for each in tool.function_declarations if calling.mode != "NONE"]
        allowed = calling.allowed_function_names or [each.name for each in declared]
        prompt = Prompt(
            system=self.system_instruction.as_turn()[1],
            turns=tuple(content.as_turn() for content in self.contents),
            tools=tuple(each.as_tool() for each in declared if each.name in allowed),
            tool_required=calling.mode == "ANY",
            response_schema=config.response_json_schema or config.response_schema,
            json_mode=config.response_mime_type == "application/json",
            thinking=config.thinking_config.include_thoughts,
            seed=config.seed,
        )
        others = [replace(prompt, seed=(config.seed or 0) + index) for index in range(1, config.candidate_count)]
        return [prompt, *others]


class CountTokensRequest(_Wire):
    """The body of ``countTokens``: contents alone, or a whole request."""

    contents: list[_Content] = []
    generate_content_request: GenerateContentRequest | None = None

    def total(self) -> int:
        """How many tokens that is."""
        whole = self.generate_content_request or GenerateContentRequest(contents=self.contents)
        return whole.prompts()[0].tokens


_Request = TypeVar("_Request", bound=_Wire)


def read_request(body: bytes, kind: type[_Request]) -> _Request:
    """Read a request's body.

    Raises:
        GeminiError: It is no JSON, or a field has a value of another type.
    """
    try:
        return kind.model_validate_json(body or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        if first["type"] == "json_invalid":
            raise GeminiError(
                400, "INVALID_ARGUMENT", f"Invalid JSON payload received. {first['ctx']['error']}"
            ) from None
        message = f"Invalid value at '{where}': {first['msg']}"
        violations = {"fieldViolations": [{"field": where, "description": message}]}
        details = [{"@type": "type.googleapis.com/google.rpc.BadRequest", **violations}]
        raise GeminiError(400, "INVALID_ARGUMENT", message, details=details) from None


def check_key(key: str | None) -> None:
    """Refuse a call without an API key, and one with the key ``invalid``; any other is accepted.

    Raises:
        GeminiError: As Google answers in either case.
    """
    if not key:
        raise GeminiError(
            403,
            "PERMISSION_DENIED",
            "Method doesn't allow unregistered callers (callers without established identity). "
            "Please use API Key or other form of API consumer identity to call this API.",
        )
    if key == "invalid":
        message = "API key not valid. Please pass a valid API key."
        reason: dict[str, Any] = {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        }
        localized = {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": message}
        raise GeminiError(400, "INVALID_ARGUMENT", message, details=[reason, localized])


def check_model(name: str, method: str, *, version: str) -> None:
    """Refuse a model that the price list does not know, and a method that it does not have.

    Raises:
        GeminiError: As Google answers.
    """
    if method not in _GENERATES or _find_model(name) is None:
        raise GeminiError(
            404,
            "NOT_FOUND",
            f"models/{name} is not found for API version {version}, or is not supported for {method}. "
            "Call ListModels to see the list of available models and their supported methods.",
        )


def describe_model(name: str, *, version: str) -> dict[str, Any]:
    """The body of a model's own page.

    Raises:
        GeminiError: The price list does not know it.
    """
    model = _find_model(name)
    if model is None:
        raise GeminiError(404, "NOT_FOUND", f"Model is not found: models/{name} for api version {version}")
    return _model_body(model, name)


def list_models(*, page_size: str, page_token: str) -> dict[str, Any]:
    """One page of the models, as many as asked for.

    Raises:
        GeminiError: The size or the token is no number.
    """
    if not (page_size.isdecimal() and page_token.isdecimal()):
        raise GeminiError(400, "INVALID_ARGUMENT", "page_size and page_token must be numbers that ListModels gave")
    start, end = int(page_token), int(page_token) + (int(page_size) or 50)
    models = [_model_body(model, model.id) for model in _models()]
    return {"models": models[start:end]} | ({"nextPageToken": str(end)} if end < len(models) else {})


def whole_body(model: str, prompts: Sequence[Prompt], answers: Sequence[Answer]) -> dict[str, Any]:
    """The body of ``generateContent``."""
    candidates = [_candidate(index, _parts(answer), answer.finish) for index, answer in enumerate(answers)]
    return _body(model, answers[0].id, candidates, _usage(prompts[0], answers))


def stream_bodies(model: str, prompts: Sequence[Prompt], answers: Sequence[Answer]) -> Iterator[dict[str, Any]]:
    """The bodies of ``streamGenerateContent``, in order: a few words each, the finish and the usage at the end."""
    for index, answer in enumerate(answers):
        thought = _thought(answer)
        texts = [{"text": piece} for piece in answer.pieces]
        parts = [*thought, *(texts or _parts(answer)[len(thought) :])]
        for part in parts[:-1]:
            yield _body(model, answer.id, [_candidate(index, [part], None)], _usage(prompts[0], ()))
        yield _body(model, answer.id, [_candidate(index, parts[-1:], answer.finish)], _usage(prompts[0], answers))


def count_body(total: int) -> dict[str, Any]:
    """The body of ``countTokens``."""
    return {"totalTokens": total, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": total}]}


def _parts(answer: Answer) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = [
        {"functionCall": {"name": call.name, "args": call.arguments}} for call in answer.tool_calls
    ]
    return [*_thought(answer), *(calls or [{"text": answer.text}])]


def _thought(answer: Answer) -> list[dict[str, Any]]:
    return [{"text": answer.thinking, "thought": True}] if answer.thinking else []


def _candidate(index: int, parts: list[dict[str, Any]], finish: str | None) -> dict[str, Any]:
    reason = {"finishReason": "MAX_TOKENS" if finish == "length" else "STOP"} if finish else {}
    return {"content": {"parts": parts, "role": "model"}, **reason, "index": index}


def _usage(prompt: Prompt, answers: Sequence[Answer]) -> dict[str, Any]:
    asked = prompt.tokens
    said = sum(answer.tokens for answer in answers)
    thought = sum(count_tokens(answer.thinking or "") for answer in answers)
    usage: dict[str, Any] = {"promptTokenCount": asked, "totalTokenCount": asked + said + thought}
    # Google leaves zeroes out.
    usage |= {"candidatesTokenCount": said} if said else {}
    usage |= {"thoughtsTokenCount": thought} if thought else {}
    return usage | {"promptTokensDetails": [{"modality": "TEXT", "tokenCount": asked}]}


def _body(model: str, name: str, candidates: list[dict[str, Any]], usage: dict[str, Any]) -> dict[str, Any]:
    return {"candidates": candidates, "usageMetadata": usage, "modelVersion": model, "responseId": name}


def _models() -> list[ModelInfo]:
    google = next(provider for provider in get_snapshot().providers if provider.id == "google")
    return [model for model in google.models if model.id.startswith("gemini-") and "embedding" not in model.id]


def _find_model(name: str) -> ModelInfo | None:
    return next((model for model in _models() if model.id == name or model.is_match(name)), None)


def _model_body(model: ModelInfo, name: str) -> dict[str, Any]:
    limit = {"inputTokenLimit": model.context_window} if model.context_window else {}
    return {
        "name": f"models/{name}",
        "displayName": model.name or name,
        "description": f"lmtest's stand-in for {name}: its answers are made up.",
        **limit,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }
