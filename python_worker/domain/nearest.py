"""The name that was probably meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The question that ends a message about a name that there is not; nothing where no other is near.

    >>> did_you_mean("max_memory", ["max_memory_mib", "max_waiting"])
    " Did you mean 'max_memory_mib'?"
    >>> did_you_mean("colour", ["max_waiting"])
    ''
    """
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
