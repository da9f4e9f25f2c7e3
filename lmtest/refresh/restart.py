"""Tests run on after one of them took its process along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lmtest.errors import LMTestError
from lmtest.refresh.ids import belongs
from lmtest.refresh.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_RESTARTS: Final = 3
"""Processes that are started for those whose turn had not come; more crashes than that are no accident."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """A test to run, or a class or module whose tests share a cassette, which is of use only where all of them ran.

    Attributes:
        test: Its id.
        is_kept: Whether what it recorded is on the disk; None where each of its tests is of use by itself.
    """

    test: str
    is_kept: Callable[[], bool] | None = None


def run_through(units: Iterable[Unit], run_tests: Callable[[list[str]], Run]) -> Run:
    """Run tests; where a process dies, run in a new one the rest, without what it died in.

    Args:
        units: The tests.
        run_tests: Runs some of them in a process.

    Raises:
        LMTestError: pytest could not run any test.
    """
    run, units = Run(), [*units]
    for attempt in range(1 + _RESTARTS):
        tests = [test for each in units for test in (_missing(each, run) if attempt else [each.test])]
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
    return run


def _missing(unit: Unit, run: Run) -> Iterator[str]:
    """The tests of a unit that must run yet, after a process died."""
    ended = {each.test: each for each in run.ended}
    mine = [test for test in run.chosen if belongs(test, unit.test)]
    missing = [test for test in mine if test not in ended]
    if run.chosen and not mine:
        return  # all was collected, and it is not there
    whole = unit.is_kept is not None and mine != [unit.test]
    if not mine or whole:
        if any(each.outcome in {"crashed", "errored"} and each.concerns(unit.test) for each in ended.values()):
            return
        if missing or not mine:
            yield unit.test
            return
    yield from missing
    if unit.is_kept is not None and mine and not missing and _all_passed(mine, run) and not unit.is_kept():
        yield unit.test  # what it recorded is gone with the process


def _all_passed(tests: Iterable[str], run: Run) -> bool:
    return all(each.outcome == "passed" for each in run.ended if each.test in tests)


def _add(run: Run, part: Run) -> None:
    again = {each.test for each in part.ended}
    run.ended = [*(each for each in run.ended if each.test not in again), *part.ended]
    run.chosen = [*dict.fromkeys((*run.chosen, *part.chosen))]
    run.stopped, run.unkept, run.died = part.stopped, part.unkept, part.died
    run.log += part.log
