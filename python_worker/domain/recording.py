"""What an execution played of a cassette, and what it recorded beside one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """The recording that answered a call.

    Attributes:
        path: Its cassette, from the cassette directory, with ``/``.
        digest: SHA-256 of the recording as it stood there, 64 hexadecimal digits.
        recorded_at: When it was recorded, ISO 8601; "" where it does not say.
        age: Seconds from then to the call; None where it does not say.
    """

    path: str
    digest: str
    recorded_at: str = ""
    age: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Refreshed:
    """A cassette that was recorded anew, beside what is there.

    Attributes:
        path: The cassette, from the cassette directory, with ``/``.
        sha256: Of the whole file that was written beside it; "" where none was.
        ended_well: Whether that file may be accepted.
    """

    path: str
    sha256: str = ""
    ended_well: bool = False
