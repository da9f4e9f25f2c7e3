"""Whether two requests are the same: a request's normal form, and the key over it.

The key is SHA-256 over the canonical JSON of the normal form, and the normal form is what the cassette stores: anyone
can check a key against the file.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from lmtest.cassette.canonical import digest
from lmtest.cassette.redact import Redactor
from lmtest.errors import ConfigurationError

if TYPE_CHECKING:
    from lmtest.cassette.interaction import Json

# Settings that say what the provider does anyway. Absent and default are the same request.
_DEFAULTS: dict[str, Any] = {
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "tool_choice": {"mode": "auto"},
    "cache": {"mode": "auto"},
    "extensions": {},
}

# How a request travels, not what it asks: never part of it.
_TRANSPORT = frozenset(
    {
        "api_base", "api_key", "api_version", "base_url", "cache_control", "extra_headers", "headers", "max_retries",
        "num_retries", "organization", "project", "retries", "rollout_id", "stream", "stream_options", "timeout",
    }
)  # fmt: skip

NAMED_PATTERNS = {
    "date": r"(?<!\d)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?!\d)",
    "time": r"(?<!\d)(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z|[+-](?:[01]\d|2[0-3]):?[0-5]\d)?(?!\d)",
    "uuid": r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b",
    "tmp-path": r"(?:/private)?(?:/var/folders/[\w/+.-]+|/tmp/[\w/+.@-]+)|[A-Za-z]:\\[^\s\"']*\\Temp\\[^\s\"']+",
    "traceback": r"Traceback \(most recent call last\):\n(?:[ \t].*\n)+",
}
"""Patterns that ``scrub=`` knows by name."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a user declared as not mattering to a request. Nothing is guessed.

    Attributes:
        ignore: JSONPath queries (RFC 9535; a leading ``$.`` may be left out) of parts left out of the request.
        scrub: Names of :data:`NAMED_PATTERNS`, or regular expressions, replaced in every text of the request.

    >>> rules = Rules(ignore=("config.temperature",), scrub=("date",))
    >>> one = {"model": "m", "system": "Today is 2026-11-20.", "config": {"temperature": 0.1}}
    >>> other = {"model": "m", "system": "Today is 2027-01-01.", "config": {"temperature": 0.9}}
    >>> fingerprint(normalise(one, rules)) == fingerprint(normalise(other, rules))
    True
    """

    ignore: tuple[str, ...] = ()
    scrub: tuple[str, ...] = ()

    @cached_property
    def patterns(self) -> tuple[tuple[re.Pattern[str], str], ...]:
        """Each pattern with its replacement.

        Raises:
            ConfigurationError: A regular expression that does not compile.
        """
        return tuple(_pattern(text) for text in self.scrub)

    @cached_property
    def queries(self) -> tuple[Any, ...]:
        """The compiled ``ignore`` paths.

        Raises:
            ConfigurationError: A path that is no JSONPath.
        """
        if not self.ignore:
            return ()
        import jsonpath_rfc9535  # late: most users declare no path

        compiled = []
        for path in self.ignore:
            try:
                compiled.append(jsonpath_rfc9535.compile(path if path.startswith("$") else f"$.{path}"))
            except jsonpath_rfc9535.JSONPathError as error:
                raise ConfigurationError(f"ignore={path!r} is no JSONPath: {error}") from error
        return tuple(compiled)


_NO_REDACTION: Final = Redactor(environ={}, edition=0)


def normalise(
    request: Json,
    rules: Rules = Rules(),
    *,
    redactor: Redactor = _NO_REDACTION,
) -> Json:
    """Bring a request to the form in which equal requests are equal values.

    Args:
        request: A request as lm15 serialises it.
        rules: What the user declared as not mattering.
        redactor: Takes the secrets out; applied before everything else, so that a key never depends on one.

    Returns:
        A new value: no transport, no default settings, names and texts in Unicode NFC, texts scrubbed, ignored parts
        left out.

    Raises:
        ConfigurationError: A rule that does not compile.

    >>> normalise({"model": "m", "config": {"timeout": 3, "frequency_penalty": 0.0}})
    {'model': 'm'}
    """
    normal = _text_of(request, rules, redactor)
    config = normal.get("config")
    if config:
        config = _without_defaults(config)
        if extensions := config.get("extensions"):
            config["extensions"] = {key: value for key, value in extensions.items() if key not in _TRANSPORT}
            config = _without_defaults(config)
        normal["config"] = config
    if not normal.get("config"):
        normal.pop("config", None)
    return _without(normal, rules)


def apply(rules: Rules, normal: Json, *, redactor: Redactor) -> Json:
    """Apply rules to a request that has its normal form by other rules, or by fewer.

    The settings that say what the provider does anyway are gone already: what an ``ignore`` left empty stays there, as
    it does in a request that is asked.

    Args:
        rules: What does not matter.
        normal: The request.
        redactor: Takes the secrets out.

    Returns:
        A new value.

    Raises:
        ConfigurationError: A rule that does not compile.
    """
    return _without(_text_of(normal, rules, redactor), rules)


def fingerprint(normal: Json) -> str:
    """Give the key of a normalised request: 64 hexadecimal digits.

    >>> fingerprint({"model": "m"})[:8]
    '548f58d1'
    """
    return digest(normal)


def _without_defaults(config: Json) -> Json:
    return {
        key: value
        for key, value in config.items()
        if key not in _TRANSPORT and not (key in _DEFAULTS and value == _DEFAULTS[key] and value is not False)
    }


def _text_of(request: Json, rules: Rules, redactor: Redactor) -> Json:
    """A copy whose texts have their normal form, redacted as an answer is: it must read the same when asked with."""
    then = functools.partial(_scrubbed, patterns=rules.patterns) if rules.patterns else _composed
    normal: Json = redactor.value(request, then=then, named=_composed)
    return normal


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _scrubbed(text: str, *, patterns: tuple[tuple[re.Pattern[str], str], ...]) -> str:
    text = _composed(text)
    for pattern, replacement in patterns:
        text = pattern.sub(replacement, text)
    return text


def _pattern(text: str) -> tuple[re.Pattern[str], str]:
    if text in NAMED_PATTERNS:
        return re.compile(NAMED_PATTERNS[text]), f"<{text}>"
    try:
        return re.compile(text), "<scrubbed>"
    except re.error as error:
        raise ConfigurationError(
            f"scrub={text!r} is neither one of {', '.join(NAMED_PATTERNS)} nor a regular expression: {error}."
        ) from error


def _without(normal: Json, rules: Rules) -> Json:
    for query in rules.queries:
        _leave_out(normal, query)
    return normal


def _leave_out(normal: Json, query: Any) -> None:
    # Last first, so that leaving out one item of a list does not move those still to go.
    for node in reversed(query.find(normal)):
        if not node.location:
            continue  # the request itself, of which nothing would be left
        *way, last = node.location
        holder: Any = normal
        for step in way:
            holder = holder[step]
        del holder[last]
