"""How many tokens a call sends, by what they are made of, because each kind may have its own rate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """The tokens that a call sends, estimated or counted before it is sent.

    Attributes:
        text: Of text.
        image: Of images.
        audio: Of sound.
        video: Of moving images, with their sound.
        document: Of documents, their pages' images included.
        answered_in: What else than text it may be answered in, such as ``audio``.

    >>> Estimate(text=10, audio=115_200).input_tokens
    115210
    """

    text: int = 0
    image: int = 0
    audio: int = 0
    video: int = 0
    document: int = 0
    answered_in: tuple[str, ...] = ()

    @property
    def input_tokens(self) -> int:
        """All of them together."""
        return self.text + self.image + self.audio + self.video + self.document
