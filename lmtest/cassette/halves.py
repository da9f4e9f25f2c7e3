"""Half characters: surrogates, as a model leaves one that is cut inside a character; no UTF-8 file can hold them.

Two that stand together are the character that they are the halves of; one alone becomes U+FFFD.
"""

from __future__ import annotations

import re
from typing import Any, Final

_HALF: Final = re.compile(r"[\ud800-\udfff]")
_FIRST: Final = re.compile(r"[\ud800-\udbff]\Z")


def mended(value: Any) -> Any:
    r"""Give a JSON value without half characters, itself where it has none.

    >>> mended({"said": "\ud83d\ude00 and \ud83d"})
    {'said': '😀 and �'}
    """
    match value:
        case str():
            if value.isascii() or not _HALF.search(value):
                return value
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case dict():
            items: dict[Any, Any] = {mended(name): mended(item) for name, item in value.items()}
            same = all(items.get(name) is item for name, item in value.items())
            return value if same else items
        case list():
            anew = [mended(item) for item in value]
            return value if all(new is old for new, old in zip(anew, value, strict=True)) else anew
        case _:
            return value


def held_back(text: str) -> tuple[str, str]:
    r"""Cut off the first half of a character at a text's end: the other half may follow.

    >>> [part.encode("ascii", "backslashreplace") for part in held_back("a\ud83d")]
    [b'a', b'\\ud83d']
    """
    return (text[:-1], text[-1]) if _FIRST.search(text) else (text, "")
