"""A test's calls in other processes: what these record for it is the test's, and so is what they miss."""

from __future__ import annotations

import contextlib
import functools
import os
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import lmtest
from lmtest import clock, running, variables
from lmtest.cassette import pending
from lmtest.cassette.atomic import replacing
from lmtest.cassette.codec import FORMAT
from lmtest.cassette.interaction import Header
from lmtest.errors import BudgetExceeded, ConfigurationError, LimitError, LMTestError
from lmtest.modes import Mode
from lmtest.running import RunningTest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lmtest.cassette.told import CassetteReport
    from lmtest.pytest_plugin.opened import Opened
    from lmtest.pytest_plugin.tally import File
    from lmtest.pytest_plugin.wishes import Wishes

_SPENT: Final[defaultdict[str, Decimal]] = defaultdict(Decimal)
"""USD that other processes' calls have cost, as far as they told, by run."""

_LISTS: Final = ("ignore", "scrub", "redact")
_OTHERS: Final = ("repeat", "record_failures", "replay_speed")


class Remote:
    """What one test has in other processes.

    Args:
        test: The test, as they know it.
        opened: Its cassette here.
        path: The file.

    Attributes:
        reports: What they did.
    """

    def __init__(self, test: RunningTest, opened: Opened, path: Path) -> None:
        self._test = test
        self._opened = opened
        self._path = path
        self.reports: list[CassetteReport] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Have clients of other processes know that the test runs."""
        running.begin(self._test)
        try:
            yield
        finally:
            running.end(self._test)

    def admit(self) -> None:
        """See that the run's budget is not used up: a process that others started has another run, and its own budget.

        Raises:
            BudgetExceeded: It is.
        """
        budget, spent = self._opened.run_budget, _SPENT[self._test.run]
        if budget is not None and 0 < budget <= spent:
            error = BudgetExceeded(
                f"what was asked of other processes has cost ${spent:f}, and the budget of the run is ${budget:f} "
                "(usd_per_run): nothing more is asked of them. Raise it: --lmtest-budget, or --budget of a refresh.",
                spent=spent,
                limit=budget,
                estimate=None,
            )
            self._test.noted.append(error)
            raise error

    @property
    def asked(self) -> int:
        """How often others were asked to run something."""
        return self._test.asked

    @property
    def missed(self) -> list[Exception]:
        """What was not recorded there, or could not be used, whether or not the program caught that."""
        return [each for each in self._test.noted if not isinstance(each, LimitError)]

    @property
    def told(self) -> tuple[str, ...]:
        """The texts of all misses: those that an execution ended with, and those that it went on after."""
        texts = [*map(str, self.missed), *(text for each in self.reports for text in each.missed)]
        return tuple(dict.fromkeys(texts))

    def add_up(self, name: str) -> Any:
        """Sum up one of the reports' numbers."""
        return sum(getattr(each, name) for each in self.reports)

    def all_of(self, name: str) -> tuple[str, ...]:
        """Join one of the reports' lists of texts."""
        return tuple(text for each in self.reports for text in getattr(each, name))

    def files(self, root: Path) -> list[File]:
        """Tell what became of the cassette there; of modes without a file only where no other was used."""
        from lmtest.pytest_plugin.tally import File, relative

        called = [each for each in self.reports if each.calls]
        told = [each for each in called if each.mode not in {Mode.MOCK, Mode.LIVE}] or called
        path = relative(self._path, root)
        return [File(path=path, mode=each.mode, unplayed=each.unplayed) for each in told]

    def settle(self, *, failed: str = "") -> None:
        """Close the cassette wherever it is open.

        Args:
            failed: Why nothing is to be saved there; "" where all went well so far.

        Raises:
            LMTestError: It could not be saved, or a limit refused a call that was to be recorded.
        """
        openings, self._test.openings = self._test.openings, {}
        if openings and not failed and not self._opened.before:
            self._opened.before = (self._path.read_bytes() if self._path.exists() else None,)
        problems: list[str] = []
        for close in openings.values():
            try:
                reports = close(failed)
            except Exception as error:  # noqa: BLE001 - a client's errors are its own; the others are closed first
                problems.append(str(error))
                continue
            self.reports += reports
            _SPENT[self._test.run] += sum((each.spent for each in reports), Decimal(0))
            problems += (text for each in reports if Mode(each.mode).writes for text in each.refused)
        if problems and not failed:
            raise LMTestError(problems[0])

    def take_back(self) -> None:
        """Put back the file that was there, where the test failed after others had saved theirs.

        Raises:
            OSError: It cannot be written.
        """
        if not self._opened.before:
            return
        [before] = self._opened.before
        if any(each.recorded and each.mode == Mode.REFRESH for each in self.reports):
            header = Header(
                format=FORMAT,
                recorded_at=clock.stamp(clock.utc_now()),
                source="",
                lmtest=lmtest.__version__,
                test=self._test.test,
            )
            pending.save(self._path, header, (), well=False, run=self._test.run, media={})
        elif not any(each.recorded and each.mode in {Mode.RECORD, Mode.AUTO} for each in self.reports):
            return
        elif before is None:
            self._path.unlink(missing_ok=True)
        else:
            with replacing(self._path) as file:
                file.write(before)


def remote_of(
    test: str, opened: Opened, *, name: str, wishes: Wishes, command: str, shares: str, keeps: Callable[[], bool]
) -> Remote:
    """What a test is for other processes.

    Args:
        test: Its id, as it is written down.
        opened: What is open of its cassette here.
        name: That cassette, from the cassette directory.
        wishes: What it asks for.
        command: What records it.
        shares: As the attribute of a running test.
        keeps: Tells whether recordings that other tests play from stay in the file.
    """
    cassette = opened.cassette
    running_test = RunningTest(
        test=test,
        cassette=name,
        mode=cassette.mode.value if opened.said else "",  # else others have their own
        run=cassette.run,
        command="" if command == f"LM_MODE=record pytest {test!r}" else command,  # what others say by themselves
        allow_misses=wishes.allow_misses,
        keeps_others=keeps,
        shares=shares,
        to=os.environ.get(variables.REFRESH_TO, "") if cassette.mode is Mode.REFRESH else "",
        options=functools.partial(_options, wishes, mocked=not opened.said or cassette.mode is Mode.MOCK),
    )
    assert cassette.path is not None, "the plugin's cassettes have files"
    remote = Remote(running_test, opened, cassette.path)
    if opened.said and not cassette.mode.offline:
        running_test.admit = remote.admit
    return remote


def _options(wishes: Wishes, *, mocked: bool) -> dict[str, Any]:
    """What a test asks of its cassette, as JSON values."""
    options: dict[str, Any] = {name: list(given) for name in _LISTS if (given := getattr(wishes, name))}
    options |= {name: given for name in _OTHERS if (given := getattr(wishes, name)) not in {None, 0}}
    if limits := wishes.options.get("limits"):
        options["limits"] = limits.texts()
    if mocked and wishes.rules:
        from lmtest.lm.portable_rules import rules_to_plain  # late: most tests have none

        try:
            options["rules"] = rules_to_plain(wishes.rules)
        except ConfigurationError as error:
            options["no_rules"] = str(error)  # for others to refuse, if they are in mode mock
    return options
