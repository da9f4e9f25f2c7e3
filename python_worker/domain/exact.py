"""Values as the JSON text that is kept of them, which reads back as the same values, types and all."""

from __future__ import annotations

import base64
import math
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import orjson

from python_worker.domain.media import Media
from python_worker.domain.tensor import Tensor
from python_worker.domain.value import canonical_json

if TYPE_CHECKING:
    from collections.abc import Callable

_MARK = "@"


def exact_json(values: object) -> str:
    """The one text of values: canonical JSON, where what JSON has no form for is a map of one marked key.

    >>> exact_json({"day": date(2024, 5, 1), "n": 1})
    '{"day":{"@date":"2024-05-01"},"n":1}'
    """
    plain = canonical_json(values)
    # Nearly always it holds all there is, and reading it costs less than looking at each value.
    if f'"{_MARK}'.encode() not in plain and orjson.loads(plain) == values:
        return plain.decode()
    return canonical_json(_marked(values)).decode()


def from_exact_json(text: str) -> Any:
    """The values of such a text.

    >>> from_exact_json('{"day":{"@date":"2024-05-01"},"n":1}')
    {'day': datetime.date(2024, 5, 1), 'n': 1}
    """
    read = orjson.loads(text)
    return _unmarked(read) if f'"{_MARK}' in text else read


def _marked(value: object) -> object:
    if isinstance(value, dict):
        return {_MARK + key if key.startswith(_MARK) else key: _marked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_marked(item) for item in value]
    return _leaf(value)


def _leaf(value: object) -> object:
    match value:
        case datetime():
            return {"@datetime": value.isoformat()}
        case date():
            return {"@date": value.isoformat()}
        case Tensor():
            return {"@tensor": [value.dtype, [*value.shape], base64.b64encode(value.data).decode()]}
        case Media():
            data = None if value.data is None else base64.b64encode(value.data).decode()
            return {"@media": [value.mime_type, data, value.url]}
        case float() if not math.isfinite(value):
            return {"@float": str(value)}
        case _:
            return value


def _unmarked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, item),) = value.items()
        if key in _READERS:
            return _READERS[key](item)
    return {
        key.removeprefix(_MARK) if key.startswith(_MARK * 2) else key: _unmarked(item) for key, item in value.items()
    }


def _tensor(parts: list[Any]) -> Tensor:
    dtype, shape, data = parts
    return Tensor(dtype=dtype, shape=tuple(shape), data=base64.b64decode(data))


def _media(parts: list[Any]) -> Media:
    mime_type, data, url = parts
    return Media(mime_type=mime_type, data=None if data is None else base64.b64decode(data), url=url)


_READERS: dict[str, Callable[[Any], object]] = {
    "@datetime": datetime.fromisoformat,
    "@date": date.fromisoformat,
    "@tensor": _tensor,
    "@media": _media,
    "@float": float,
}
