"""How the tests that refreshes ran have fared: one line a test that ended, which outlives whoever is killed.

The history decides what comes first, and when a test that keeps failing is tried again. What is done, and what may be
accepted, only the files beside the cassettes say (:mod:`lmtest.cassette.pending`): a checkout has no history.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lmtest import disk, settings
from lmtest.cassette.atomic import replacing
from lmtest.money.ledger import default_path
from lmtest.refresh.ids import names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NAME: Final = "refresh.jsonl"
PASSED: Final = "passed"
SKIPPED: Final = "skipped"
LIMIT: Final = "limit"
NOBODY: Final = "nobody"
BAD: Final = frozenset({"failed", "errored", "crashed"})
"""The outcomes after which trying again too soon is not worth its price."""

_LARGEST: Final = 1 << 20
"""Bytes from which on the file is cut down."""

_KEPT: Final = 20
"""Attempts of a test that are kept then."""

_LONGEST_REASON: Final = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One run of a test by a refresh, to its end.

    Attributes:
        test: Its id, as it is written down; of calls that were sent without tests, what they were told under.
        outcome: ``passed``, ``failed``, ``errored``, ``skipped``, ``crashed``, ``limit``, which a full disk is, too, or
            ``nobody``, where there was no key or no provider.
        reason: Why it did not pass, in a line without secrets.
        at: When it ended, ISO 8601, UTC.
        run: The run, by its id.
        to: The model that was asked instead of its own, in a rehearsal.
    """

    test: str
    outcome: str
    reason: str = ""
    at: str
    run: str
    to: str | None = None


class History:
    """The attempts of a project, the oldest first.

    Args:
        attempts: All of them.
    """

    def __init__(self, attempts: Iterable[Attempt] = ()) -> None:
        self._by_name: dict[str, list[Attempt]] = {}
        for each in attempts:
            for name in names(each.test):
                self._by_name.setdefault(name, []).append(each)

    @classmethod
    def read(cls, root: Path) -> History:
        """Read a project's history; empty where there is none. Lines that were cut short are passed over."""
        try:
            return cls(_attempts(disk.read(path_of(root))))
        except OSError:
            return cls()

    def of(self, test: str, *, to: str | None = None) -> list[Attempt]:
        """Give the attempts of a test, or of all tests in a class or module.

        Args:
            test: Its id.
            to: The model of the rehearsals that are meant; None for refreshes by the recorded model.
        """
        return [each for each in self._by_name.get(test, ()) if each.to == to]

    def last(self, test: str, *, to: str | None = None) -> Attempt | None:
        """Give the last attempt of a test, or of those in a class or module, that says how it fared.

        One that was skipped, stopped at a limit, or found nobody to ask says nothing.
        """
        return next((each for each in reversed(self.of(test, to=to)) if _tells(each)), None)

    def found_nobody(self, test: str, *, to: str | None = None) -> bool:
        """Whether there was nobody to ask when a test, or one of a class or module, ran last."""
        attempts = self.of(test, to=to)
        return bool(attempts) and attempts[-1].outcome == NOBODY

    def failures_in_a_row(self, test: str, *, to: str | None = None) -> int:
        """Count the last runs in which a test, or one of a class or module, did badly, back to one that went well."""
        went_well: dict[str, bool] = {}
        for each in self.of(test, to=to):
            if _tells(each):
                went_well[each.run] = went_well.get(each.run, True) and each.outcome not in BAD
        count = 0
        for well in reversed(went_well.values()):
            if well:
                break
            count += 1
        return count


def path_of(root: Path) -> Path:
    """Where a project's history is: beside its ledger, where that is a file of the project, else in ``.lmtest``.

    Raises:
        ConfigurationError: A setting of the project that cannot be used.
    """
    configured, _ = settings.load(root)
    place = default_path({}, root, configured.ledger)
    beside = isinstance(place, Path) and configured.keeps_ledger and root.resolve() in place.resolve().parents
    return place.with_name(NAME) if beside and isinstance(place, Path) else root / ".lmtest" / NAME


def note(root: Path, attempt: Attempt) -> None:
    """Add an attempt, at once: whoever is killed next loses nothing of it.

    Raises:
        OSError: It could not be written.
    """
    path = path_of(root)
    disk.make_directory(path.parent)
    text = json.dumps({**asdict(attempt), "reason": attempt.reason[:_LONGEST_REASON]}, ensure_ascii=False)
    # A line of its own even after one that was cut short; in one writing, so that two processes' do not mix.
    with path.open("ab", buffering=0) as file:
        file.write(f"{'' if _ends_well(path) else chr(10)}{text}\n".encode())


def shorten(root: Path) -> None:
    """Cut a long history down to the last attempts of each test. To be called while no other refresh runs.

    Raises:
        OSError: It could not be written; it is as it was.
    """
    path = path_of(root)
    if not disk.exists(path) or disk.stat(path).st_size <= _LARGEST:
        return
    by_test: dict[tuple[str, str | None], list[Attempt]] = {}
    attempts = list(_attempts(disk.read(path)))
    for each in attempts:
        by_test.setdefault((each.test, each.to), []).append(each)
    kept = {id(each) for mine in by_test.values() for each in mine[-_KEPT:]}
    lines = [f"{json.dumps(asdict(each), ensure_ascii=False)}\n".encode() for each in attempts if id(each) in kept]
    # Of tests without number, such as those whose ids hold a date, the oldest go.
    while sum(map(len, lines)) > _LARGEST:
        lines = lines[len(lines) // 4 + 1 :]
    with replacing(path) as file:
        file.writelines(lines)


def _attempts(text: bytes) -> Iterator[Attempt]:
    for line in text.splitlines():
        try:
            said = json.loads(line)
            yield Attempt(**{name: said[name] for name in Attempt.__slots__})
        except (ValueError, KeyError, TypeError):
            continue  # cut short


def _ends_well(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _tells(attempt: Attempt) -> bool:
    return attempt.outcome not in {SKIPPED, LIMIT, NOBODY}
