"""Secrets never reach a file: what looks like one is replaced before a key is taken and before anything is stored.

Replaced are the values of environment variables whose names say they are secret, fields named like a credential, bearer
tokens, ``?key=`` parameters, passwords in URLs, cookies, private keys, tokens of well-known shapes (the detectors of
detect-secrets, and those of LM providers, which it lacks), and whatever patterns the user adds.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import os
import re
from typing import TYPE_CHECKING, Any, Final

from lmtest import settings
from lmtest.cassette.blobs import is_reference
from lmtest.cassette.halves import mended
from lmtest.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REDACTED: Final = "<redacted>"

_SECRET_VARIABLE = re.compile(
    r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(?:_ID)?$", re.IGNORECASE
)
_SHORTEST_SECRET: Final = 8

_FIELD = (
    r"(?:x[_-](?:goog[_-]|amz[_-])?)?(?:(?:[a-z0-9]+[_-])?api[_-]?key|"
    r"(?:access|refresh|id|o?auth|api|bearer|session|security)[_-]?token|(?:client|app|shared)[_-]?secret|"
    r"(?:aws[_-])?secret[_-]?(?:access[_-]?)?key|private[_-]?key|password|passwd|passphrase|(?:proxy-)?authorization)"
)
# In prose these are words like others.
_NAME_ONLY = r"(?:secret|credentials?)"
_FIELD_NAME = re.compile(rf"(?:{_FIELD}|{_NAME_ONLY}|(?:set-)?cookie)\Z", re.IGNORECASE)

# JSON stands in texts too, and in texts inside of it, with a backslash more each time.
_QUOTE = r"""\\*["']"""

# Our own: what stands around a secret says that it is one. By words of which a text has one, or none of this.
_IN_CONTEXT: Final = (
    (
        ("-----begin ",),
        re.compile(
            r"(?P<before>)-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            r"(?:(?:(?!-----|<redacted).)*-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|"
            # Cut short: as far as there are lines of it.
            r"(?:(?:\s|\\[nr])*[A-Za-z0-9+/=]{16,})+(?:(?:\s|\\[nr])*[A-Za-z0-9+/=]+)?)",
            re.DOTALL,
        ),
    ),
    (("://",), re.compile(r"""(?P<before>://[^:/?#\[\]@\s"'<>]*:)(?!<redacted)[^/?#@\s"'<>]+(?=@)""")),
    (
        ("cookie",),
        re.compile(
            rf"""(?P<before>\b(?:Set-)?Cookie(?:{_QUOTE})?\s*:\s*(?:{_QUOTE})?)[^\s=;"'<>\\]+="""
            r"""(?:"[^"\r\n]*"|[^;"'\r\n\\<]*)(?:;[^;"'\r\n\\<]*(?:"[^"\r\n]*"(?=;|\s|\Z))?)*""",
            re.IGNORECASE,
        ),
    ),
    (
        ("bearer", "key", "token", "secret", "passw", "passphrase", "authorization", "credential"),
        re.compile(
            rf"""(?P<before>\bBearer\s+|[?&]key=|(?:(?<![\w-]){_FIELD}(?:{_QUOTE})?\s*[:=]|"""
            rf"""{_QUOTE}{_NAME_ONLY}{_QUOTE}\s*:)\s*(?:{_QUOTE})?(?:(?:Bearer|Basic|Token)\s+)?)"""
            rf"""(?!<redacted)(?:(?!{_QUOTE})[^\s"',;&<>{{}}\[\]()]){{8,}}""",
            re.IGNORECASE,
        ),
    ),
)

# Shapes of LM providers' keys, which the library's detectors do not know.
_PROVIDER_KEYS = (
    r"AIza[0-9A-Za-z_-]{35}|\bsk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{20,}|\bhf_[A-Za-z0-9]{30,}|\bgsk_[A-Za-z0-9]{40,}"
)

# A token of any known shape holds such a run; a text without one needs no closer look.
_RUN = re.compile(r"[A-Za-z0-9_+=-]{20,}")
_RUN_ON = re.compile(r"[A-Za-z0-9_+/=.-]*")

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


class Redactor:
    """Takes secrets out of texts and JSON values. Redacting twice changes nothing more.

    Args:
        environ: Where secret variables are looked up; the process's environment when not given.
        patterns: Regular expressions of the user's own.

    Raises:
        ConfigurationError: A pattern that does not compile.

    >>> redactor = Redactor(environ={"GEMINI_API_KEY": "s3cr3t-value"})
    >>> redactor.text("call it with s3cr3t-value")
    'call it with <redacted:GEMINI_API_KEY>'
    >>> redactor.value({"api_key": "abc", "text": "Bearer abcdefghi"})
    {'api_key': '<redacted>', 'text': 'Bearer <redacted>'}
    """

    def __init__(self, *, environ: Mapping[str, str] | None = None, patterns: Iterable[str] = ()) -> None:
        named = _secret_variables(os.environ if environ is None else environ)
        self._names = {value: name for name, value in sorted(named.items(), reverse=True)}
        # The longest first: a secret may be the beginning of another.
        values = sorted(self._names, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, values))) if values else None
        self._patterns = tuple(map(_compiled, patterns))
        # The same system prompt comes with every call of a program.
        self.text = functools.lru_cache(maxsize=512)(self._text)
        # And the same names with every request.
        self.name = functools.lru_cache(maxsize=1024)(self._name)

    def value(self, value: Any) -> Any:
        """Take the secrets out of every text of a JSON value; returns a new one."""
        if isinstance(value, str):
            return value if is_reference(value) else self.text(value)
        if isinstance(value, dict):
            return {
                name: REDACTED if secret and is_told(item) else self.value(item)
                for (name, secret), item in ((self.name(key), item) for key, item in value.items())
            }
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value

    def streamed(self, kind: str, text: str) -> str:
        """Take the secrets out of what a stream said, all its pieces together.

        Args:
            kind: Of its deltas. A ``tool_call`` says JSON, whose fields may be named like a credential.
            text: What they said.
        """
        clean = self.text(text)
        if kind != "tool_call":
            return clean
        try:
            arguments = json.loads(clean)
        except (ValueError, RecursionError):
            return clean  # cut short, or no JSON
        kept = self.value(arguments)
        # Its half characters are written in ASCII, which a file can hold.
        return clean if kept == mended(arguments) else json.dumps(kept, ensure_ascii=False)

    def media(self, data: str, media_type: str) -> str:
        """Take the secrets out of base64 media that is text; other media is given back as it is."""
        if not media_type.startswith("text/") and not media_type.endswith(("json", "xml", "yaml")):
            return data
        try:
            text = base64.b64decode("".join(data.rpartition(";base64,")[2].split()), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return data
        clean = self.text(text)
        return data if clean == text else base64.b64encode(clean.encode()).decode()

    def _name(self, name: str) -> tuple[str, bool]:
        """A field's name without secrets, and whether it says that the field holds one."""
        return self._text(name), _FIELD_NAME.match(name) is not None

    def _text(self, text: str) -> str:
        if not text.isascii():
            # Half a character, as a stream cut inside one leaves it, has no form in any file.
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if self._values is not None:
            text = self._values.sub(lambda match: f"<redacted:{self._names[match[0]]}>", text)
        lower = text.lower()
        for words, context in _IN_CONTEXT:
            if any(word in lower for word in words):
                text = context.sub(lambda match: f"{match['before']}{REDACTED}", text)
        if _RUN.search(text):
            text = _without_tokens(text)
        for pattern in self._patterns:
            text = pattern.sub(REDACTED, text)
        return text


def is_told(item: Any) -> bool:
    """Whether a field tells something: a text, and not a JSON Schema's word for what it would tell."""
    return isinstance(item, str) and item != "" and not item.startswith("#/$defs/")


def redact(value: Any) -> Any:
    """Take what looks like a secret out of every text of a JSON value: what a cassette would not hold either.

    Known are what docs/cassettes.md lists, and the project's own ``redact`` in ``[tool.lmtest]``.

    Args:
        value: Text, number, list, dict with texts as keys, or None; it is left as it is.

    Returns:
        A new value, with ``<redacted>`` where something was.

    Raises:
        ConfigurationError: A setting of the project that cannot be used.

    >>> redact({"password": "hunter2", "text": ["Authorization: Bearer abcdefghi", 7]})
    {'password': '<redacted>', 'text': ['Authorization: Bearer <redacted>', 7]}
    """
    return of_process(settings.load()[0].redact).value(value)


def of_process(patterns: tuple[str, ...] = ()) -> Redactor:
    """The redactor of this process's environment as it is now; the same one while its secrets are the same.

    Args:
        patterns: Regular expressions of the user's own.

    Raises:
        ConfigurationError: A pattern that does not compile.
    """
    return _redactor(tuple(sorted(_secret_variables(os.environ).items())), patterns)


@functools.lru_cache(maxsize=16)
def _redactor(secrets: tuple[tuple[str, str], ...], patterns: tuple[str, ...]) -> Redactor:
    return Redactor(environ=dict(secrets), patterns=patterns)


def _secret_variables(environ: Mapping[str, str]) -> dict[str, str]:
    # Only the values of those named like a secret are looked at: every opening of a cassette asks.
    named = {name: environ[name] for name in environ if _is_secret_name(name)}
    return {
        name: value
        for name, value in named.items()
        if len(value) >= _SHORTEST_SECRET and not value.startswith(("/", "~", "."))
    }


@functools.lru_cache(maxsize=4096)
def _is_secret_name(name: str) -> bool:
    return _SECRET_VARIABLE.search(name) is not None


def _without_tokens(text: str) -> str:
    for pattern, group in _shapes():
        pieces, done = [], 0
        for match in pattern.finditer(text):
            if match.start() < done:
                continue
            # Some detectors stop inside the token: what runs on belongs to it.
            run = _RUN_ON.match(text, match.end())
            end = run.end() if run else match.end()
            pieces += [text[done : match.start(group)], REDACTED]
            done = end
        if pieces:
            text = "".join(pieces) + text[done:]
    return text


@functools.cache
def _shapes() -> tuple[tuple[re.Pattern[str], int], ...]:
    """Known token shapes, each with the group that holds the token."""
    import importlib  # late: most texts need no closer look, and the detectors take a fifth of a second to import

    shapes = [(re.compile(_PROVIDER_KEYS), 0)]
    for name in _DETECTORS:
        module, _, detector = name.partition(".")
        denylist = getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), detector).denylist
        # Of detectors with groups, only AWS's long key and npm's line have the token in one; elsewhere it is the kind.
        shapes += [(pattern, min(pattern.groups, 1) if module in {"aws", "npm"} else 0) for pattern in denylist]
    return tuple(shapes)


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ConfigurationError(f"redact={pattern!r} is no regular expression: {error}.") from error
