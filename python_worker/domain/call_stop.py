"""Why a call of a model was not answered, or not sent, in lmtest's own terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One part in which two requests differ.

    Attributes:
        path: The part, such as ``messages[1].user``.
        change: The change, marked word by word: ``[-recorded-]{+asked+}``.
    """

    path: str
    change: str


@dataclass(frozen=True, kw_only=True)
class NearMiss:
    """A recorded request, and how the one asked for differs from it.

    Attributes:
        key: Its key.
        line: The line of the cassette on which it begins.
        differences: What differs.
    """

    key: str
    line: int
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CallStop:
    """What lmtest stopped a call with.

    Attributes:
        kind: The class of lmtest's that it is, such as ``CassetteMiss``.
        key: The request's key; "" where it has none.
        cassette: The file that was asked, as the worker names it; "" where there is none.
        command: What records it; "" where nobody knows.
        nearest: The recorded requests most like it, the nearest first.
        spent: USD of a budget that are spent, or set aside.
        limit: USD that it allows.
        estimate: USD that the call could cost; None where that is unknown.
    """

    kind: str
    key: str = ""
    cassette: str = ""
    command: str = ""
    nearest: tuple[NearMiss, ...] = ()
    spent: Decimal | None = None
    limit: Decimal | None = None
    estimate: Decimal | None = None
