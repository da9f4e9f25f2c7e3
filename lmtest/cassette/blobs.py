"""Media of a cassette: files beside it, in ``blobs/``, named by the SHA-256 of their content.

The cassette, and so the key, holds ``blob:<hash>.<extension>`` where the base64 text stood.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

from lmtest.cassette.atomic import replacing
from lmtest.errors import CassetteTampered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from lmtest.cassette.interaction import Interaction

DIRECTORY: Final = "blobs"

_REFERENCE = re.compile(r"blob:([0-9a-f]{64})\.([a-z0-9]{1,16})\Z")
_KINDS = ("image", "audio", "video", "document", "binary")
# As lm15, Anthropic and OpenAI, or Gemini name it.
_TYPE_FIELDS = ("media_type", "mime_type", "mimeType")
# What a part of a stream may hold: base64 cut anywhere. Also a data URI, or base64 in lines.
_BASE64_TEXT = re.compile(r"(?:data:[^,]{0,200};base64,)?[A-Za-z0-9+/=\r\n]+\Z")
_AS_TEXT: Final = "b64"
_EXTENSIONS = {
    "application/octet-stream": "bin", "audio/mpeg": "mp3", "image/jpeg": "jpg", "text/markdown": "md",
    "text/plain": "txt",
}  # fmt: skip
_SUBTYPE = re.compile(r"[a-z]+/(?:x-|vnd\.)?([a-z0-9]{1,16})")


def detach(value: Any, clean: Callable[[str, str], str]) -> tuple[Any, dict[str, bytes]]:
    """Take the media out of a request or an answer.

    Args:
        value: JSON in the shape of lm15's serialisation.
        clean: Takes the secrets out of base64 media, given with its type.

    Returns:
        The value with references for media (itself where it has none), and each blob by its file's name.

    >>> value, blobs = detach({"type": "image", "media_type": "image/png", "data": "aGk="}, lambda data, _: data)
    >>> value["data"][:13], value["data"][-4:], list(blobs.values())
    ('blob:8f434346', '.png', [b'hi'])
    """
    found: dict[str, bytes] = {}
    return (_detached(value, clean, found) if _holds_media(value) else value), found


def attach(value: Any, directory: Path) -> Any:
    """Put the media back.

    Args:
        value: What :func:`detach` gave (itself comes back where it has no references).
        directory: Where the cassette is.

    Raises:
        CassetteTampered: A blob is missing, or is not what was recorded.
    """
    return _attached(value, directory) if _refers(value) else value


def references(value: Any) -> Iterator[str]:
    """The names of the blobs that a value refers to."""
    if isinstance(value, str):
        if is_reference(value):
            yield value.removeprefix("blob:")
    elif isinstance(value, dict):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from references(item)


def of(interaction: Interaction) -> Iterator[str]:
    """The names of the blobs that an interaction refers to."""
    yield from references(interaction.request)
    yield from references(interaction.said)


def is_reference(text: str) -> bool:
    """Whether a text stands for a blob; what does is never scrubbed or redacted."""
    return text.startswith("blob:") and _REFERENCE.match(text) is not None


def write(directory: Path, contents: Mapping[str, bytes]) -> None:
    """Write blobs beside a cassette; what is there already and unaltered stays.

    Raises:
        OSError: It cannot be written.
    """
    if not contents:
        return
    folder = directory / DIRECTORY
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        file = folder / name
        if not (file.is_file() and file.read_bytes() == content):
            with replacing(file) as fresh:
                fresh.write(content)


def read(directory: Path, name: str) -> bytes:
    """Read a blob, and make sure that it is what was recorded.

    Raises:
        CassetteTampered: It is missing, or is not.
    """
    file = directory / DIRECTORY / name
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CassetteTampered(
            f"{file}: this blob is missing ({error.strerror}), and a cassette in {directory} refers to it. Restore it "
            "from version control (is blobs/ committed?), or record the cassette again with LM_MODE=record.",
            path=file,
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != name.partition(".")[0]:
        raise CassetteTampered(
            f"{file}: this blob was altered: its SHA-256 is {found[:12]}…, not what its name says. Restore it from "
            "version control (git may have changed its line ends: put 'blobs/** -text' into .gitattributes), or "
            "record the cassette again with LM_MODE=record.",
            path=file,
        )
    return content


def _holds_media(value: Any) -> bool:
    if isinstance(value, dict):
        if "data" in value and _is_media(value):
            return True
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return False
    for item in value:  # noqa: SIM110 - in half the time, and of every value of every call
        if type(item) is not str and _holds_media(item):
            return True
    return False


def _is_media(value: dict[str, Any]) -> bool:
    data = value["data"]
    if not isinstance(data, str) or not (value.get("type") in _KINDS or any(map(value.get, _TYPE_FIELDS))):
        return False
    return _BASE64_TEXT.match(data) is not None


def _detached(value: Any, clean: Callable[[str, str], str], found: dict[str, bytes]) -> Any:
    if isinstance(value, dict):
        result = {key: _detached(item, clean, found) for key, item in value.items()}
        if "data" in value and _is_media(value):
            kind = str(next(filter(None, map(value.get, _TYPE_FIELDS)), ""))
            name, content = _blob(clean(value["data"], kind), kind)
            found[name] = content
            result["data"] = f"blob:{name}"
        return result
    return [_detached(item, clean, found) for item in value] if isinstance(value, (list, tuple)) else value


def _blob(data: str, kind: str) -> tuple[str, bytes]:
    try:
        content = base64.b64decode(data, validate=True)
    except binascii.Error:
        content = b""
    if base64.b64encode(content) == data.encode():
        extension = _extension(kind.lower())
    else:
        # Cut out of a stream, or spelled in another way: kept as it is spelled.
        content, extension = data.encode(), _AS_TEXT
    return f"{hashlib.sha256(content).hexdigest()}.{extension}", content


def _extension(kind: str) -> str:
    """Ours, and not the system's: it is part of the key, which must be the same on every machine."""
    subtype = _SUBTYPE.match(kind)
    found = _EXTENSIONS.get(kind.partition(";")[0]) or (subtype[1] if subtype else "bin")
    return found if found != _AS_TEXT else "bin"


def _refers(value: Any) -> bool:
    if isinstance(value, str):
        return value.startswith("blob:") and is_reference(value)
    if isinstance(value, dict):
        return any(map(_refers, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_refers, value))


def _attached(value: Any, directory: Path) -> Any:
    if isinstance(value, str) and is_reference(value):
        name = value.removeprefix("blob:")
        content = read(directory, name)
        return content.decode() if name.endswith(f".{_AS_TEXT}") else base64.b64encode(content).decode()
    if isinstance(value, dict):
        return {key: _attached(item, directory) for key, item in value.items()}
    return [_attached(item, directory) for item in value] if isinstance(value, (list, tuple)) else value
