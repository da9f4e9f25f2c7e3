"""A signature's text in whichever form it comes: native, DSPy's inline, or JSON."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from python_worker.domain.types import type_names
from python_worker.signatures.beside import constrained, named
from python_worker.signatures.document import parse_document
from python_worker.signatures.inline import parse_inline
from python_worker.signatures.parser import parse_native

if TYPE_CHECKING:
    from collections.abc import Mapping

    from python_worker.domain.signature import Signature

_INLINE = re.compile(r"\s*[^\W\d]\w*\s*(?:,|->|:\s*[^:\s])")


def parse(
    text: str, *, name: str = "", description: str = "", constraints: Mapping[str, Mapping[str, Any]] | None = None
) -> Signature:
    """Compile a signature from its text, in any line layout; texts are remembered.

    Args:
        text: In the native syntax, ``signature name: :type field, … -> :type field, …``; in DSPy's inline form,
            ``question: str -> answer: float``; or in the JSON form, ``{"name": …, "inputs": […], "outputs": […]}``.
        name: What it is called, where the text does not say.
        description: What the model is told to do; it goes before what the text says of that.
        constraints: Those beside the text, by field path: ``{"confidence": {"min": 0.5}}``. See `constrained`.

    Raises:
        WorkerError: ``syntax_error`` with the position; its message holds the line with a caret under the place, and
            what was expected there. ``invalid_argument``: the name is none, or the text has another.

    >>> [str(field) for field in parse("signature qa: :string question -> :list(:string) answers").outputs]
    [':list(:string) answers']
    >>> print(parse("question, context: list[str] -> answer: bool"))
    signature unnamed: :string question, :list(:string) context -> :boolean answer
    >>> print(parse("claim -> sure: float", name="judge", constraints={"sure": {"max": 1}}))
    signature judge: :string claim -> :float(max=1) sure
    """
    # The names are part of what a text means: a type may be registered after its name was refused.
    signature = _parse(text, description, type_names())
    if name:
        signature = named(signature, name)
    return constrained(signature, constraints) if constraints else signature


@lru_cache(maxsize=1024)
def _parse(text: str, description: str, _names: tuple[str, ...]) -> Signature:
    if text.lstrip().startswith("{"):
        signature = parse_document(text)
    elif _INLINE.match(text):
        signature = parse_inline(text)
    else:
        signature = parse_native(text)
    return replace(signature, description=description) if description else signature
