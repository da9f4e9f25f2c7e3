"""The cassettes of tests that this worker has open: one for all executions of a test, until the test has ended."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import lmtest
from python_worker.domain.errors import Reason, WorkerError
from python_worker.runtime.failures import explain, words

if TYPE_CHECKING:
    from pathlib import Path

    from python_worker.domain.owner import Owner

_LOG = logging.getLogger(__name__)

MOST: Final = 1_000
IDLE: Final = 900.0
"""Seconds without an execution after which a test is taken for ended, and nothing of it is saved."""

_LISTS: Final = ("ignore", "scrub", "redact", "limits")
_OTHERS: Final = ("repeat", "record_failures", "replay_speed")
_OPTIONS: Final = (*_LISTS, *_OTHERS, "rules", "no_rules")


@dataclass(kw_only=True)
class _Opening:
    """One test's cassette.

    Attributes:
        lock: Held while it is opened.
        shared: It, once it is open.
        used: When it was asked for last, on ``time.monotonic``'s clock.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    shared: lmtest.SharedCassette | None = None
    used: float = field(default_factory=time.monotonic)


class OwnedCassettes:
    """The cassettes that tests have open here. Threads may share one.

    Args:
        directory: Where cassettes are.
        most: How many tests may have one open at once.
        idle: Seconds without an execution after which a test is taken for ended.
    """

    def __init__(self, directory: Path, *, most: int = MOST, idle: float = IDLE) -> None:
        self._directory = directory.absolute()
        self._most = most
        self._idle = idle
        self._open: dict[tuple[object, ...], _Opening] = {}
        self._lock = threading.Lock()

    def get(self, owner: Owner, *, mode: lmtest.Mode) -> lmtest.SharedCassette:
        """The open cassette of a test; opened for its first execution, in a mode.

        Raises:
            WorkerError: ``invalid_argument``: it names or asks for what cannot be; ``configuration``: its mode cannot
                work here; ``limit``: too many are open.
            lmtest.LMTestError: The cassette does not read.
        """
        key = (*owner.opening, mode)
        with self._lock:
            opening = self._open.get(key)
            if opening is None:
                self._make_room()
                opening = self._open[key] = _Opening()
            opening.used = time.monotonic()
        with opening.lock:
            if opening.shared is None:
                try:
                    opening.shared = self._opened(owner, mode)
                except BaseException:
                    with self._lock:
                        self._open.pop(key, None)
                    raise
            opening.shared.owners[owner.test] = None
            return opening.shared

    def close(self, owner: Owner, *, failed: str, keep_open: bool) -> list[lmtest.CassetteReport]:
        """Save what was recorded for a test, and tell what was done, for each mode that its executions had.

        Args:
            owner: The test.
            failed: Why nothing is to be saved; "" where it passed.
            keep_open: Whether other tests play on from there.

        Raises:
            WorkerError: It could not be saved.
        """
        with self._lock:
            keys = [key for key in self._open if key[:-1] == owner.opening]
            openings = [self._open[key] if keep_open else self._open.pop(key) for key in keys]
        reports = []
        for opening in openings:
            with opening.lock:
                shared = opening.shared
            if shared is None:
                continue
            try:
                reports.append(shared.end(failed=failed))
            except lmtest.LMTestError as error:
                raise explain(error) from error
        return reports

    def abandon(self) -> None:
        """Let go of what is open; nobody can tell any more whether those tests passed, so nothing of them is saved."""
        with self._lock:
            left, self._open = self._open, {}
        for key, each in left.items():
            if each.shared is not None and each.shared.unsaved:
                _LOG.warning("%s has not ended: what was recorded for it is not saved", key[1])

    def _opened(self, owner: Owner, mode: lmtest.Mode) -> lmtest.SharedCassette:
        if owner.to and mode is not lmtest.Mode.REFRESH:
            raise WorkerError(
                f"another model, {owner.to}, is for mode refresh, and this is {mode.value}: leave lmtest-to out.",
                reason=Reason.INVALID_ARGUMENT,
                field="lmtest-to",
            )
        try:
            path = lmtest.cassette_path(
                self._directory,
                test=owner.test,
                name=owner.cassette,
                source="the metadata lmtest-cassette" if owner.cassette else "the cassette of lmtest-test",
            )
        except lmtest.ConfigurationError as error:
            raise WorkerError(words(error), reason=Reason.INVALID_ARGUMENT, field="lmtest-cassette") from error
        return lmtest.SharedCassette(
            path,
            flag=mode.value,
            test=owner.test,
            run=owner.run or None,
            command=owner.command or None,
            keep_others=owner.keep_others,
            to=owner.to or None,
            **_options(owner, mode),
        )

    def _make_room(self) -> None:
        """Take away what tests left open that have not been heard of for long; called with the lock."""
        if len(self._open) < self._most:
            return
        over = time.monotonic() - self._idle
        for key in [key for key, each in self._open.items() if each.used < over]:
            _LOG.warning("%s has not asked for long: what was recorded for it is not saved", key[1])
            del self._open[key]
        if len(self._open) >= self._most:
            raise WorkerError(
                f"{len(self._open):,} tests have a cassette open here, and none is idle: end them with CloseCassette.",
                reason=Reason.LIMIT,
                retryable=True,
            )


def _options(owner: Owner, mode: lmtest.Mode) -> dict[str, Any]:
    """The options a test gave, read.

    Raises:
        WorkerError: ``invalid_argument``.
    """
    given = dict(owner.options)
    if unknown := given.keys() - set(_OPTIONS):
        raise _refused(f"no option {min(unknown)!r}; there are {', '.join(_OPTIONS)}")
    for name in _LISTS:
        texts = given.get(name, [])
        if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
            raise _refused(f"{name} is {texts!r}, and is a list of texts")
    try:
        options: dict[str, Any] = {name: tuple(given[name]) for name in _LISTS[:3] if name in given}
        options |= {name: given[name] for name in _OTHERS if name in given}
        if "limits" in given:
            options["tighter"] = lmtest.Limits.parse(given["limits"], source="the option limits")
        if mode is lmtest.Mode.MOCK:
            if "no_rules" in given:
                raise _refused(f"mode mock obeys the rules of the test, and {given['no_rules']}")
            options["rules"] = lmtest.rules_from_plain(given.get("rules", []), asked="the option rules")
    except lmtest.LMTestError as error:
        raise _refused(str(error)) from error
    return options


def _refused(why: str) -> WorkerError:
    return WorkerError(
        f"the metadata 'lmtest-options-bin': {why.removesuffix('.')}.",
        reason=Reason.INVALID_ARGUMENT,
        field="lmtest-options-bin",
    )
