"""Secrets never reach a file: what looks like one is replaced before a key is taken and before anything is stored.

Replaced are the values of environment variables whose names say they are secret, what fields hold that are named like
a credential (:mod:`lmtest.cassette.named`), bearer tokens, ``?key=``, passwords in URLs, cookies, private keys, tokens
of well-known shapes (:mod:`lmtest.cassette.shapes`), and what the user adds: patterns, and personal data by name
(:mod:`lmtest.cassette.personal`).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import json
import os
import re
from typing import TYPE_CHECKING, Any, Final

from lmtest import settings
from lmtest.cassette import personal
from lmtest.cassette.blobs import is_reference
from lmtest.cassette.halves import mended
from lmtest.cassette.named import FIELD, NAME_ONLY, QUOTE, REDACTED, WORDS, is_named, tells, without_values
from lmtest.cassette.shapes import without_tokens
from lmtest.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_SECRET_VARIABLE = re.compile(
    r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(?:_ID)?$", re.IGNORECASE
)
_SHORTEST_SECRET: Final = 8

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
            rf"""(?P<before>\b(?:Set-)?Cookie(?:{QUOTE})?\s*:\s*(?:{QUOTE})?)[^\s=;"'<>\\]+="""
            r"""(?:"[^"\r\n]*"|[^;"'\r\n\\<]*)(?:;[^;"'\r\n\\<]*(?:"[^"\r\n]*"(?=;|\s|\Z))?)*""",
            re.IGNORECASE,
        ),
    ),
    (
        ("bearer", "key", "token", "secret", "passw", "passphrase", "authorization", "credential"),
        re.compile(
            rf"""(?P<before>\bBearer\s+|[?&]key=|(?:(?<![\w-]){FIELD}(?:{QUOTE})?\s*[:=]|"""
            rf"""{QUOTE}{NAME_ONLY}{QUOTE}\s*:)\s*(?:{QUOTE})?(?:(?:Bearer|Basic|Token)\s+)?)"""
            rf"""(?!<redacted)(?:(?!{QUOTE})[^\s"',;&<>{{}}\[\]()]){{8,}}""",
            re.IGNORECASE,
        ),
    ),
)

EDITION: Final = 2
"""The edition of these rules. A key is over what they leave of a request, so what an edition knows is never changed:
what was recorded under it is found by it."""


class Redactor:
    """Takes secrets out of texts and JSON values. Redacting twice changes nothing more.

    Args:
        environ: Where secret variables are looked up; the process's environment when not given.
        patterns: The user's own: regular expressions, and names of :data:`lmtest.cassette.personal.NAMES`.
        edition: The edition of the rules, up to :data:`EDITION`; 0 has none but the user's own.

    Raises:
        ConfigurationError: A pattern that does not compile, or a name whose package is not installed.

    >>> redactor = Redactor(environ={"GEMINI_API_KEY": "s3cr3t-value"})
    >>> redactor.text("call it with s3cr3t-value")
    'call it with <redacted:GEMINI_API_KEY>'
    >>> redactor.value({"api_key": "abc", "text": "Bearer abcdefghi"})
    {'api_key': '<redacted>', 'text': 'Bearer <redacted>'}
    """

    def __init__(
        self, *, environ: Mapping[str, str] | None = None, patterns: Iterable[str] = (), edition: int = EDITION
    ) -> None:
        secrets = _secret_variables(os.environ if environ is None else environ)
        self._names = {value: name for name, value in sorted(secrets.items(), reverse=True)}
        # The longest first: a secret may be the beginning of another.
        values = sorted(self._names, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, values))) if values else None
        self._patterns = tuple(patterns)
        self._edition = edition
        kinds = [personal.finder(pattern) for pattern in self._patterns]
        self._changes = [
            kind or functools.partial(_compiled(pattern).sub, REDACTED)
            for kind, pattern in zip(kinds, self._patterns, strict=True)
        ]
        self._knows_numbers = any(kinds)
        # The same system prompt comes with every call of a program.
        self.text = functools.lru_cache(maxsize=512)(self._text)
        # And the same names with every request.
        self.name = functools.lru_cache(maxsize=1024)(self._name)

    @functools.cached_property
    def older(self) -> tuple[Redactor, ...]:
        """The redactors of earlier editions, the latest first: what one has recorded has a key over what it left."""
        environ = {name: value for value, name in self._names.items()}
        return tuple(
            Redactor(environ=environ, patterns=self._patterns, edition=edition)
            for edition in range(self._edition - 1, 0, -1)
        )

    def value(self, value: Any, *, then: Callable[[str], str] = str, named: Callable[[str], str] = str) -> Any:
        """Take the secrets out of every text of a JSON value; returns a new one.

        Args:
            value: The value.
            then: What is done besides with each text that is kept.
            named: What is done besides with each name.
        """
        if isinstance(value, str):
            return value if is_reference(value) else then(self.text(value))
        if isinstance(value, dict):
            clean = {}
            for key, item in value.items():  # not a comprehension: every request passes here
                name, secret = self.name(key)
                held = secret and self._tells(item)
                clean[named(name)] = REDACTED if held else self.value(item, then=then, named=named)
            return clean
        if isinstance(value, (list, tuple)):
            return [self.value(item, then=then, named=named) for item in value]
        if self._knows_numbers and type(value) is int and (text := self.text(str(value))) != str(value):
            return text
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
            kept = self.value(json.loads(text))
        except (ValueError, RecursionError):
            return clean  # cut short, or no JSON
        with contextlib.suppress(ValueError):
            # Its half characters are written in ASCII, which a file can hold.
            if mended(json.loads(clean)) == kept:
                return clean
        return json.dumps(kept, ensure_ascii=False)

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
        return self._text(name), self._edition > 0 and is_named(name)

    def _tells(self, item: Any) -> bool:
        """Decide if a field that is named like a credential holds one."""
        return tells(item) and (self._edition > 1 or isinstance(item, str))

    def _text(self, text: str) -> str:
        if not text.isascii():
            # Half a character, as a stream cut inside one leaves it, has no form in any file.
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if self._values is not None:
            text = self._values.sub(lambda match: f"<redacted:{self._names[match[0]]}>", text)
        if self._edition > 0:
            text = self._without_what_is_known(text)
        for change in self._changes:
            text = change(text)
        return text

    def _without_what_is_known(self, text: str) -> str:
        lower = text.lower()
        if self._edition > 1 and any(word in lower for word in WORDS):
            text = without_values(text)
        for words, context in _IN_CONTEXT:
            if any(word in lower for word in words):
                text = context.sub(lambda match: f"{match['before']}{REDACTED}", text)
        return without_tokens(text, mark=REDACTED, edition=self._edition)


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
        patterns: The user's own; see :class:`Redactor`.

    Raises:
        ConfigurationError: A pattern that does not compile, or a name whose package is not installed.
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


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ConfigurationError(
            f"redact={pattern!r} is no regular expression: {error}. Known by name: {', '.join(personal.NAMES)}."
        ) from error
