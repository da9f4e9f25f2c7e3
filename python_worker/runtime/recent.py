"""A bounded memory of what does not change."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_Key = TypeVar("_Key", bound="Hashable")
_Made = TypeVar("_Made")


class Recent(Generic[_Key, _Made]):
    """What was used last, by key; threads share it.

    Args:
        most: How many; the one that was not used for the longest time goes.

    >>> squares: Recent[int, int] = Recent(most=2)
    >>> [squares.get(number, make=lambda: number**2) for number in (3, 4)]
    [9, 16]
    """

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._known: OrderedDict[_Key, _Made] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: _Key, *, make: Callable[[], _Made]) -> _Made:
        """What is known, or else is made; by two threads twice, rather than that one waits for the other's."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        made = make()
        with self._lock:
            made = self._known.setdefault(key, made)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return made
