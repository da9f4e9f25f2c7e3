"""Exit codes: one table for every command of ``lmtest``, and for the worker's where they share a meaning."""

from __future__ import annotations

import enum
import errno
from typing import TYPE_CHECKING, Final

from lmtest.errors import CassetteUnsaved, LimitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_UNKEPT: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})


class Exit(enum.IntEnum):
    """The code with which a command ends, by which a script tells what became of it.

    >>> print(Exit.LIMIT.value, Exit.LIMIT.meaning)
    3 stopped at a limit: a budget, a rate; the same command goes on
    """

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Exit:  # noqa: PYI034 - an enum's members are of its own class
        """Make a code with its meaning, a line for docs and ``--help``."""
        made = int.__new__(cls, code)
        made._value_ = code
        made.meaning = meaning
        return made

    DONE = 0, "done, and nothing is wrong"
    FOUND = 1, "done, and something was found: drift, findings, a difference, tests that failed or did not run"
    USAGE = 2, "wrong usage, or a setting, file or version that cannot be used; nothing was done"
    LIMIT = 3, "stopped at a limit: a budget, a rate; the same command goes on"
    UNKEPT = 4, "could not be kept: the disk is full, or cannot be written"
    UNANSWERED = 5, "no call was answered: the provider is gone, or refuses the key"
    INTERRUPTED = 130, "interrupted; what was finished is kept"


_WORST_FIRST: Final = (
    Exit.INTERRUPTED,
    Exit.USAGE,
    Exit.UNKEPT,
    Exit.UNANSWERED,
    Exit.FOUND,
    Exit.LIMIT,
    Exit.DONE,
)


def worst(exits: Iterable[Exit]) -> Exit:
    """Choose the code of a command in which several hold: a limit, which every night may reach, hides nothing else.

    >>> worst([Exit.LIMIT, Exit.FOUND])
    <Exit.FOUND: 1>
    """
    return min(exits, key=_WORST_FIRST.index, default=Exit.DONE)


def found(anything: object) -> Exit:
    """Choose the code of a command that looks for something.

    >>> found([]), found(["a finding"])
    (<Exit.DONE: 0>, <Exit.FOUND: 1>)
    """
    return Exit.FOUND if anything else Exit.DONE


def of_error(error: BaseException) -> Exit:
    """Choose the code of a command that an error ended.

    >>> of_error(OSError(errno.ENOSPC, "No space left on device"))
    <Exit.UNKEPT: 4>
    """
    if isinstance(error, CassetteUnsaved) or any(
        isinstance(each, OSError) and each.errno in _UNKEPT for each in _causes(error)
    ):
        return Exit.UNKEPT
    return Exit.LIMIT if isinstance(error, LimitError) else Exit.USAGE


def table() -> list[tuple[str, str]]:
    """Give all codes with their meaning, for ``--help``."""
    return [(str(each.value), each.meaning) for each in Exit]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
