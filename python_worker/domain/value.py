"""A value that a signature's field can hold."""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from python_worker.domain.media import Media
    from python_worker.domain.tensor import Tensor

Value: TypeAlias = "bool | int | float | str | datetime | date | Tensor | Media | list[Value] | dict[str, Value] | None"
Fields: TypeAlias = "Mapping[str, Value]"
"""Values by field name."""


def canonical_json(value: object) -> bytes:
    """The one JSON text of a value: keys sorted, no blanks, UTF-8; times, tensors and media in their JSON form.

    >>> canonical_json({"b": 1, "a": [True, None]})
    b'{"a":[true,null],"b":1}'
    """
    # Dataclasses pass through, or orjson would write them field by field, and bytes it has no form for.
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS, default=_json_form)


def plain(fields: Fields) -> dict[str, Any]:
    """As JSON values. Tensors and media by hash: they are big, and what they hold cannot be redacted."""
    told: dict[str, Any] = orjson.loads(
        orjson.dumps(
            fields,
            option=orjson.OPT_PASSTHROUGH_DATACLASS,
            default=lambda value: {"sha256": fingerprint(value)},
        )
    )
    return told


def fingerprint(value: object) -> str:
    """SHA-256 of the canonical JSON, 64 hexadecimal digits.

    >>> fingerprint({"a": 1})[:12]
    '015abd7f5cc5'
    """
    return hashlib.sha256(canonical_json(value)).hexdigest()


def excerpt(value: object, *, length: int = 200) -> str:
    """A value as JSON for a message, cut after ``length`` characters.

    >>> excerpt("abc" * 100, length=8)
    '"abcabca…'
    >>> excerpt(float("inf"))
    'Infinity'
    >>> excerpt(10**5000)
    'int too long or too deep to be shown'
    """
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)  # which JSON has no word for, and orjson would write as null
    try:
        option = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
        text = orjson.dumps(value, option=option, default=repr).decode()
    except TypeError:  # an integer beyond 64 bits, or text that is no Unicode: Python's own writer takes both
        try:
            text = json.dumps(value, sort_keys=True, default=repr)
        except (ValueError, RecursionError):  # thousands of digits, or of levels
            return f"{type(value).__name__} too long or too deep to be shown"
    return text if len(text) <= length else text[:length] + "…"


def storable(text: str) -> str:
    """A text that every database and every wire can carry: lone surrogates and NUL become U+FFFD.

    >>> storable("a" + chr(0) + chr(0xD800))
    'a��'
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "�")


def _json_form(value: object) -> object:
    to_json = getattr(value, "to_json", None)
    if to_json is None:
        raise TypeError(f"a {type(value).__name__} has no JSON form")
    return to_json()
