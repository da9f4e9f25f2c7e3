"""A made-up value that fits a JSON schema, decided by a seed alone."""

from __future__ import annotations

import hashlib
import math
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

from lmtest.lm.patterns import matching

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_T = TypeVar("_T")

_WORDS = (
    "amber", "birch", "cobalt", "delta", "ember", "fjord", "garnet", "harbor", "indigo", "juniper", "krypton", "lagoon",
    "meadow", "nickel", "opal", "pepper", "quartz", "raven", "saffron", "timber", "umber", "velvet", "willow", "zephyr",
)  # fmt: skip

# Beyond this many steps into a schema only what it insists on is written, so that a tree type comes to an end.
_DEEP = 6

_EPOCH = datetime(2024, 1, 1, 9, 30, tzinfo=UTC)


def invent(schema: Mapping[str, Any], *, seed: str, topic: str, name: str = "") -> Any:
    """Make up a value that the schema accepts; the same arguments always give the same one.

    One of the schema's own ``examples`` is taken where it has some.

    Args:
        schema: A JSON schema, or the OpenAPI subset of Gemini's ``responseSchema`` (upper-case types).
        seed: What decides among equals.
        topic: What prose is about.
        name: What the value is called, which prose mentions.

    Raises:
        ValueError: A ``$ref`` that leads nowhere, a schema that never ends, or one that nothing fits; the message says
            where.

    >>> invent({"type": "number", "minimum": 0, "maximum": 1}, seed="a", topic="") <= 1
    True
    >>> invent({"type": "string"}, seed="a", topic="Why?", name="answer")
    'Mock answer for "Why?": velvet.'
    """
    try:
        return _Inventor(root=schema, seed=seed, topic=topic).value(schema, (name,) if name else ())
    except RecursionError:
        raise ValueError(f"the schema of {name or 'the answer'} never ends: it requires itself") from None


def pick(seed: str, options: Sequence[_T]) -> _T:
    """Choose one of several, decided by the seed.

    >>> pick("a", ["x"])
    'x'
    """
    return options[int.from_bytes(_digest(seed)[:8]) % len(options)]


def prose(label: str, *, topic: str, seed: str) -> str:
    """Write the sentence that stands for an answer: it says that it is made up, and what it is about.

    >>> prose("answer", topic="Why?", seed="a")
    'Mock answer for "Why?": krypton.'
    """
    about = f' for "{topic}"' if topic else ""
    return f"Mock {label.replace('_', ' ').strip() or 'answer'}{about}: {pick(seed, _WORDS)}."


@dataclass(frozen=True, kw_only=True)
class _Inventor:
    root: Mapping[str, Any]
    seed: str
    topic: str

    def value(self, schema: Mapping[str, Any], path: tuple[str, ...]) -> Any:
        schema = self._resolved(schema, path)
        if options := _choices(schema) or schema.get("examples"):
            return pick(self._seed(path), options)
        if branches := schema.get("anyOf") or schema.get("oneOf"):
            return self.value(self._branch(branches, path), path)
        match _type(schema):
            case "object":
                return self._object(schema, path)
            case "array":
                return self._array(schema, path)
            case "integer" | "number" as kind:
                try:
                    return (_integer if kind == "integer" else _real)(schema, self._fraction(path))
                except ValueError as error:
                    raise ValueError(f"{'.'.join(path) or 'the answer'}: {error}") from None
        return self._string(schema, path)

    def _resolved(self, schema: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any]:
        if reference := schema.get("$ref"):
            found: Any = self.root
            for step in filter(None, reference.removeprefix("#").split("/")):
                if not isinstance(found, dict) or step not in found:
                    raise ValueError(
                        f"the schema of {'.'.join(path) or 'the answer'} refers to {reference!r}: not found"
                    )
                found = found[step]
            return self._resolved(found | _without(schema, "$ref"), path)
        for part in schema.get("allOf", ()):
            schema = _without(schema, "allOf") | dict(self._resolved(part, path))
        return schema

    def _branch(self, branches: Sequence[Mapping[str, Any]], path: tuple[str, ...]) -> Mapping[str, Any]:
        nulls = [branch for branch in branches if _type(branch) == "null"]
        values = [branch for branch in branches if _type(branch) != "null"]
        if len(path) > _DEEP:
            plain = [branch for branch in values if _type(branch) in {"string", "integer", "number", "boolean"}]
            return (nulls or plain or values)[0]
        return (values or nulls)[0]

    def _object(self, schema: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
        required = schema.get("required", ())
        if properties := schema.get("properties"):
            kept = required if len(path) > _DEEP else [*properties, *(key for key in required if key not in properties)]
            return {key: self.value(properties.get(key, {}), (*path, key)) for key in kept}
        values = schema.get("additionalProperties", True)
        least = schema.get("minProperties", 0)
        if values is False or (not least and len(path) > _DEEP):
            return {}
        names = schema.get("propertyNames", {"type": "string", "maxLength": 8})
        inner = values if isinstance(values, dict) else {"type": "string"}
        keys = [self.value(names, (*path, "key", str(index))) for index in range(max(1, least))]
        return {key: self.value(inner, (*path, key)) for key in keys}

    def _array(self, schema: Mapping[str, Any], path: tuple[str, ...]) -> list[Any]:
        fixed = [self.value(item, (*path, str(index))) for index, item in enumerate(schema.get("prefixItems", ()))]
        items = schema.get("items", {"type": "string"} if not fixed else False)
        least = int(schema.get("minItems", 0))
        wanted = least if len(path) > _DEEP else max(least, min(2, int(schema.get("maxItems", 2))))
        index = len(fixed)
        tries = index + 20 * wanted
        while isinstance(items, dict) and len(fixed) < wanted and index < tries:
            item = self.value(items, (*path, str(index)))
            index += 1
            if not (schema.get("uniqueItems") and item in fixed):
                fixed.append(item)
        if len(fixed) < least:
            raise ValueError(f"{'.'.join(path) or 'the answer'}: no {least} different items were found")
        return fixed

    def _string(self, schema: Mapping[str, Any], path: tuple[str, ...]) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]](_digest(self._seed(path)))
        if pattern := schema.get("pattern"):
            try:
                return matching(
                    pattern,
                    least=int(schema.get("minLength", 0)),
                    longest=schema.get("maxLength"),
                    seed=self._seed(path),
                )
            except ValueError as error:
                raise ValueError(f"{'.'.join(path) or 'the answer'}: {error}") from None
        longest = int(schema.get("maxLength", 1_000_000))
        words = [pick(self._seed(path), _WORDS), pick(self._seed((*path, "second")), _WORDS)]
        sentence = prose("".join(path), topic=self.topic, seed=self._seed(path))
        fitting = [sentence] if len(path) <= 1 else []
        text = next((each for each in (*fitting, " ".join(words)) if len(each) <= longest), words[0])
        while len(text) < int(schema.get("minLength", 0)):
            text = f"{text} {pick(self._seed((*path, str(len(text)))), _WORDS)}"
        return text[:longest]

    def _seed(self, path: tuple[str, ...]) -> str:
        return "/".join((self.seed, *path))

    def _fraction(self, path: tuple[str, ...]) -> float:
        return int.from_bytes(_digest(self._seed(path))[:4]) / 2**32


def _type(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else ""
    return str(kind).lower()


def _choices(schema: Mapping[str, Any]) -> Sequence[Any]:
    if "const" in schema:
        return [schema["const"]]
    by_type: dict[str, Sequence[Any]] = {"boolean": (True, False), "null": (None,)}
    return schema.get("enum") or by_type.get(_type(schema), ())


def _without(schema: Mapping[str, Any], keyword: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != keyword}


def _integer(schema: Mapping[str, Any], fraction: float) -> int:
    # The whole multiples of a/b in lowest terms are those of a.
    step = Fraction(str(schema.get("multipleOf", 1))).numerator
    return step * _steps(schema, Fraction(step), fraction)


def _real(schema: Mapping[str, Any], fraction: float) -> float:
    if "multipleOf" in schema:
        step = Fraction(str(schema["multipleOf"]))
        return float(step * _steps(schema, step, fraction))
    low, high = _bound(schema, "minimum", "exclusiveMinimum", max), _bound(schema, "maximum", "exclusiveMaximum", min)
    if low is None:
        # Unbounded numbers are mostly scores and confidences.
        low = 0.0 if high is None or high > 0 else high - 1
    if high is None:
        high = low + 1
    if low > high:
        raise ValueError(f"no number is between {low} and {high}")
    place = 0.05 + 0.9 * fraction
    value = low * (1 - place) + high * place
    value = min(max(value, low), high)
    rounded = round(value, 2)
    return float(rounded if low < rounded < high else value)


def _steps(schema: Mapping[str, Any], step: Fraction, fraction: float) -> int:
    """How many steps from zero a multiple within the bounds is."""
    lows = [math.ceil(_exact(schema["minimum"]) / step)] if "minimum" in schema else []
    lows += [math.floor(_exact(schema["exclusiveMinimum"]) / step) + 1] if "exclusiveMinimum" in schema else []
    highs = [math.floor(_exact(schema["maximum"]) / step)] if "maximum" in schema else []
    highs += [math.ceil(_exact(schema["exclusiveMaximum"]) / step) - 1] if "exclusiveMaximum" in schema else []
    first = max(lows) if lows else 1 if not highs or min(highs) >= 1 else min(highs) - 98
    last = min(highs) if highs else max(first, 1) + 98
    if first > last:
        raise ValueError(f"no multiple of {float(step):g} is within the bounds")
    return first + int(fraction * (last - first + 1))


def _exact(number: float) -> Fraction:
    return Fraction(str(number))


def _bound(schema: Mapping[str, Any], one: str, other: str, tighter: Callable[[list[float]], float]) -> float | None:
    given = [schema[keyword] for keyword in (one, other) if keyword in schema]
    return tighter(given) if given else None


def _digest(seed: str) -> bytes:
    return hashlib.sha256(seed.encode()).digest()


def _moment(digest: bytes) -> datetime:
    return _EPOCH + timedelta(days=digest[0], minutes=digest[1])


def _word(digest: bytes) -> str:
    return _WORDS[digest[2] % len(_WORDS)]


_FORMATS: dict[str, Callable[[bytes], str]] = {
    "date-time": lambda digest: _moment(digest).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "date": lambda digest: _moment(digest).date().isoformat(),
    "time": lambda digest: _moment(digest).strftime("%H:%M:%SZ"),
    "duration": lambda digest: f"PT{1 + digest[0] % 59}M",
    "uuid": lambda digest: str(uuid.UUID(bytes=digest[:16], version=4)),
    "email": lambda digest: f"{_word(digest)}@example.com",
    "uri": lambda digest: f"https://example.com/{_word(digest)}",
    "hostname": lambda digest: f"{_word(digest)}.example.com",
    "ipv4": lambda digest: f"192.0.2.{digest[0]}",
    "ipv6": lambda digest: f"2001:db8::{digest[0]:x}",
    "decimal": lambda digest: f"{digest[0]}.{digest[1] % 100:02}",
}
