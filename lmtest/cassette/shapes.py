"""The shapes of keys and tokens: those of LM providers, from one table, and those that detect-secrets knows."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Final

_GITLEAKS: Final = "https://github.com/gitleaks/gitleaks/tree/master/cmd/generate/config/rules"
_TRUFFLEHOG: Final = "https://github.com/trufflesecurity/trufflehog/tree/main/pkg/detectors"
_BETTERLEAKS: Final = "https://github.com/betterleaks/betterleaks/tree/main/cmd/generate/config/rules"
_ITS_OWN: Final = "https://fireworks.ai/account/api-keys, as they are handed out; no scanner's rule was found"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How the keys of one provider look.

    Attributes:
        provider: Whose keys.
        pattern: A regular expression. Where a provider's keys have one length, it asks for fewer characters: lengths
            change, and so does what is cut out of a key.
        source: Where that is said.
        edition: The edition of the rules that knew it first.
    """

    provider: str
    pattern: str
    source: str
    edition: int = 2


# detect-secrets has none of them.
PROVIDERS: Final = (
    Shape(provider="Google", pattern=r"AIza[0-9A-Za-z_-]{35}", source=_GITLEAKS, edition=1),
    Shape(
        provider="OpenAI, Anthropic, OpenRouter, DeepSeek and others",
        pattern=r"\bsk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{20,}",
        source=_GITLEAKS,
        edition=1,
    ),
    Shape(provider="Hugging Face", pattern=r"\bhf_[A-Za-z0-9]{30,}", source=_GITLEAKS, edition=1),
    Shape(provider="Groq", pattern=r"\bgsk_[A-Za-z0-9]{40,}", source=_GITLEAKS, edition=1),
    Shape(provider="xAI", pattern=r"\bxai-(?:[A-Za-z0-9_]{20,}|[A-Za-z0-9_-]{40,})", source=_BETTERLEAKS),
    Shape(provider="Perplexity", pattern=r"\bpplx-[A-Za-z0-9]{20,}", source=_GITLEAKS),
    Shape(provider="NVIDIA", pattern=r"\bnvapi-[A-Za-z0-9_-]{20,}", source=_TRUFFLEHOG),
    Shape(provider="Cerebras", pattern=r"\bcsk-[A-Za-z0-9]{20,}", source=_BETTERLEAKS),
    Shape(provider="Replicate", pattern=r"\br8_[A-Za-z0-9_-]{20,}", source=_TRUFFLEHOG),
    Shape(provider="Fireworks", pattern=r"\bf(?:w|pk)_[A-Za-z0-9]{20,}", source=_ITS_OWN),
    Shape(provider="Together", pattern=r"\btgp_v1_[A-Za-z0-9_-]{20,}", source=_BETTERLEAKS),
    Shape(provider="Databricks", pattern=r"\bdapi[0-9a-f]{32}", source=_GITLEAKS),
    Shape(provider="Amazon Bedrock", pattern=r"\bABSK[A-Za-z0-9+/]{100,}", source=_GITLEAKS),
    Shape(provider="GitHub Models", pattern=r"\bgithub_pat_[A-Za-z0-9_]{22,}", source=_GITLEAKS),
    Shape(provider="Google, by OAuth", pattern=r"\bya29\.[A-Za-z0-9_-]{20,}", source=_TRUFFLEHOG),
    Shape(provider="Google, bound to an account", pattern=r"\bAQ\.[A-Za-z0-9_-]{40,}", source=_BETTERLEAKS),
    Shape(provider="LangSmith", pattern=r"\blsv2_(?:pt|sk)_[a-z0-9]{32}_[a-z0-9]{10}", source=_GITLEAKS),
)
"""How the keys of LM providers look."""

_DETECTORS: Final = (
    "aws.AWSKeyDetector",
    "azure_storage_key.AzureStorageKeyDetector",
    "discord.DiscordBotTokenDetector",
    "github_token.GitHubTokenDetector",
    "gitlab_token.GitLabTokenDetector",
    "jwt.JwtTokenDetector",
    "npm.NpmDetector",
    "openai.OpenAIDetector",
    "pypi_token.PypiTokenDetector",
    "sendgrid.SendGridDetector",
    "slack.SlackDetector",
    "square_oauth.SquareOAuthDetector",
    "stripe.StripeDetector",
    "telegram_token.TelegramBotTokenDetector",
    "twilio.TwilioKeyDetector",
)

# A token of any known shape holds such a run; a text without one needs no closer look.
_RUN: Final = re.compile(r"[A-Za-z0-9_+=-]{20,}")
_RUN_ON: Final = re.compile(r"[A-Za-z0-9_+/=.-]*")


def without_tokens(text: str, *, mark: str, edition: int) -> str:
    """Put a mark in the place of everything that has the shape of a token.

    Args:
        text: The text.
        mark: What stands in its place.
        edition: The edition of the rules.
    """
    if not _RUN.search(text):
        return text
    for pattern, group in _shapes(edition):
        pieces, done = [], 0
        for match in pattern.finditer(text):
            if match.start() < done:
                continue
            # Some detectors stop inside the token: what runs on belongs to it.
            run = _RUN_ON.match(text, match.end())
            end = run.end() if run else match.end()
            pieces += [text[done : match.start(group)], mark]
            done = end
        if pieces:
            text = "".join(pieces) + text[done:]
    return text


@functools.cache
def _shapes(edition: int) -> tuple[tuple[re.Pattern[str], int], ...]:
    """Known token shapes, each with the group that holds the token."""
    import importlib  # late: most texts need no closer look, and the detectors take a fifth of a second to import

    known = "|".join(shape.pattern for shape in PROVIDERS if shape.edition <= edition)
    shapes = [(re.compile(known), 0)]
    for name in _DETECTORS:
        module, _, detector = name.partition(".")
        denylist = getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), detector).denylist
        # Of detectors with groups, only AWS's long key and npm's line have the token in one; elsewhere it is the kind.
        shapes += [(pattern, min(pattern.groups, 1) if module in {"aws", "npm"} else 0) for pattern in denylist]
    return tuple(shapes)
