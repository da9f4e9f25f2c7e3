"""A failure that an error of lmtest's is behind, told by the user's own lines: what can be done about it, is there."""

from __future__ import annotations

import functools
import re
import sysconfig
from types import FrameType, TracebackType
from typing import Final

import pytest

from lmtest.errors import LMTestError
from lmtest.pytest_plugin import shared

_MACHINERY: Final = frozenset({"_pytest", "anyio", "dspy", "lmtest", "pluggy", "pytest_asyncio", "python_worker"})
"""Whose steps between the user's call and an error tell nobody anything, beside those of Python's own library."""

_LIBRARY: Final = sysconfig.get_paths()["stdlib"]
_INSTALLED: Final = re.compile(r"[\\/](?:site|dist)-packages[\\/]")


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Trim what ended a phase, behind pytest's own hook that brings the error of a ``unittest.TestCase``."""
    if call.excinfo is not None:
        covered = item.stash.get(shared.COVERED, None)
        troubled = covered is not None and covered.troubled
        trim(call, ours=troubled, full=item.config.getoption("fulltrace", default=False))


def trim(call: pytest.CallInfo[None], *, ours: bool = False, full: bool = False) -> None:
    """Leave the user's steps alone in what ended a phase, and in what that was raised from or holds.

    Args:
        call: The phase; it is left as it is where no error of lmtest's has to do with it.
        ours: Whether one has, though the program caught it.
        full: Whether all steps are wanted.
    """
    if call.excinfo is None or full:
        return
    error = call.excinfo.value
    if isinstance(error, pytest.fail.Exception) or not (ours or tells_of_ours(error)):
        return
    every = _told_with(error)
    # What one of ours was raised from is in its sentence.
    explained = {id(it) for each in every if isinstance(each, LMTestError) for it in _told_with(each) if it is not each}
    shown: list[TracebackType | None] = []
    for each in every:
        steps = users(each.__traceback__, installed=id(each) not in explained)
        # What another was raised from in the same line needs no more than its words.
        each.__traceback__ = None if any(_is_same(steps, other) for other in shown) else steps
        shown.append(steps)
    if error.__traceback__ is None:
        # A thread's, or one that the program caught. Where no step is left, pytest shows how it came to that itself.
        error = _without_steps(error)
    call.excinfo = pytest.ExceptionInfo.from_exception(error)


def tells_of_ours(error: BaseException) -> bool:
    """Decide if an error is lmtest's, was raised from one, or holds one."""
    return any(isinstance(each, LMTestError) for each in _told_with(error))


def users(traceback: TracebackType | None, *, installed: bool = True) -> TracebackType | None:
    """The steps of a traceback that are neither DSPy's, nor ours, nor of what runs them.

    Args:
        traceback: All steps.
        installed: Whether those of other packages are among them: a program may be installed, too.
    """
    steps = []
    while traceback is not None:
        if not _is_machinery(traceback.tb_frame, installed=installed):
            steps.append(traceback)
        traceback = traceback.tb_next
    return functools.reduce(
        lambda inner, step: TracebackType(inner, step.tb_frame, step.tb_lasti, step.tb_lineno), reversed(steps), None
    )


def _is_machinery(frame: FrameType, *, installed: bool) -> bool:
    if frame.f_globals.get("__name__", "").partition(".")[0] in _MACHINERY:
        return True
    file = frame.f_code.co_filename
    if _INSTALLED.search(file):
        return not installed
    return file.startswith((_LIBRARY, "<frozen "))


def _told_with(error: BaseException) -> list[BaseException]:
    """An error and all that pytest tells with it: what it was raised from, and what a group holds."""
    found: dict[int, BaseException] = {}
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop(0)
        if each is not None and id(each) not in found:
            found[id(each)] = each
            left += [each.__cause__, each.__context__]
            left += each.exceptions if isinstance(each, BaseExceptionGroup) else ()
    return list(found.values())


def _is_same(one: TracebackType | None, other: TracebackType | None) -> bool:
    while one is not None and other is not None:
        if one.tb_frame is not other.tb_frame or one.tb_lineno != other.tb_lineno:
            return False
        one, other = one.tb_next, other.tb_next
    return one is other


def _without_steps(error: BaseException) -> BaseException:
    try:
        pytest.fail(f"{type(error).__name__}: {error}", pytrace=False)
    except pytest.fail.Exception as failed:
        failed.__cause__ = error  # for hooks that look at what failed; pytest shows the words alone
        return failed
