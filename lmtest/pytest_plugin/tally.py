"""What one test's cassettes did. It rides on the test's report, so it is whole under pytest-xdist too."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

KEY = "lmtest"
"""The report's attribute."""


_AMOUNTS = ("spent", "stand_in", "saved")


@dataclass(frozen=True, kw_only=True)
class File:
    """One cassette of a test.

    Attributes:
        path: Relative to the root directory, where it is inside.
        mode: How it was used.
        shared: Whether several tests have it.
        unplayed: Where those of its recordings begin that nobody had asked for when it was closed; None while it is
            still in use.
        stale: Its age and the age it may have, in words, where it is too old.
    """

    path: str
    mode: str
    shared: bool = False
    unplayed: tuple[int, ...] | None = None
    stale: str | None = None


@dataclass(frozen=True, kw_only=True)
class Tally:
    """One test.

    Attributes:
        test: Its id.
        line: The line it begins on, counted from 1.
        mode: Its mode.
        calls: Answered calls.
        played: Those from a cassette.
        recorded: Those that were written down.
        missed: The texts of its misses.
        blocked: The texts of what it was refused of the network.
        refused: The texts of what limits refused it.
        spent: USD.
        stand_in: USD at list price of the calls that a stand-in answered, for which nothing was charged.
        saved: USD that the played calls would have cost.
        unpriced: Calls of unknown price.
        seconds: Seconds its calls took; of played ones, when they were recorded.
        failed: Whether the test did not pass.
        doubts: Why what it recorded may replay otherwise than it went.
        bare: Whether it is marked, passed in record mode, and asked for nothing that can be recorded.
        files: Its cassettes.
    """

    test: str
    line: int = 1
    mode: str
    calls: int = 0
    played: int = 0
    recorded: int = 0
    missed: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    spent: Decimal = Decimal(0)
    saved: Decimal = Decimal(0)
    stand_in: Decimal = Decimal(0)
    unpriced: int = 0
    seconds: float = 0.0
    failed: bool = False
    doubts: tuple[str, ...] = ()
    bare: bool = False
    files: tuple[File, ...] = field(default=())

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON values, which is what crosses from one process of pytest-xdist to another."""
        amounts = {name: format(getattr(self, name), "f") for name in _AMOUNTS}
        # Not dataclasses.asdict: it copies all the way down, which is a tenth of what a replayed test may cost.
        return {**vars(self), **amounts, "files": [{**vars(each)} for each in self.files]}

    @classmethod
    def from_plain(cls, data: dict[str, Any]) -> Tally:
        """Read what :attr:`plain` gave.

        >>> tally = Tally(test="t", mode="replay", saved=Decimal("0.01"), files=(File(path="a", mode="replay"),))
        >>> Tally.from_plain(tally.plain) == tally
        True
        """
        files = tuple(File(**{**each, "unplayed": _tuple(each["unplayed"])}) for each in data["files"])
        money = {name: Decimal(data[name]) for name in _AMOUNTS}
        wrong = {name: tuple(data[name]) for name in ("missed", "blocked", "refused", "doubts")}
        return cls(**{**data, **money, **wrong, "files": files})

    @property
    def asked(self) -> bool:
        """Whether it asked anything of anybody."""
        return bool(self.calls or self.missed or self.blocked or self.refused)

    @property
    def properties(self) -> list[tuple[str, object]]:
        """What JUnit files carry of it; nothing where nothing was asked."""
        if not self.asked:
            return []
        return [
            ("lmtest_mode", self.mode),
            ("lmtest_cassette", ", ".join(each.path for each in self.files)),
            ("lmtest_calls", self.calls),
            ("lmtest_played", self.played),
            ("lmtest_recorded", self.recorded),
            ("lmtest_missed", len(self.missed)),
            ("lmtest_blocked", len(self.blocked)),
            ("lmtest_refused", len(self.refused)),
            ("lmtest_spent", format(self.spent, "f")),
            ("lmtest_stand_in", format(self.stand_in, "f")),
            ("lmtest_saved", format(self.saved, "f")),
            ("lmtest_unpriced", self.unpriced),
        ]


def add_files(report: Any, test: str, files: tuple[File, ...]) -> None:
    """Have a test's report tell of files that were closed with it, whoever had them."""
    plain = vars(report).get(KEY)
    tally = Tally.from_plain(plain) if plain else Tally(test=test, mode=files[0].mode)
    vars(report)[KEY] = replace(tally, files=(*tally.files, *files)).plain


def add_doubt(report: Any, test: str, mode: str, doubt: str) -> None:
    """Have a test's report tell of a doubt, whether the test has a cassette or not."""
    plain = vars(report).get(KEY)
    tally = Tally.from_plain(plain) if plain else Tally(test=test, mode=mode)
    vars(report)[KEY] = replace(tally, doubts=(*tally.doubts, doubt)).plain


def of_reports(reports: Iterable[Any]) -> list[Tally]:
    """The tallies that ride on reports."""
    return [Tally.from_plain(data) for report in reports if (data := getattr(report, KEY, None)) is not None]


def _tuple(value: Sequence[int] | None) -> tuple[int, ...] | None:
    return None if value is None else tuple(value)


def relative(path: Path, root: Path) -> str:
    """A path as messages show it: from the root directory where it is inside."""
    inside = os.path.join(root, "")  # noqa: PTH118 - this is done for every test
    return os.fspath(path).removeprefix(inside).replace(os.sep, "/")
