"""Arguments that a caller gave, refused where no message or call can carry it."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.value import excerpt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_P = ParamSpec("_P")
_Made = TypeVar("_Made")

_LONGEST_DEADLINE = 366 * 86_400.0
"""Seconds; gRPC takes what is much more for a time that is over."""


def carried(make: Callable[_P, _Made]) -> Callable[_P, _Made]:
    """Let a function that makes a message refuse what none can carry, by the argument's name.

    Raises:
        WorkerError: ``invalid_argument``: a number out of range, or a text that is no Unicode.
    """
    signature = inspect.signature(make)

    @wraps(make)
    def checked(*args: _P.args, **options: _P.kwargs) -> _Made:
        try:
            return make(*args, **options)
        except WorkerError:
            raise
        except (ValueError, OverflowError) as error:
            given = signature.bind(*args, **options).arguments
            raise _uncarried(error, {**given, **_of(given.pop("self", None))}) from error

    return checked


def deadline_of(seconds: float) -> float:
    """The seconds that a call may take.

    Raises:
        WorkerError: ``invalid_argument``: no number of seconds, or one that gRPC cannot carry.
    """
    if 0 < seconds <= _LONGEST_DEADLINE:
        return float(seconds)
    told = f"a deadline of {excerpt(seconds, length=30)} s: it must be more than 0 and at most {_LONGEST_DEADLINE:g} s."
    raise WorkerError(told, reason=Reason.INVALID_ARGUMENT, field="deadline")


def _of(owner: object) -> dict[str, Any]:
    return {name.lstrip("_"): value for name, value in vars(owner).items()} if owner else {}


def _uncarried(error: Exception, given: Mapping[str, Any]) -> WorkerError:
    field = next((name for name, value in given.items() if _is_at_fault(value, error)), "")
    told = f"{field}: {excerpt(given[field], length=80)}" if field else "an argument"
    what = "no valid Unicode" if isinstance(error, UnicodeEncodeError) else "out of the range that a message can carry"
    return WorkerError(f"{told} is {what}.", reason=Reason.INVALID_ARGUMENT, field=field)


def _is_at_fault(value: object, error: Exception) -> bool:
    if isinstance(error, UnicodeEncodeError):
        return value == error.object
    return isinstance(value, int | float) and not -(2**31) <= value < 2**31
