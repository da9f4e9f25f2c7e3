"""A signature's text in whichever form it comes: native, DSPy's inline, or JSON."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from python_worker.domain.types import type_names
from python_worker.signatures.document import parse_document
from python_worker.signatures.inline import parse_inline
from python_worker.signatures.parser import parse_native

if TYPE_CHECKING:
    from python_worker.domain.signature import Signature

_INLINE = re.compile(r"\s*[^\W\d]\w*\s*(?:,|->|:\s*[^:\s])")


def parse(text: str, *, description: str = "") -> Signature:
    """Compile a signature from its text, in any line layout; texts are remembered.

    Args:
        text: In the native syntax, ``signature name: :type field, … -> :type field, …``; in DSPy's inline form,
            ``question: str -> answer: float``; or in the JSON form, ``{"name": …, "inputs": […], "outputs": […]}``.
        description: What the model is told to do; it goes before what the text says of that.

    Raises:
        WorkerError: ``syntax_error`` with the position; its message holds the line with a caret under the place, and
            what was expected there.

    >>> [str(field) for field in parse("signature qa: :string question -> :list(:string) answers").outputs]
    [':list(:string) answers']
    >>> print(parse("question, context: list[str] -> answer: bool"))
    signature unnamed: :string question, :list(:string) context -> :boolean answer
    """
    # The names are part of what a text means: a type may be registered after its name was refused.
    return _parse(text, description, type_names())


@lru_cache(maxsize=1024)
def _parse(text: str, description: str, _names: tuple[str, ...]) -> Signature:
    if text.lstrip().startswith("{"):
        signature = parse_document(text)
    elif _INLINE.match(text):
        signature = parse_inline(text)
    else:
        signature = parse_native(text)
    return replace(signature, description=description) if description else signature
