"""Every error lmtest raises, as one tree.

    LMTestError
    ├── ConfigurationError          a setting, flag, variable or version that cannot be used
    ├── CassetteError               something is wrong with a file
    │   ├── CassetteNotFound        there is no such file to replay
    │   ├── CassetteFormatError     the file does not read as a cassette
    │   ├── CassetteTampered        a digest or a blob differs from what was recorded
    │   └── CassetteUnsaved         the file could not be written; the old one is whole
    │       └── CassetteLocked      another process holds it for longer than the timeout
    ├── CassetteMiss                the request is not recorded
    │   └── CassetteExhausted       it is, but was asked for more often than it was recorded
    ├── LimitError                  a live call was stopped before it was sent
    │   ├── RateLimited
    │   └── BudgetExceeded
    ├── NetworkBlocked              a connection was refused because the mode is offline
    ├── Stopped                     a live call was ended from outside
    └── ToolError                   a recorded tool raised an error of a class that is not loaded here

A message is written for the person who reads a red CI log: what happened, where, the nearest thing that would have
worked, and the command to run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmtest.here import here
from lmtest.literal import shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal
    from pathlib import Path


class LMTestError(Exception):
    """Whatever lmtest itself raises; catch this to catch all of it."""

    def __str__(self) -> str:
        # Whoever prints it prints what models, files and tests are called, and what they said.
        return shown(super().__str__())

    def __reduce__(self) -> tuple[Any, ...]:
        # An error of a program crosses processes, and not all of ours are made from a message alone.
        return revived, (type(self), self.args, vars(self))


def revived(kind: type[LMTestError], args: tuple[Any, ...], state: Mapping[str, Any]) -> LMTestError:
    """Make an error again from what it held, in another process."""
    error = kind.__new__(kind)
    error.args = args
    vars(error).update(state)
    return error


class ConfigurationError(LMTestError):
    """A setting, flag, environment variable or version that cannot be used. The command line exits with 2."""


class CassetteError(LMTestError):
    """Something is wrong with a cassette file, which the message names as somebody in the working directory would.

    Attributes:
        path: The file.
        line: The line, counted from 1, where it can be told.
    """

    def __init__(self, message: str, *, path: Path | None = None, line: int | None = None) -> None:
        super().__init__(message if path is None else message.replace(str(path), str(here(path))))
        self.path = path
        self.line = line


class CassetteNotFound(CassetteError):
    """Replay was asked for and there is no such file.

    Attributes:
        command: What records it; "" where nobody knows.
    """

    def __init__(self, message: str, *, path: Path | None = None, line: int | None = None, command: str = "") -> None:
        super().__init__(message, path=path, line=line)
        self.command = command


class CassetteFormatError(CassetteError):
    """The file does not read as a cassette, or is of a newer format than this lmtest knows."""


class CassetteTampered(CassetteError):
    """An interaction or a blob differs from its digest: it was edited after it was recorded."""


class CassetteUnsaved(CassetteError):
    """The file could not be written: the disk is full, or not to be written. What was there is whole."""


class CassetteLocked(CassetteUnsaved):
    """Another process held the cassette for longer than the timeout."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One part in which two requests differ.

    Attributes:
        path: The part, such as ``messages[1].user`` or ``config.temperature``.
        change: The change, marked word by word as ``git diff --word-diff`` does: ``[-was-]{+is+}``.
    """

    path: str
    change: str


@dataclass(frozen=True, kw_only=True)
class NearMiss:
    """A recorded request and how the one asked for differs from it.

    Attributes:
        key: The recorded request's key.
        line: The line of the cassette on which it starts.
        differences: What differs, in the order of the request.
    """

    key: str
    line: int
    differences: tuple[Difference, ...]


class CassetteMiss(LMTestError):
    """The request is not in the cassette.

    DSPy does not retry it, and the pytest plugin fails the test even if the program caught it.

    Attributes:
        key: The request's key, or "" where it has none.
        path: The cassette that was asked.
        nearest: The recorded requests most like it, nearest first, with what differs.
        command: What records it; "" where nobody knows.
    """

    def __init__(
        self,
        message: str,
        *,
        key: str = "",
        path: Path | None = None,
        nearest: tuple[NearMiss, ...] = (),
        command: str = "",
    ) -> None:
        super().__init__(message)
        self.key = key
        self.path = path
        self.nearest = nearest
        self.command = command


class CassetteExhausted(CassetteMiss):
    """The request is recorded, but was asked for more often than it was recorded."""


class LimitError(LMTestError):
    """A live call was stopped before it was sent."""


class RateLimited(LimitError):
    """A rate limit has no room now.

    Attributes:
        retry_after: Seconds until it has.
    """

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BudgetExceeded(LimitError):
    """The call could cost more than is left.

    Attributes:
        spent: USD settled so far in the limit's period, reservations of calls under way included.
        limit: USD the limit allows.
        estimate: USD this call could cost at worst, or None where its price is unknown.
    """

    def __init__(self, message: str, *, spent: Decimal, limit: Decimal, estimate: Decimal | None) -> None:
        super().__init__(message)
        self.spent = spent
        self.limit = limit
        self.estimate = estimate


class NetworkBlocked(LMTestError):
    """A connection was refused because the mode is offline."""


class Stopped(LMTestError):
    """A call was ended, or not answered, because its `lmtest.Stop` was called or its time was over."""


class ToolError(LMTestError):
    """What a recorded tool raised, in its own words, where the error's class is not loaded in this process.

    Its class is a subclass of this one with the name and the module of the original.
    """

    def __str__(self) -> str:
        return Exception.__str__(self)  # which a program may read
