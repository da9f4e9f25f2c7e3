"""How the families of models count media, by their providers' documentation.

Gemini: https://ai.google.dev/gemini-api/docs/tokens (32 tokens a second of sound; images of up to 384 pixels 258,
larger ones 258 a tile), https://ai.google.dev/gemini-api/docs/media-resolution (Gemini 3: 1,120 an image, 2,240 at
ultra high, up to 280 a frame and 1,120 a page), https://ai.google.dev/gemini-api/docs/document-processing (258 a page).

OpenAI: https://developers.openai.com/api/docs/guides/images-vision (tiles of 512 or patches of 32 pixels),
https://developers.openai.com/api/docs/guides/realtime-costs (a token for 100 ms of sound that is sent) and
https://developers.openai.com/api/docs/guides/pdf-files (a page is its text and its image).

Claude: https://platform.claude.com/docs/en/build-with-claude/vision (patches of 28 pixels; it was pixels by 750) and
https://platform.claude.com/docs/en/build-with-claude/pdf-support (1,500 to 3,000 tokens of text a page, and its image).

Where a rule has a range its upper end holds. What belongs to no family is held by the dearest of them, and by
Qwen's rules, which are dearer still: patches of 28 pixels, 16,384 an image and 768 for each two frames of video.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from lmtest.lm import tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

_PAGE_OF_TEXT: Final = 3_000

Size = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """The rules of one family.

    Attributes:
        image: Tokens of an image by its width and height in pixels, None where nobody knows them, and by the detail
            that is asked for.
        page: Tokens of a page of a PDF.
        sound: Tokens a second of sound.
        frame: Tokens of a frame of video.
        message: Tokens around a message, and around the whole.
        schema: Tokens around tools and the schema of an answer, where there are any.
    """

    image: Callable[[Size | None, str], int]
    page: int
    sound: int
    frame: int
    message: int
    schema: int


@cache
def family(model: str) -> Family:
    """Give the family of a model.

    Args:
        model: As DSPy names it.

    >>> family("gemini/gemini-2.5-flash").image((960, 540), "")
    1548
    >>> family("openai/gpt-4o").image((1024, 1024), "high")
    765
    >>> family("anthropic/claude-sonnet-4-5").image((1000, 1000), "")
    1334
    """
    name = model.lower().rpartition("/")[2]
    if "gemini" in name:
        return _gemini(name)
    if "claude" in name:
        return _claude(name)
    if tokenizer.is_public(model):
        return _openai(name)
    return _OTHER


# What larger images are made smaller to; one whose size is known is held at that, larger or not.
_GEMINI_EDGE: Final = 3_072


def _gemini(name: str) -> Family:
    newest = not re.search(r"gemini-(1|2)\b", name)
    return Family(
        image=_gemini_3_image if newest else _gemini_image,
        page=1_120 if newest else 258,
        sound=32,
        frame=280 if newest else 268,  # with its time stamp: "approximately 300 tokens per second", sound included
        message=8,
        schema=16,
    )


def _gemini_3_image(_: Size | None, detail: str) -> int:
    return 2_240 if "ultra" in detail else 1_120


def _gemini_image(size: Size | None, _: str) -> int:
    """Tiles whose side is the image's shorter one by 1.5, between 256 and 768 pixels."""
    width, height = size or (_GEMINI_EDGE, _GEMINI_EDGE)
    if max(width, height) <= 384:
        return 258
    side = min(max(math.floor(min(width, height) / 1.5), 256), 768)
    return 258 * math.ceil(width / side) * math.ceil(height / side)


# The models that count tiles: tokens of the whole, and of each tile.
_TILES: Final = (
    ("gpt-4o-mini", 2_833, 5_667),
    ("computer-use-preview", 65, 129),
    ("gpt-4", 85, 170),
    ("chatgpt-4o", 85, 170),
    ("o1", 75, 150),
    ("o3", 75, 150),
)
_MOST_TILES: Final = 8  # of 512 pixels in 768 by 2,048


def _openai(name: str) -> Family:
    name = name.removeprefix("ft:")
    smaller = re.search(r"-(mini|nano)\b", name)
    tiled = next(((whole, tile) for start, whole, tile in _TILES if name.startswith(start)), None)
    if tiled is not None and (smaller is None or name.startswith("gpt-4o")):
        image = _tiles(*tiled)
    else:
        image = _patches(2.46 if smaller[1] == "nano" else 1.72, 1_536) if smaller else _openai_image
    return Family(image=image, page=_PAGE_OF_TEXT + image((850, 1_100), ""), sound=10, frame=280, message=4, schema=32)


def _tiles(whole: int, tile: int) -> Callable[[Size | None, str], int]:
    def tokens(size: Size | None, detail: str) -> int:
        if detail == "low":
            return whole
        if size is None:
            return whole + tile * _MOST_TILES
        width, height = _within(size, 2_048)
        shrunk = min(1.0, 768 / min(width, height))
        return whole + tile * math.ceil(width * shrunk / 512) * math.ceil(height * shrunk / 512)

    return tokens


def _patches(factor: float, most: int) -> Callable[[Size | None, str], int]:
    """Patches of 32 pixels, so many at most; a small model counts each for more."""

    def tokens(size: Size | None, detail: str) -> int:
        at_most = {"low": 256, "high": 2_500}.get(detail, most)
        return math.ceil(min(at_most, most, _cells(size, 32) if size else most) * factor)

    return tokens


def _openai_image(size: Size | None, detail: str) -> int:
    """The dearer of both rules: which one counts for a model that has no multiplier changes with its version."""
    return max(_tiles(85, 170)(size, detail), _patches(1.2, 10_000)(size, detail))


def _claude(name: str) -> Family:
    early = re.search(r"claude-(?:2|3|instant)|(?:opus|sonnet|haiku)-4(?![-.](?:[7-9]|\d\d)\b)", name)
    edge, most = (1_568, 1_600) if early else (2_576, 4_784)

    def image(size: Size | None, _: str) -> int:
        if size is None:
            return most
        width, height = _within(size, edge)
        return min(most, max(_cells((width, height), 28), math.ceil(width * height / 750)))

    return Family(image=image, page=_PAGE_OF_TEXT + most, sound=32, frame=280, message=12, schema=530)


def _other_image(size: Size | None, detail: str) -> int:
    rules = (_gemini_image, _gemini_3_image, _openai_image, _patches(2.46, 1_536), _claude("claude").image)
    return max(*(rule(size, detail) for rule in rules), min(16_384, _cells(size, 28) if size else 16_384))


_OTHER: Final = Family(image=_other_image, page=_PAGE_OF_TEXT + 4_784, sound=32, frame=768, message=12, schema=530)


def _within(size: Size, edge: int) -> tuple[float, float]:
    """The size of an image whose longer side is made to fit."""
    shrunk = min(1.0, edge / max(size))
    return size[0] * shrunk, size[1] * shrunk


def _cells(size: tuple[float, float], side: int) -> int:
    return math.ceil(size[0] / side) * math.ceil(size[1] / side)
