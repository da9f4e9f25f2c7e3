"""Fields that are named like a credential: whatever they hold is a secret, in data and in JSON inside of a text."""

from __future__ import annotations

import json
import re
from typing import Any, Final

REDACTED: Final = "<redacted>"

FIELD: Final = (
    r"(?:x[_-](?:goog[_-]|amz[_-])?)?(?:(?:[a-z0-9]+[_-])?api[_-]?key|"
    r"(?:access|refresh|id|o?auth|api|bearer|session|security)[_-]?token|(?:client|app|shared)[_-]?secret|"
    r"(?:aws[_-])?secret[_-]?(?:access[_-]?)?key|private[_-]?key|password|passwd|passphrase|(?:proxy-)?authorization)"
)
"""Names that say so anywhere."""

NAME_ONLY: Final = r"(?:secret|credentials?)"
"""Names that say so where they are a field's; in prose these are words like others."""

# JSON stands in texts too, and in texts inside of it, with a backslash more each time.
QUOTE: Final = r"""\\*["']"""

_ANY_NAME: Final = rf"(?:{FIELD}|{NAME_ONLY}|(?:set-)?cookie)"
_NAME: Final = re.compile(rf"{_ANY_NAME}\Z", re.IGNORECASE)

WORDS: Final = ("key", "token", "secret", "passw", "passphrase", "authorization", "credential", "cookie")
"""Of these each name has one: a lower-case text without them names no such field."""

_IN_TEXT: Final = re.compile(
    rf"""(?<!\\)(?P<quote>{QUOTE}){_ANY_NAME}(?P=quote)\s*(?::|=>)\s*|(?<![\w-]){FIELD}[ \t]*[:=][ \t]*(?={QUOTE})""",
    re.IGNORECASE,
)
_OPENING: Final = re.compile(r"""(?P<escape>\\*)(?P<mark>["'])""")
_NUMBER: Final = re.compile(r"-?\d[\d.eE+-]*(?!\w)")
_PUNCTUATION: Final = re.compile(r"""(?<!\\)(?P<escape>\\*)(?P<mark>["'])|[\[\]{}]""")
_SCHEME: Final = re.compile(r"(?:(?:Bearer|Basic|Token)\s+)?", re.IGNORECASE)  # of authorization, which is no secret
_DONE: Final = re.compile(r"<redacted(?::\w+)?>")
# In prose and in code a quote may end there what began before the name.
_BEGINS_NO_VALUE: Final = (" ", ",", ")", ";", "+", ".")
_ENDS_A_VALUE: Final = re.compile(r"""[\s,;)\]}>]|\\*["']|\\[nrt]|\Z""")

# https://json-schema.org/draft/2020-12: what a schema of a single value consists of.
_SCHEMA: Final = frozenset(
    {
        "$comment", "$defs", "$ref", "additionalProperties", "allOf", "anyOf", "deprecated", "description", "enum",
        "exclusiveMaximum", "exclusiveMinimum", "format", "items", "maxItems", "maxLength", "maximum", "minItems",
        "minLength", "minimum", "nullable", "oneOf", "pattern", "properties", "readOnly", "required", "title", "type",
        "uniqueItems", "writeOnly", "default",
    }
)  # fmt: skip
_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})


def is_named(name: str) -> bool:
    """Decide if a field's name says that it holds a credential.

    >>> is_named("api_key"), is_named("max_tokens")
    (True, False)
    """
    return _NAME.match(name) is not None


def tells(value: Any) -> bool:
    """Decide if a field of such a name tells something: not nothing, yes or no, nor a JSON Schema of what it would.

    >>> tells("hunter2"), tells(1234), tells(["hunter2"]), tells({"type": "string"}), tells(None)
    (True, True, True, False, False)
    """
    if isinstance(value, str):
        return value != "" and not value.startswith("#/$defs/")
    if isinstance(value, dict):
        return bool(value) and not _is_schema(value)
    return bool(value) if isinstance(value, (list, tuple)) else type(value) in {int, float}


def _is_schema(value: dict[Any, Any]) -> bool:
    """Decide if a mapping is the schema of a field, and tells no value of it."""
    if not _SCHEMA.issuperset(value) or value.get("default") not in (None, ""):
        return False
    kind = value.get("type", [])
    kinds = kind if isinstance(kind, list) else [kind]
    known = all(isinstance(each, str) and each.lower() in _TYPES for each in kinds)
    return known and (bool(kinds) or not {"$ref", "allOf", "anyOf", "oneOf", "enum"}.isdisjoint(value))


def without_values(text: str) -> str:
    r"""Take out what such fields hold in JSON, Python and their like, however deep the text is escaped.

    >>> without_values('{"password": "correct horse", "pin": 1, "secret": [1, 2]}')
    '{"password": "<redacted>", "pin": 1, "secret": "<redacted>"}'
    >>> without_values(r'{\"password\": \"hunter2\"}')
    '{\\"password\\": \\"<redacted>\\"}'
    """
    pieces, done = [], 0
    for name in _IN_TEXT.finditer(text):
        if name.start() < done:
            continue
        start = name.end()
        found = _string(text, start, loose=name["quote"] is None) or _other(text, start, name["quote"])
        if found is not None:
            end, instead = found
            pieces += [text[done:start], instead]
            done = end
    return "".join([*pieces, text[done:]])


def _string(text: str, start: int, *, loose: bool) -> tuple[int, str] | None:
    """Find where a string ends, and what stands in its place; None where there is none that tells something."""
    opening = _OPENING.match(text, start)
    if opening is None:
        return None
    end, closing = _end_of_string(text, opening)
    told = text[opening.end() : end]
    scheme = _SCHEME.match(told)
    kept = scheme[0] if scheme else ""
    if not tells(told) or _DONE.fullmatch(told, len(kept)):
        return None
    if loose and (
        not closing or told.startswith(_BEGINS_NO_VALUE) or not _ENDS_A_VALUE.match(text, end + len(closing))
    ):
        return None
    return end, f"{opening[0]}{kept}{REDACTED}"


def _end_of_string(text: str, opening: re.Match[str]) -> tuple[int, str]:
    """Find where a string's text ends, and the quote that ends it; none where it was cut short.

    In n texts, one inside the other, a quote has 2**n - 1 backslashes before it; a backslash has twice as many
    characters with each.
    """
    depth, mark = len(opening["escape"]), opening["mark"]
    for quote in re.compile(rf"(?<!\\)(\\*){mark}|\n").finditer(text, opening.end()):
        if quote[0] == "\n":
            return quote.start(), ""
        backslashes = len(quote[1])
        if backslashes % (2 * depth + 2) == depth:
            return quote.end() - depth - 1, quote[0][-depth - 1 :]
        if backslashes < depth:  # the text around it ends
            return quote.start(), ""
    return len(text), ""


def _other(text: str, start: int, quote: str | None) -> tuple[int, str] | None:
    """The same of a number, list or mapping; it becomes a string, so that JSON stays JSON."""
    if quote is None:
        return None
    if number := _NUMBER.match(text, start):
        return number.end(), f"{quote}{REDACTED}{quote}"
    if text[start : start + 1] not in {"[", "{"}:
        return None
    end = _end_of_brackets(text, start)
    held = text[start:end]
    return (end, f"{quote}{REDACTED}{quote}") if _holds_something(held, len(quote) - 1) else None


def _end_of_brackets(text: str, start: int) -> int:
    """Find where a list or mapping ends; of one that was cut short, or is none, the end of its paragraph."""
    level, position = 0, start
    while (found := _PUNCTUATION.search(text, position)) is not None:
        position = found.end()
        if found["mark"]:
            end, closing = _end_of_string(text, found)
            position = end + len(closing)
        elif found[0] in "[{":
            level += 1
        else:
            level -= 1
            if level == 0:
                return position
    paragraph = text.find("\n\n", start)
    return paragraph if paragraph >= 0 else len(text)


def _holds_something(held: str, backslashes: int) -> bool:
    if not held[1:].strip("]} \t\r\n"):
        return False
    try:
        while backslashes > 0:
            held, backslashes = json.loads(f'"{held}"'), backslashes // 2
        return tells(json.loads(held))
    except (ValueError, TypeError, RecursionError):
        return True  # cut short, or of another language
