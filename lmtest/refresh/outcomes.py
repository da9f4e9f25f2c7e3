"""How the tests of a refresh ended, all together: each that was wanted is in one sum, whether it ran or not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, get_args

from lmtest.refresh.ids import names
from lmtest.refresh.witness import Ended, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lmtest.refresh.run import Run

_GONE: Final = "pytest ran no such test. If it was renamed, take its recordings along: lmtest mv OLD NEW"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcomes:
    """How tests ended.

    Attributes:
        tests: Each, in the order in which they ran, then those that did not.
        stopped: Why not all ran, where a limit, a full disk or somebody stopped the run; empty where nothing did.
    """

    tests: tuple[Ended, ...] = ()
    stopped: str = ""

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many ended in each way."""
        ways = [each.outcome for each in self.tests]
        return {outcome: ways.count(outcome) for outcome in get_args(Outcome)}

    @property
    def red(self) -> tuple[Ended, ...]:
        """Those with which something is wrong; not those whose turn never came because the run was stopped."""
        return tuple(each for each in self.tests if each.red and not (self.stopped and each.outcome == "not run"))

    @property
    def unkept(self) -> bool:
        """Whether it was stopped because a recording could not be kept."""
        return any(each.unkept for each in self.tests)

    @property
    def unanswered(self) -> bool:
        """Whether a model did not answer one of them."""
        return any(each.unanswered for each in self.tests)


def sum_up(wanted: Iterable[str], run: Run) -> Outcomes:
    """Sum up how tests ended.

    Args:
        wanted: Ids of the tests that were to run, or of the classes and files they are in.
        run: What became of them.
    """
    return Outcomes(tests=tuple(_sorted_out([*dict.fromkeys(wanted)], run)), stopped=run.stopped)


def _sorted_out(wanted: list[str], run: Run) -> Iterator[Ended]:
    known, asked = {each.test: each for each in run.ended}, {name.rstrip("/") for name in wanted}
    for each in known.values():
        if asked.intersection(names(each.test)):
            # A limit that stopped the run in the middle of a test says nothing of that test.
            yield replace(each, outcome="not run") if each.limit else each
    not_run = run.not_run
    for test in not_run:
        yield Ended(test=test, outcome="not run", reason=run.stopped or run.died)
    seen = {name for test in (*known, *not_run) for name in names(test)}
    for name in wanted:
        if name.rstrip("/") in seen:
            continue
        above = next((known[each] for each in names(name) if each in known), None)
        if above:  # its file could not be collected
            yield replace(above, test=name)
        else:
            yield Ended(test=name, outcome="not run", reason=run.stopped or run.died or _GONE)
