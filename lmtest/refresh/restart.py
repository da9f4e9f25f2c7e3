"""Tests run on after one of them took its process along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lmtest.errors import LMTestError
from lmtest.refresh.ids import belongs
from lmtest.refresh.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_RESTARTS: Final = 3
"""Processes that are started for those whose turn had not come; more crashes than that are no accident."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Together:
    """Tests that record into one cassette, which is of use only where all of them ran.

    Attributes:
        tests: Their ids, or those of the classes and files they are in.
        is_lost: Whether what those recorded that ended is gone with their process, and they must run again; None where
            each test is of use by itself.
    """

    tests: Sequence[str]
    is_lost: Callable[[], bool] | None = None


def run_through(all_tests: Iterable[Together], run_tests: Callable[[list[str]], Run]) -> Run:
    """Run tests; where a process dies, run the rest in a new one, without what the crashed test shares a cassette with.

    Args:
        all_tests: The tests.
        run_tests: Runs some of them in a process.

    Raises:
        LMTestError: pytest could not run any test.
    """
    run, left = Run(), [*all_tests]
    for attempt in range(1 + _RESTARTS):
        tests = [test for each in left for test in (_missing(each, run) if attempt else each.tests)]
        if not tests:
            break
        try:
            part = run_tests(tests)
        except LMTestError as error:
            if not attempt:
                raise
            run.died = str(error)
            break
        _add(run, part)
        if run.stopped or not part.died or not part.ended:
            break
        left = [each for each in left if not _crashed(each, run)]
    return run


def _crashed(together: Together, run: Run) -> bool:
    crashed = [each for each in run.ended if each.outcome == "crashed"]
    return together.is_lost is not None and any(each.concerns(test) for each in crashed for test in together.tests)


def _missing(together: Together, run: Run) -> Iterator[str]:
    """The tests of these that must run yet."""
    ended = {each.test for each in run.ended}
    mine = [test for test in run.chosen if any(belongs(test, name) for name in together.tests)]
    missing = [test for test in mine if test not in ended]
    if mine and not missing:
        return
    if missing and (together.is_lost is None or (len(missing) < len(mine) and not together.is_lost())):
        yield from missing
    else:  # also where none was collected yet, because a file before theirs died
        yield from (test for test in together.tests if not any(belongs(test, each) for each in ended))


def _add(run: Run, part: Run) -> None:
    again = {each.test for each in part.ended}
    run.ended = [*(each for each in run.ended if each.test not in again), *part.ended]
    run.chosen = [*dict.fromkeys((*run.chosen, *part.chosen))]
    run.stopped, run.unkept, run.died = part.stopped, part.unkept, part.died
    run.log += part.log
