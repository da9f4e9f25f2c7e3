"""Cassettes that lack what their tests ask for, completed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from lmtest.cassette.index import Index
from lmtest.errors import ConfigurationError
from lmtest.modes import Mode, choose_mode
from lmtest.refresh.ids import is_of_another_language
from lmtest.refresh.outcomes import Outcomes, sum_up
from lmtest.refresh.plan import Choice, find_cassettes, make_plan
from lmtest.refresh.restart import Unit, run_through
from lmtest.refresh.run import run_name, run_tests
from lmtest.refresh.unmatched import refuse_gone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from lmtest.money.limits import Limits


@dataclass(frozen=True, kw_only=True, slots=True)
class Completed:
    """What was recorded.

    Attributes:
        gained: How many calls each cassette gained, those that did.
        outcomes: What became of the tests.
    """

    gained: Mapping[Path, int]
    outcomes: Outcomes


def tests_to_run(paths: Iterable[Path], *, root: Path, test: str | None) -> list[str]:
    """Give the tests that may ask for what is not recorded.

    Args:
        paths: Cassettes, and directories of cassettes, whose tests are meant.
        root: The project.
        test: Only this test, or the tests in this file or class; it may have no cassette yet.

    Raises:
        ConfigurationError: There is no such file, or it is in another language.
    """
    if test and is_of_another_language(test):
        raise ConfigurationError(f"{test} is none of pytest's: run it by its own runner with LM_MODE=auto.")
    if test:
        refuse_gone(test, root)
        return [test]
    plan = make_plan([path for path in paths if path.exists()], Choice(again=True), root=root)
    return sorted({test for job in plan.due for test in job.tests})


def complete(paths: Sequence[Path], tests: Sequence[str], *, root: Path, limits: Limits) -> Completed:
    """Run tests in mode auto: what is recorded is played, what is not is recorded.

    Args:
        paths: Cassettes, and directories of cassettes, that may gain calls.
        tests: Ids of tests, or of the classes and files they are in.
        root: The project.
        limits: What the run may use up, before what the environment says.

    Raises:
        ConfigurationError: Under CI nothing may be recorded.
    """
    if choose_mode(flag=Mode.AUTO.value).mode is not Mode.AUTO:
        raise ConfigurationError("under CI nothing is recorded; allow it with LMTEST_ALLOW_RECORD_IN_CI=1.")
    before = _counts(paths)
    how = partial(run_tests, root=root, mode=Mode.AUTO, limits=limits, name=run_name())
    run = run_through((Unit(test=test) for test in tests), how)
    gained = {path: count - before.get(path, 0) for path, count in _counts(paths).items()}
    return Completed(gained={path: count for path, count in gained.items() if count}, outcomes=sum_up(tests, run))


def _counts(paths: Iterable[Path]) -> dict[Path, int]:
    return {path: len(Index(path).entries) for path in find_cassettes(path for path in paths if path.exists())}
