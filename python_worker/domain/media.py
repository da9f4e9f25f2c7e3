"""A picture, a sound or a document: bytes with their media type, or the address where they are."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

_DATA_URI = re.compile(r"data:([a-z]+/[A-Za-z0-9.+-]+);base64,(.*)", re.DOTALL)
_URL = re.compile(r"(?:https?|gs)://\S+")


@dataclass(frozen=True, kw_only=True)
class Media:
    """Bytes of a media type, or a URL; one of ``data`` and ``url``.

    Args:
        mime_type: Such as ``image/png``; "" where only the URL is known.
        data: The bytes.
        url: Where they are, by ``http``, ``https`` or ``gs``; nothing here fetches it.

    Raises:
        ValueError: Both or neither are given, or what is given does not read.

    >>> Media(mime_type="image/png", data=b"abc").uri
    'data:image/png;base64,YWJj'
    >>> Media.from_uri("https://example.com/a.png").url
    'https://example.com/a.png'
    """

    mime_type: str = ""
    data: bytes | None = None
    url: str | None = None

    def __post_init__(self) -> None:
        if (self.data is None) == (self.url is None):
            raise ValueError("media are either bytes or a URL")
        if self.url is not None and not _URL.fullmatch(self.url):
            raise ValueError(f"{self.url[:80]!r} is no http, https or gs URL")
        if self.data is not None and not _DATA_URI.fullmatch(f"data:{self.mime_type};base64,"):
            raise ValueError(f"bytes need their media type, such as 'image/png', not {self.mime_type!r}")

    def __repr__(self) -> str:
        return f"Media({self.url})" if self.data is None else f"Media({self.mime_type}, {len(self.data)} bytes)"

    @classmethod
    def from_uri(cls, uri: str) -> Media:
        """Media from a ``data:`` URI in base64, or from a URL.

        Raises:
            ValueError: It is neither.
        """
        if found := _DATA_URI.fullmatch(uri):
            try:
                return cls(mime_type=found[1], data=base64.b64decode(found[2], validate=True))
            except binascii.Error as error:
                raise ValueError(f"the base64 after {uri[: found.start(2)]!r} does not read: {error}") from None
        return cls(url=uri)

    @property
    def uri(self) -> str:
        """The URL, or the bytes as a ``data:`` URI."""
        if self.url is not None:
            return self.url
        return f"data:{self.mime_type};base64,{base64.b64encode(self.data or b'').decode()}"

    def to_json(self) -> str:
        """The URI."""
        return self.uri
