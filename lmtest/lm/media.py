"""The media of a request, and what of them can be read from their bytes: size, length, pages."""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmtest.cassette.interaction import Json

# As lm15 names them, OpenAI's two APIs (which LiteLLM is given, too) and Anthropic's.
_KINDS: Final = {
    "image": "image", "image_url": "image", "input_image": "image",
    "audio": "audio", "audio_url": "audio", "input_audio": "audio",
    "video": "video", "video_url": "video",
    "document": "document", "file": "document", "input_file": "document", "binary": "document",
}  # fmt: skip
# Where they and Gemini's put a medium into one more object.
_WITHIN: Final = (
    "source", "image_url", "input_audio", "audio_url", "video_url", "file", "inline_data", "inlineData", "file_data",
    "fileData", "video_metadata", "videoMetadata",
)  # fmt: skip
_CONTENTS: Final = ("data", "file_data")
_ADDRESSES: Final = ("url", "image_url", "file_url", "file_id", "fileId", "file_uri", "fileUri", "path")
_TYPES: Final = ("media_type", "mime_type", "mimeType")
_DATA: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?[^,]{0,200};base64,")
_MAIN_TYPES: Final = {"image": "image", "audio": "audio", "video": "video", "text": "text", "application": "document"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Medium:
    """One medium.

    Attributes:
        kind: ``image``, ``audio``, ``video``, ``document``, or ``text`` for a file of that.
        content: Its bytes; None where it is named and not sent along.
        detail: How closely it is to be looked at, where that is asked.
        frames: Of a video, how many a second are looked at.
    """

    kind: str
    content: bytes | None = None
    detail: str = ""
    frames: float = 1.0


def medium(part: Json) -> Medium | None:
    """Read a part of a request as a medium; None where it is none.

    Args:
        part: As lm15 serialises it, or as LiteLLM is given it.

    >>> medium({"type": "image", "media_type": "image/png", "data": "aGk=", "detail": "low"})
    Medium(kind='image', content=b'hi', detail='low', frames=1.0)
    >>> medium({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}).kind
    'audio'
    >>> medium({"type": "string", "default": "image"}) is None
    True
    """
    told = dict(part)
    for name in _WITHIN:
        if isinstance(inner := part.get(name), dict):
            told |= {key: value for key, value in inner.items() if key != "type"}
            if name != "source" and "type" not in part:
                told["type"] = "file"
    kind = told.get("type")
    if not isinstance(kind, str) or kind not in _KINDS:
        return None
    content, address = _first(told, _CONTENTS), _first(told, _ADDRESSES)
    said = _DATA.match(content or address or "")
    if said is not None:
        content = (content or address or "")[said.end() :]
    elif content is None and address is None:
        return None
    mime = (said and said[1]) or _first(told, _TYPES) or ""
    frames = told.get("fps")
    return Medium(
        kind=_kind(kind, mime),
        content=_of_file(told.get("path")) if content is None else _decoded(content),
        detail=_first(told, ("detail",)) or "",
        frames=float(frames) if isinstance(frames, int | float) and frames > 1 else 1.0,
    )


def inline(text: str) -> Medium | None:
    """Read a text that is a data URI as a medium.

    >>> inline("data:audio/wav;base64,aGk=")
    Medium(kind='audio', content=b'hi', detail='', frames=1.0)
    """
    said = _DATA.match(text)
    return Medium(kind=_kind("file", said[1] or ""), content=_decoded(text[said.end() :])) if said else None


def size(content: bytes) -> tuple[int, int] | None:
    """Read an image's width and height in pixels; None where they cannot be read.

    >>> size(b"GIF89a" + bytes([0x40, 1, 0xF0, 0]))
    (320, 240)
    """
    import imagesize

    with contextlib.suppress(Exception):  # a library that reads what anybody may have made
        width, height = imagesize.get(io.BytesIO(content))
        if width > 0 and height > 0:
            return int(width), int(height)
    return None


def seconds(content: bytes) -> float | None:
    """Read how long a sound or a video is, in seconds; None where that cannot be read.

    The sound of a video may be shorter than what is seen, so the longest of what its file says holds.
    """
    from tinytag import TinyTag

    found = list(_movie_seconds(content))
    with contextlib.suppress(Exception):
        told = TinyTag.get(filename="", file_obj=io.BytesIO(content), tags=False)
        found += [float(told.duration or 0)]
    return max(found, default=0.0) or None


def pages(content: bytes) -> int | None:
    """Count a PDF's pages; None where it is none, is locked or is broken."""
    if b"%PDF-" not in content[:1024]:
        return None
    from pypdf import PdfReader

    with contextlib.suppress(Exception):
        return len(PdfReader(io.BytesIO(content)).pages) or None
    return None


def _first(told: Json, names: tuple[str, ...]) -> str | None:
    return next((value for name in names if isinstance(value := told.get(name), str) and value), None)


def _kind(said: str, mime: str) -> str:
    return _MAIN_TYPES.get(mime.partition("/")[0], _KINDS[said])


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=not any(space in text for space in "\r\n"))
    except (binascii.Error, ValueError):
        return None


def _of_file(path: object) -> bytes | None:
    """A file that is read when the call is sent."""
    with contextlib.suppress(OSError, ValueError):
        return Path(path).read_bytes() if isinstance(path, str) else None
    return None


def _movie_seconds(content: bytes) -> Iterator[float]:
    """The movie header of MP4 and QuickTime: duration by time scale (ISO/IEC 14496-12, 8.2.2)."""
    for found in re.finditer(rb"mvhd(?=[\0\1]\0{3})", content):
        wide = content[found.end()]
        at, width = found.end() + (20 if wide else 12), 8 if wide else 4
        scale = int.from_bytes(content[at : at + 4])
        duration = int.from_bytes(content[at + 4 : at + 4 + width])
        if scale and duration != 2 ** (8 * width) - 1:
            yield duration / scale


def held_seconds(content: bytes) -> float:
    """Hold a sound whose length cannot be read at the longest that its bytes can be.

    100 bytes a second is less than any format that providers take goes down to: Opus begins at 6,000 bits (RFC 6716,
    2.1.1), and silence in FLAC takes some 150 bytes.
    """
    return len(content) / 100


def as_text(content: bytes) -> str:
    """Read a file of text."""
    return content.decode("utf-8", "replace")
