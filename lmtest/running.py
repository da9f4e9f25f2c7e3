"""The test that runs in this process, for clients of other processes: what they record for it is the test's."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lmtest.cassette.told import CassetteReport

Close = Callable[[str], "Sequence[CassetteReport]"]
"""Closes a test's cassette in another process, given why nothing is to be saved there ("" where all went well)."""


@dataclass(kw_only=True, eq=False)
class RunningTest:
    """A test while it runs, as another process has to know it.

    Attributes:
        test: Its id.
        cassette: Its cassette, from the cassette directory.
        mode: Its mode, where somebody said one; "" leaves it to the other process.
        run: The run.
        sample: Which repetition of the test this is, where it is repeated for samples.
        command: What records it.
        allow_misses: Whether it may go on though a request is not recorded.
        keeps_others: Tells whether recordings that other tests play from stay in the cassette.
        shares: What it has in common with the tests that play on from where it ends; "" where there are none.
        to: The model that a refresh asks instead of the program's own; "" where it asks none.
        options: Gives further arguments of :class:`lmtest.use_cassette` as JSON values.
        admit: Raises where another process is to be asked for nothing more.
        asked: How often another process was asked to run something for it.
        noted: What stopped a call elsewhere, whether or not the test's program caught that.
        openings: What closes its cassette in other processes, by where that is.
    """

    test: str
    cassette: str
    mode: str = ""
    run: str = ""
    sample: int | None = None
    command: str = ""
    allow_misses: bool = False
    keeps_others: Callable[[], bool] = bool
    shares: str = ""
    to: str = ""
    options: Callable[[], Mapping[str, Any]] = dict
    admit: Callable[[], None] = lambda: None
    asked: int = 0
    noted: list[Exception] = field(default_factory=list)
    openings: dict[Hashable, Close] = field(default_factory=dict)


_RUNNING: Final[list[RunningTest]] = []


def running_test() -> RunningTest | None:
    """Give the test that runs in this process and has a cassette, in whatever thread this is asked; else None."""
    return _RUNNING[-1] if _RUNNING else None


def begin(test: RunningTest) -> None:
    """Say that a test runs; one that runs another inside itself runs again afterwards."""
    _RUNNING.append(test)


def end(test: RunningTest) -> None:
    """Say that it has ended."""
    _RUNNING.remove(test)
