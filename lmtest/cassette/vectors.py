"""The vectors of an embedding as a cassette keeps them: one matrix of float32, row by row, in a blob.

DSPy makes float32 of what a provider answers, so nothing is lost: a vector that is read is the one that was written,
bit by bit. Base64 of little-endian IEEE 754 stands in an answer as media does, so it goes where media goes,
:mod:`lmtest.cassette.blobs`.
"""

from __future__ import annotations

import base64
import binascii
import math
import sys
from array import array
from typing import TYPE_CHECKING, Any, Final

from lmtest.errors import CassetteFormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lmtest.cassette.interaction import Interaction, Json

_MEDIA_TYPE: Final = "application/x-float32"
_SIZE: Final = 4


def packed(vectors: Sequence[Sequence[float]]) -> Json:
    """Write vectors.

    Raises:
        ValueError: They are not of one length, or not of finite numbers.

    >>> packed([[1.0, 0.5], [0.0, -1.0]])["data"], unpacked(packed([[1.0, 0.5], [0.0, -1.0]]))
    ('AACAPwAAAD8AAAAAAACAvw==', [[1.0, 0.5], [0.0, -1.0]])
    """
    lengths = {len(vector) for vector in vectors}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(f"vectors of {', '.join(map(str, sorted(lengths))) or 'no'} dimensions")
    try:
        rows = [array("f", vector) for vector in vectors]
    except TypeError as error:
        raise ValueError(f"vectors of other than numbers: {error}") from error
    if not all(map(math.isfinite, (value for row in rows for value in row))):
        raise ValueError("numbers that no float32 can be")
    return of_rows([_little_endian(row).tobytes() for row in rows])


def of_rows(rows: Sequence[bytes]) -> Json:
    """Write vectors that are packed already."""
    return {
        "media_type": _MEDIA_TYPE,
        "count": len(rows),
        "dimensions": len(rows[0]) // _SIZE,
        "data": base64.b64encode(b"".join(rows)).decode(),
    }


def rows_of(packed_: Json) -> list[bytes]:
    """Give each vector as it is packed.

    Raises:
        CassetteFormatError: They are not as many as they should be.
    """
    count, dimensions = packed_["count"], packed_["dimensions"]
    length = dimensions * _SIZE
    try:
        content = base64.b64decode(packed_["data"], validate=True)
    except binascii.Error:
        content = b""
    if not length or len(content) != count * length:
        raise CassetteFormatError(
            f"{count} vectors of {dimensions} dimensions are not what stands there. Restore the cassette from version "
            "control, or record it again with LM_MODE=record."
        )
    return [content[start : start + length] for start in range(0, len(content), length)]


def unpacked(packed_: Json) -> list[list[float]]:
    """Read vectors.

    Raises:
        CassetteFormatError: They are not as many as they should be.
    """
    return [_little_endian(array("f", row)).tolist() for row in rows_of(packed_)]


def vectors_of(interaction: Interaction) -> Json:
    """Give what an embedding's answer holds, packed; its blob must have been attached where it is to be read.

    Raises:
        CassetteFormatError: It holds none, or what was written by hand.
    """
    found: Any = next((said.get("vectors") for said in interaction.said), None)
    kinds = {"count": int, "dimensions": int, "data": str}
    if not isinstance(found, dict) or not all(type(found.get(name)) is kind for name, kind in kinds.items()):
        raise CassetteFormatError(
            f"under the key {interaction.key[:12]} of an embedding stands no whole answer. Restore the cassette from "
            "version control, or record it again with LM_MODE=record."
        )
    return found


def nearness(before: Iterable[Sequence[float]], after: Iterable[Sequence[float]]) -> float:
    """How near vectors are to those they replace: the least of their cosines, 1 where all of them point the same way.

    >>> nearness([[1.0, 0.0]], [[2.0, 0.0]]), nearness([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]])
    (1.0, 0.0)
    """
    return min((_cosine(was, now) for was, now in zip(before, after, strict=True)), default=1.0)


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(map(float.__mul__, one, other)) / lengths if lengths else float(one == other)


def _little_endian(values: array[float]) -> array[float]:
    if sys.byteorder == "big":
        values.byteswap()
    return values
