"""How many tokens a text has: counted where the model's tokenizer is public and here, else held by its bytes.

OpenAI's is: tiktoken has the rules, LiteLLM brings the vocabularies, so nothing is fetched. Others are not (Gemini,
Claude), and for them no text may be held at less than it has. A token of a byte-level vocabulary has at least one
byte, so bytes are the bound, and two things make it closer to the truth without going under it:

- a word in small letters that can be spoken is held at half its letters and one, the space before it included;
- four spaces in a row are held at two.

One goes beyond it: Claude marks capitals with tokens of their own since Opus 4.7, so each that follows no other is
held at two. benchmarks/tokens.py measures the rule against real tokenizers, docs/money.md has what it found.
"""

from __future__ import annotations

import re
import threading
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# The files that LiteLLM ships, by the names that tiktoken looks for: SHA-1 of the address it would fetch them from.
_BUNDLED: Final = {
    "cl100k_base": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
    "o200k_base": "fb374d419588a4632f3f557e76b4b70aebbca790",
    "o200k_harmony": "fb374d419588a4632f3f557e76b4b70aebbca790",
}
_FOLDER: Final = "TIKTOKEN_CACHE_DIR"

# Neither five consonants nor four vowels in a row: what has them is a code, and its letters are tokens.
_SPOKEN: Final = re.compile(
    rb"( ?)(?<![A-Za-z0-9])(?=[A-Z]?[a-z]*[aeiouy]|[AEIOUY])"
    rb"([A-Z]?(?:(?![^aeiouyAEIOUY]{5}|[aeiouy]{4})[a-z]){2,20})(?![A-Za-z0-9])"
)
_CAPITALS: Final = re.compile(rb"[A-Z]+")
_loading: Final = threading.Lock()


def text_tokens(text: str, model: str) -> int:
    """Count a text's tokens, or hold it at what it cannot exceed.

    Args:
        text: What is sent.
        model: The model, as DSPy names it.

    >>> text_tokens("The capital of France is Paris.", "openai/gpt-5")
    7
    >>> text_tokens("The capital of France is Paris.", "gemini/gemini-2.5-flash"), text_tokens("1234", "gemini/x")
    (21, 4)
    """
    if encoding := _encoding(model):
        return len(encoding.encode_ordinary(text))
    return _held(text.encode("utf-8", "surrogatepass"))


def _held(text: bytes) -> int:
    capitals = sum(1 for _ in _CAPITALS.finditer(text))
    return len(text) + capitals - 2 * text.count(b"    ") - sum(_saved(text))


def _saved(text: bytes) -> Iterator[int]:
    for found in _SPOKEN.finditer(text):
        space, word = found.groups()
        yield len(space) + len(word) - (len(word) + 2) // 2


def is_public(model: str) -> bool:
    """Decide if a model's tokenizer is known: OpenAI's, by whatever provider it is sold.

    >>> is_public("azure/gpt-4.1-mini"), is_public("anthropic/claude-sonnet-4-5")
    (True, False)
    """
    return _name(model) in _BUNDLED


@cache
def _name(model: str) -> str:
    from tiktoken.model import encoding_name_for_model

    try:
        return encoding_name_for_model(model.rpartition("/")[2])
    except KeyError:
        return ""


@cache
def _encoding(model: str) -> Any:
    """The model's tokenizer, or None; 0.3 s and 70 MB for OpenAI's newest, once in a process."""
    name = _name(model)
    places = getattr(find_spec("litellm"), "submodule_search_locations", None)
    if name not in _BUNDLED or not places:
        return None
    folder = Path(places[0]) / "litellm_core_utils" / "tokenizers"
    if not (folder / _BUNDLED[name]).is_file():
        return None  # tiktoken would fetch it
    import os

    import tiktoken

    with _loading:
        before = os.environ.get(_FOLDER)
        os.environ[_FOLDER] = str(folder)
        try:
            return tiktoken.get_encoding(name)
        except (OSError, ValueError):
            return None
        finally:
            if before is None:
                del os.environ[_FOLDER]
            else:
                os.environ[_FOLDER] = before
