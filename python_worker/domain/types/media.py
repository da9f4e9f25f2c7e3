"""Types of pictures, sounds and documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from python_worker.domain.media import Media
from python_worker.domain.types.base import Report, Schema, Type

if TYPE_CHECKING:
    from python_worker.domain.value import Value


@dataclass(frozen=True, kw_only=True)
class MediaType(Type):
    """Media of any kind; what its JSON form is, and which media types it takes."""

    family: ClassVar[str] = ""
    called: ClassVar[str]

    def take(self, value: Value, path: str, report: Report) -> Value:
        """Take media, or their JSON form: a URL or a ``data:`` URI in base64."""
        rule = f"{self.called}, a URL or a data: URI"
        try:
            media = Media.from_uri(value) if isinstance(value, str) else value
        except ValueError:
            return report.wrong_type(path, value, rule)
        if not isinstance(media, Media):
            return report.wrong_type(path, value, rule)
        if media.mime_type and not media.mime_type.startswith(self.family):
            return report.wrong_type(path, value, f"{self.called}, of a type {self.family}…")
        return media

    def plain_schema(self) -> Schema:
        """A string that is a URI; it cannot tell whether the base64 in it reads."""
        return {
            "type": "string",
            "pattern": rf"^(data:{self.family or '[a-z]+/'}[A-Za-z0-9.+-]+;base64,|(https?|gs)://\S+$)",
            "examples": [f"https://example.com/{self.name}"],
        }


@dataclass(frozen=True, kw_only=True)
class ImageType(MediaType):
    """A picture."""

    name = "image"
    family = "image/"
    called = "an image"


@dataclass(frozen=True, kw_only=True)
class AudioType(MediaType):
    """A sound."""

    name = "audio"
    family = "audio/"
    called = "a sound"


@dataclass(frozen=True, kw_only=True)
class FileType(MediaType):
    """A document of any media type."""

    name = "file"
    called = "a file"
