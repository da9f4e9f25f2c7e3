"""The extra that the worker needs: what lmtest alone does not install."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_OURS = ("lmtest", "python_worker")


class MissingExtra(ModuleNotFoundError):
    """A package is not installed that ``lmtest[worker]`` brings."""


@contextmanager
def needed_by(part: str) -> Iterator[None]:
    """Import, inside, what the extra brings.

    Args:
        part: The part of the worker that cannot do without, as a person knows it.

    Raises:
        MissingExtra: A package of somebody else's is not there. One of ours that is missing is our own fault, and is
            raised as it is.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if isinstance(error, MissingExtra) or (error.name or "").split(".")[0] in _OURS:
            raise
        raise MissingExtra(
            f"{part} needs {error.name!r}, which is not installed: pip install 'lmtest[worker]'", name=error.name
        ) from error
