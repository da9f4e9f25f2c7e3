"""How much of a list one response holds."""

from __future__ import annotations

from python_worker.domain.errors import Reason, WorkerError

PAGE = 100
MOST_ON_A_PAGE = 1000


def page_size(asked: int) -> int:
    """How many.

    Raises:
        WorkerError: ``invalid_argument``.

    >>> page_size(0), page_size(7)
    (100, 7)
    """
    if 0 <= asked <= MOST_ON_A_PAGE:
        return asked or PAGE
    raise WorkerError(
        f"a page of {asked}: it must be from 1 to {MOST_ON_A_PAGE}, or 0 for {PAGE}.",
        reason=Reason.INVALID_ARGUMENT,
        field="page_size",
    )
