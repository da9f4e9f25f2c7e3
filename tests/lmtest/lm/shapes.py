"""Usage as providers report it, and what that costs by the rates of the list, USD per million tokens, by hand.

The bodies are those of the providers' own references; the rates are genai-prices 0.2.3 at noon, UTC, of `AT`.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from .bodies import chat, generate_content, messages, responses

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
BOTH = ("lm15", "litellm")


def bill(*parts, fees="0"):
    """Sum what a call costs: pairs of tokens and their rate, and fees in USD."""
    return sum((tokens * Decimal(rate) for tokens, rate in parts), Decimal(0)) / 1_000_000 + Decimal(fees)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a provider says of a call, and what that costs.

    Attributes:
        model: As DSPy names it.
        says: Writes its bodies.
        usage: What it reports.
        usd: What that costs.
        engines: Those that can carry it.
        asks: What `dspy.LM` is told beside.
        beside: What the bodies hold beside.
    """

    model: str
    says: object
    usage: dict
    usd: Decimal
    engines: tuple = BOTH
    asks: dict = field(default_factory=dict)
    beside: dict = field(default_factory=dict)

    @property
    def bodies(self):
        return self.says(self.usage, model=self.model.rpartition("/")[2], **self.beside)


def modal(**tokens):
    return [{"modality": name, "tokenCount": count} for name, count in tokens.items()]


def counted(prompt, completion, *, cached=None, written=None, thought=None, audio=(0, 0), **beside):
    into = {"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": audio[0]}
    out = {"reasoning_tokens": thought, "audio_tokens": audio[1]}
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {name: count for name, count in into.items() if count is not None},
        "completion_tokens_details": {name: count for name, count in out.items() if count is not None},
        **beside,
    }


def spoken(prompt, completion, *, cached=0, thought=0, written=0):
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": prompt + completion,
    }


def cached_for(five_minutes=0, hour=0):
    return {
        "cache_creation_input_tokens": five_minutes + hour,
        "cache_creation": {"ephemeral_5m_input_tokens": five_minutes, "ephemeral_1h_input_tokens": hour},
    }


# A prompt of 1,000,000 words is not needed to be billed as long: the count is the provider's.
SHAPES = {
    # ── OpenAI, chat completions ──
    "openai: text": Shape(
        model="openai/gpt-4o-mini",
        says=chat,
        usage={"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29},
        usd=bill((19, "0.15"), (10, "0.6")),
    ),
    "openai: cached within the prompt": Shape(
        model="openai/gpt-4o-mini",
        says=chat,
        usage=counted(2006, 300, cached=1920),
        usd=bill((86, "0.15"), (1920, "0.075"), (300, "0.6")),
    ),
    "openai: thinking within the completion": Shape(
        model="openai/gpt-5-mini",
        says=chat,
        usage=counted(1000, 900, thought=832),
        usd=bill((1000, "0.25"), (900, "2")),
    ),
    "openai: audio": Shape(
        model="openai/gpt-audio",
        says=chat,
        usage=counted(1000, 300, audio=(600, 200)),
        usd=bill((400, "2.5"), (600, "32"), (100, "10"), (200, "64")),
    ),
    "openai: written to the cache": Shape(
        model="openai/gpt-5.6-sol",
        says=chat,
        usage=counted(5000, 100, cached=1000, written=3000),
        usd=bill((1000, "4"), (1000, "0.4"), (3000, "5"), (100, "20")),
    ),
    "openai: beyond 272,000 tokens": Shape(
        model="openai/gpt-5.6-sol",
        says=chat,
        usage=counted(272_001, 100, cached=1),
        usd=bill((272_000, "8"), (1, "0.8"), (100, "30")),
    ),
    "openai: at 272,000 tokens": Shape(
        model="openai/gpt-5.6-sol", says=chat, usage=counted(272_000, 100), usd=bill((272_000, "4"), (100, "20"))
    ),
    "openai: rejected predictions are in the completion": Shape(
        model="openai/gpt-4.1",
        says=chat,
        usage=counted(1000, 500)
        | {"completion_tokens_details": {"accepted_prediction_tokens": 100, "rejected_prediction_tokens": 300}},
        usd=bill((1000, "2"), (500, "8")),
    ),
    "openai: priority": Shape(
        model="openai/gpt-4.1",
        says=chat,
        usage=counted(1000, 100, cached=400),
        usd=bill((600, "3.5"), (400, "0.875"), (100, "14")),
        beside={"service_tier": "priority"},
    ),
    "openai: asked for priority, served by default": Shape(
        model="openai/gpt-4.1",
        says=chat,
        usage=counted(1000, 100),
        usd=bill((1000, "2"), (100, "8")),
        asks={"service_tier": "priority"},
        beside={"service_tier": "default"},
    ),
    "openai: flex": Shape(
        model="openai/gpt-5-mini",
        says=chat,
        usage=counted(1000, 100, cached=400),
        usd=bill((600, "0.125"), (400, "0.0125"), (100, "1")),
        beside={"service_tier": "flex"},
    ),
    # ── OpenAI, Responses ──
    "responses: text": Shape(
        model="openai/gpt-5-mini",
        says=responses,
        usage=spoken(1000, 700, cached=400, thought=640),
        usd=bill((600, "0.25"), (400, "0.025"), (700, "2")),
        asks={"model_type": "responses"},
    ),
    "responses: written to the cache": Shape(
        model="openai/gpt-5.6-sol",
        says=responses,
        usage=spoken(5000, 100, cached=1000, written=3000),
        usd=bill((1000, "4"), (1000, "0.4"), (3000, "5"), (100, "20")),
        asks={"model_type": "responses"},
    ),
    "responses: flex": Shape(
        model="openai/gpt-5-mini",
        says=responses,
        usage=spoken(1000, 100),
        usd=bill((1000, "0.125"), (100, "1")),
        asks={"model_type": "responses"},
        beside={"service_tier": "flex"},
    ),
    "responses: searches are billed by the piece, opening a page is not": Shape(
        model="openai/gpt-5-mini",
        says=responses,
        usage=spoken(9000, 200),
        usd=bill((9000, "0.25"), (200, "2"), fees="0.0225"),  # 2 at $10 and 1 at $2.50 a thousand
        asks={"model_type": "responses"},
        beside={
            "items": [
                {"type": "web_search_call", "id": "w1", "status": "completed", "action": {"type": "search"} | query}
                for query in ({"query": "a"}, {"query": "b"})
            ]
            + [
                {
                    "type": "web_search_call",
                    "id": "w3",
                    "status": "completed",
                    "action": {"type": "open_page", "url": "u"},
                },
                {"type": "file_search_call", "id": "f", "status": "completed", "queries": ["a"], "results": None},
            ]
        },
    ),
    # ── Anthropic ──
    "anthropic: text": Shape(
        model="anthropic/claude-sonnet-4-5",
        says=messages,
        usage={"input_tokens": 25, "output_tokens": 15},
        usd=bill((25, "3"), (15, "15")),
    ),
    "anthropic: a stream's end has the output alone": Shape(
        model="anthropic/claude-sonnet-4-5",
        says=messages,
        usage={"input_tokens": 1000, "output_tokens": 150, "cache_read_input_tokens": 500} | cached_for(100, 200),
        usd=bill((1000, "3"), (500, "0.3"), (100, "3.75"), (200, "6"), (150, "15")),
        beside={"at_the_end": {"output_tokens": 150}},
    ),
    "anthropic: a stream's end counts on": Shape(
        model="anthropic/claude-sonnet-4-5",
        says=messages,
        usage={"input_tokens": 2679, "output_tokens": 510},
        usd=bill((10_682, "3"), (510, "15"), fees="0.01"),
        beside={
            "at_the_end": {
                "input_tokens": 10_682,
                "output_tokens": 510,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "server_tool_use": {"web_search_requests": 1},
            }
        },
    ),
    "anthropic: cached beside the input": Shape(
        model="anthropic/claude-sonnet-4-5",
        says=messages,
        usage={"input_tokens": 50, "output_tokens": 100, "cache_read_input_tokens": 100_000} | cached_for(248),
        usd=bill((50, "3"), (100_000, "0.3"), (248, "3.75"), (100, "15")),
    ),
    "anthropic: cached for an hour": Shape(
        model="anthropic/claude-sonnet-4-5",
        says=messages,
        usage={"input_tokens": 2048, "output_tokens": 503, "cache_read_input_tokens": 1800} | cached_for(456, 100),
        usd=bill((2048, "3"), (1800, "0.3"), (456, "3.75"), (100, "6"), (503, "15")),
    ),
    "anthropic: web searches": Shape(
        model="anthropic/claude-sonnet-4-5",
        says=messages,
        usage={"input_tokens": 105, "output_tokens": 6039, "server_tool_use": {"web_search_requests": 3}},
        usd=bill((105, "3"), (6039, "15"), fees="0.03"),
    ),
    "anthropic: beyond 200,000 tokens, what is cached among them": Shape(
        model="anthropic/claude-sonnet-4-5",
        says=messages,
        usage={"input_tokens": 1001, "output_tokens": 10, "cache_read_input_tokens": 199_000} | cached_for(0),
        usd=bill((1001, "6"), (199_000, "0.6"), (10, "22.5")),
    ),
    "anthropic: beyond 100,000 tokens of a model with another bound": Shape(
        model="anthropic/claude-haiku-5-5",
        says=messages,
        usage={"input_tokens": 100_001, "output_tokens": 10},
        usd=bill((100_001, "0.5"), (10, "2.5")),
    ),
    "anthropic: thinking within the output": Shape(
        model="anthropic/claude-sonnet-4-5",
        says=messages,
        usage={"input_tokens": 10, "output_tokens": 900, "output_tokens_details": {"thinking_tokens": 800}},
        usd=bill((10, "3"), (900, "15")),
    ),
    "anthropic: fast": Shape(
        model="anthropic/claude-opus-4-8",
        says=messages,
        usage={"input_tokens": 1000, "output_tokens": 200, "cache_read_input_tokens": 500, "speed": "fast"}
        | cached_for(100, 200),
        usd=bill((1000, "10"), (500, "1"), (100, "12.5"), (200, "20"), (200, "50")),
    ),
    "anthropic: priority is each customer's own price": Shape(
        model="anthropic/claude-sonnet-4-5",
        says=messages,
        usage={"input_tokens": 1000, "output_tokens": 100, "service_tier": "priority"},
        usd=bill((1000, "3"), (100, "15")),
    ),
    "anthropic: a conversation was summed up": Shape(
        model="anthropic/claude-opus-4-8",
        says=messages,
        usage={
            "input_tokens": 23_000,
            "output_tokens": 1000,
            "iterations": [
                {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3500},
                {"type": "message", "input_tokens": 23_000, "output_tokens": 1000},
            ],
        },
        usd=bill((203_000, "5"), (4500, "25")),
    ),
    # ── Gemini ──
    "gemini: text": Shape(
        model="gemini/gemini-2.5-flash",
        says=generate_content,
        usage={
            "promptTokenCount": 8,
            "candidatesTokenCount": 20,
            "totalTokenCount": 28,
            "promptTokensDetails": modal(TEXT=8),
        },
        usd=bill((8, "0.3"), (20, "2.5")),
    ),
    "gemini: thoughts beside the candidates": Shape(
        model="gemini/gemini-2.5-flash",
        says=generate_content,
        usage={
            "promptTokenCount": 10,
            "candidatesTokenCount": 100,
            "thoughtsTokenCount": 900,
            "totalTokenCount": 1010,
        },
        usd=bill((10, "0.3"), (1000, "2.5")),
    ),
    "gemini: thoughts alone": Shape(
        model="gemini/gemini-2.5-flash",
        says=generate_content,
        usage={"promptTokenCount": 10, "thoughtsTokenCount": 900, "totalTokenCount": 910},
        usd=bill((10, "0.3"), (900, "2.5")),
    ),
    "gemini: what its tools read": Shape(
        model="gemini/gemini-2.5-flash",
        says=generate_content,
        usage={
            "promptTokenCount": 27,
            "candidatesTokenCount": 45,
            "toolUsePromptTokenCount": 10_309,
            "toolUsePromptTokensDetails": modal(TEXT=10_309),
            "thoughtsTokenCount": 31,
            "totalTokenCount": 10_412,
            "promptTokensDetails": modal(TEXT=27),
        },
        usd=bill((10_336, "0.3"), (76, "2.5")),
    ),
    "gemini: beyond 200,000 tokens by what its tools read": Shape(
        model="gemini/gemini-2.5-pro",
        says=generate_content,
        usage={
            "promptTokenCount": 150_000,
            "candidatesTokenCount": 100,
            "toolUsePromptTokenCount": 100_000,
            "totalTokenCount": 250_100,
        },
        usd=bill((250_000, "2.5"), (100, "15")),
    ),
    "gemini: at 200,000 tokens": Shape(
        model="gemini/gemini-2.5-pro",
        says=generate_content,
        usage={"promptTokenCount": 200_000, "candidatesTokenCount": 100, "totalTokenCount": 200_100},
        usd=bill((200_000, "1.25"), (100, "10")),
    ),
    "gemini: cached text": Shape(
        model="gemini/gemini-2.5-flash",
        says=generate_content,
        usage={
            "promptTokenCount": 696_219,
            "cachedContentTokenCount": 696_190,
            "candidatesTokenCount": 214,
            "totalTokenCount": 696_433,
            "promptTokensDetails": modal(TEXT=696_219),
            "cacheTokensDetails": modal(TEXT=696_190),
        },
        usd=bill((29, "0.3"), (696_190, "0.03"), (214, "2.5")),
    ),
    "gemini: audio": Shape(
        model="gemini/gemini-2.5-flash",
        says=generate_content,
        usage={
            "promptTokenCount": 1000,
            "candidatesTokenCount": 10,
            "totalTokenCount": 1010,
            "promptTokensDetails": modal(TEXT=200, AUDIO=800),
        },
        usd=bill((200, "0.3"), (800, "1"), (10, "2.5")),
    ),
    "gemini: cached audio": Shape(
        model="gemini/gemini-2.5-flash",
        says=generate_content,
        usage={
            "promptTokenCount": 1000,
            "cachedContentTokenCount": 600,
            "candidatesTokenCount": 10,
            "totalTokenCount": 1010,
            "promptTokensDetails": modal(TEXT=500, AUDIO=500),
            "cacheTokensDetails": modal(AUDIO=400, TEXT=200),
        },
        usd=bill((300, "0.3"), (200, "0.03"), (100, "1"), (400, "0.1"), (10, "2.5")),
    ),
    "gemini: cached text beside audio that is not": Shape(
        model="gemini/gemini-2.5-flash",
        says=generate_content,
        usage={
            "promptTokenCount": 1000,
            "cachedContentTokenCount": 500,
            "candidatesTokenCount": 10,
            "totalTokenCount": 1010,
            "promptTokensDetails": modal(TEXT=500, AUDIO=500),
            "cacheTokensDetails": modal(TEXT=500),
        },
        usd=bill((500, "0.03"), (500, "1"), (10, "2.5")),
    ),
    "gemini: nobody says what of the cached was audio": Shape(
        model="gemini/gemini-2.5-flash",
        says=generate_content,
        usage={
            "promptTokenCount": 1000,
            "cachedContentTokenCount": 600,
            "candidatesTokenCount": 10,
            "totalTokenCount": 1010,
            "promptTokensDetails": modal(TEXT=500, AUDIO=500),
        },
        usd=bill((500, "0.03"), (100, "0.1"), (400, "1"), (10, "2.5")),
    ),
    "gemini: pictures, films and documents sent": Shape(
        model="gemini/gemini-2.5-flash",
        says=generate_content,
        usage={
            "promptTokenCount": 1000,
            "candidatesTokenCount": 10,
            "totalTokenCount": 1010,
            "promptTokensDetails": modal(TEXT=10, IMAGE=258, VIDEO=516, DOCUMENT=216),
        },
        usd=bill((1000, "0.3"), (10, "2.5")),
    ),
    "gemini: a picture drawn": Shape(
        model="gemini/gemini-2.5-flash-image",
        says=generate_content,
        usage={
            "promptTokenCount": 10,
            "candidatesTokenCount": 1310,
            "totalTokenCount": 1320,
            "promptTokensDetails": modal(TEXT=10),
            "candidatesTokensDetails": modal(TEXT=20, IMAGE=1290),
        },
        usd=bill((10, "0.3"), (20, "2.5"), (1290, "30")),
    ),
    "gemini: a picture drawn after thoughts": Shape(
        model="gemini/gemini-3-pro-image-preview",
        says=generate_content,
        usage={
            "promptTokenCount": 10,
            "candidatesTokenCount": 1120,
            "thoughtsTokenCount": 300,
            "totalTokenCount": 1430,
            "promptTokensDetails": modal(TEXT=10),
            "candidatesTokensDetails": modal(IMAGE=1120),
        },
        usd=bill((10, "2"), (300, "12"), (1120, "120")),
    ),
    # ── those who speak as OpenAI does, and count in their own way ──
    "deepseek: cached in words of its own": Shape(
        model="deepseek/deepseek-chat",
        says=chat,
        usage={
            "prompt_tokens": 2000,
            "completion_tokens": 100,
            "total_tokens": 2100,
            "prompt_cache_hit_tokens": 1536,
            "prompt_cache_miss_tokens": 464,
        },
        usd=bill((464, "0.27"), (1536, "0.07"), (100, "1.1")),
    ),
    "deepseek: thinking within the completion": Shape(
        model="deepseek/deepseek-reasoner",
        says=chat,
        usage=counted(2000, 900, cached=1536, thought=800, prompt_cache_hit_tokens=1536, prompt_cache_miss_tokens=464),
        usd=bill((464, "0.55"), (1536, "0.14"), (900, "2.19")),
    ),
    "xai: thinking beside the completion": Shape(
        model="xai/grok-4",
        says=chat,
        usage=counted(199, 1, cached=163, thought=60, num_sources_used=0)
        | {"total_tokens": 260, "cost_in_usd_ticks": 1_234_000},
        usd=bill((36, "3"), (163, "0.75"), (61, "15")),
    ),
    "xai: at 200,000 tokens": Shape(
        model="xai/grok-4.3",
        says=chat,
        usage=counted(200_000, 10, cached=100_000),
        usd=bill((100_000, "2.5"), (100_000, "0.4"), (10, "5")),
    ),
    "groq: cached": Shape(
        model="groq/openai/gpt-oss-120b",
        says=chat,
        usage=counted(4641, 150, cached=4608, thought=100)
        | {"queue_time": 0.03, "prompt_time": 0.01, "completion_time": 0.2, "total_time": 0.21},
        usd=bill((33, "0.15"), (4608, "0.075"), (150, "0.6")),
        beside={"service_tier": "on_demand"},
    ),
    "openrouter: Anthropic's model": Shape(
        model="openrouter/anthropic/claude-sonnet-4",
        says=chat,
        usage=counted(1000, 100, cached=400, written=300, cost=0.95, cost_details={"upstream_inference_cost": None}),
        usd=bill((300, "3"), (400, "0.3"), (300, "3.75"), (100, "15")),
    ),
    "moonshot: cached at the top": Shape(
        model="moonshot/kimi-k3",
        says=chat,
        usage={"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, "cached_tokens": 768},
        usd=bill((232, "3"), (768, "0.3"), (100, "15")),
    ),
    "mistral: text": Shape(
        model="mistral/mistral-large-latest",
        says=chat,
        usage={"prompt_tokens": 16, "completion_tokens": 34, "total_tokens": 50},
        usd=bill((16, "2"), (34, "6")),
        engines=("litellm",),
    ),
    "mistral: cached": Shape(
        model="mistral/mistral-small-latest",
        says=chat,
        usage=counted(1000, 100, cached=512),
        usd=bill((488, "0.15"), (512, "0.015"), (100, "0.6")),
        engines=("litellm",),
    ),
    "perplexity: searches, citations and thinking beside the completion": Shape(
        model="perplexity/sonar-deep-research",
        says=chat,
        usage={
            "prompt_tokens": 33,
            "completion_tokens": 7163,
            "total_tokens": 7196,
            "citation_tokens": 20_016,
            "num_search_queries": 18,
            "reasoning_tokens": 73_997,
            "search_context_size": "low",
        },
        usd=bill((33, "2"), (7163, "8"), (20_016, "2"), (73_997, "3"), fees="0.09"),  # 18 at $5 a thousand
        engines=("litellm",),
    ),
    "perplexity: a fee for each request": Shape(
        model="perplexity/sonar-pro",
        says=chat,
        usage={"prompt_tokens": 26, "completion_tokens": 832, "total_tokens": 858, "search_context_size": "low"},
        usd=bill((26, "3"), (832, "15"), fees="0.014"),
        engines=("litellm",),
    ),
}
