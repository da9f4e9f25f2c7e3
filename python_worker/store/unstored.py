"""Endings of executions that the database did not take, kept until it does."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from python_worker.domain.audit import AuditEntry

_LOG = logging.getLogger(__name__)

MOST = 64 * 2**20
"""Characters that are kept at most; the newest ending is kept whatever it has."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How an execution ended, as it is to be stored.

    Attributes:
        execution_id: Whose it is.
        chain: The chain of its audit trail.
        row: By column.
        entries: What its trail still lacks.
    """

    execution_id: str
    chain: str
    row: Mapping[str, Any]
    entries: Sequence[AuditEntry]

    @property
    def size(self) -> int:
        """How many characters it has."""
        texts = [text for text in self.row.values() if isinstance(text, str)]
        return sum(map(len, texts)) + sum(len(entry.payload) for entry in self.entries)


class Unstored:
    """All of them, in the order they came; the oldest are given up where they are too many.

    Args:
        most: How many characters are kept.
    """

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._kept: dict[str, Ending] = {}
        self._lock = threading.Lock()

    def __contains__(self, execution_id: str) -> bool:
        return execution_id in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def oldest(self) -> Ending | None:
        """The one that came first."""
        with self._lock:
            return next(iter(self._kept.values()), None)

    def add(self, ending: Ending) -> None:
        """Keep one."""
        with self._lock:
            self._kept[ending.execution_id] = ending
            size = sum(each.size for each in self._kept.values())
            while size > self._most and len(self._kept) > 1:
                given_up = self._kept.pop(next(iter(self._kept)))
                size -= given_up.size
                _LOG.error("the ending of execution %s is given up: too many wait", given_up.execution_id)

    def remove(self, ending: Ending) -> None:
        """Keep it no more."""
        with self._lock:
            self._kept.pop(ending.execution_id, None)
