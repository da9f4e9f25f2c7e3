"""One refresh of a project at a time: two would pay for the same recordings.

Both locks die with the process that has them. Of a refresh that was killed the tests may still run, which end after the
one under way; they have a lock of their own, and the next refresh waits for that.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lmtest import clock, disk
from lmtest.errors import CassetteUnsaved, ConfigurationError
from lmtest.refresh import history

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE: Final = 60.0
"""Seconds to wait for the tests of a refresh that was killed."""

_tests: list[object] = []


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A refresh that runs.

    Attributes:
        pid: Its process.
        since: When it began, ISO 8601, UTC.
        command: Its command line, without secrets.
    """

    pid: int
    since: str
    command: str

    def __str__(self) -> str:
        return f"process {self.pid}, since {self.since}: {self.command}"


@contextlib.contextmanager
def only_one(root: Path) -> Iterator[None]:
    """Refresh a project while nobody else does.

    Raises:
        ConfigurationError: Another one does; the message names it.
        CassetteUnsaved: The directory of the lock cannot be written.
    """
    from filelock import FileLock, Timeout  # late: whoever only asks needs it not

    place = _place(root)
    try:
        disk.make_directory(place.parent)
        lock = FileLock(place)
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigurationError(
            f"another refresh of this project runs ({_told(running(root))}). Two at once would pay twice. Wait until "
            "it has ended, or end it with Ctrl-C: what it has finished is kept."
        ) from None
    except OSError as error:
        raise CassetteUnsaved(
            f"{place} could not be written: {error.strerror or error}. Nothing was called. Make room or give the right "
            "to write there, and refresh again.",
            path=place,
        ) from error
    try:
        _wait_for_tests(place)
        with contextlib.suppress(OSError):  # who runs is told to others only
            _card(place).write_text(json.dumps(asdict(_this())), encoding="utf-8")
        yield
    finally:
        lock.release()


def running(root: Path) -> Running | None:
    """Find out who refreshes a project now, in another process; None where nobody does."""
    from filelock import FileLock, Timeout

    place = _place(root)
    if not place.exists():
        return None
    try:
        FileLock(place).acquire(timeout=0).lock.release()
    except Timeout:
        with contextlib.suppress(OSError, ValueError, TypeError):
            return Running(**json.loads(_card(place).read_text(encoding="utf-8")))
        return Running(pid=0, since="just now", command="lmtest refresh")
    except OSError:
        pass  # nobody can lock what cannot be written
    return None


def hold_for_tests(root: Path) -> None:
    """Keep other refreshes from beginning for as long as this process lives, which runs the tests of one."""
    from filelock import FileLock

    with contextlib.suppress(OSError):
        lock = FileLock(_of_tests(_place(root)))
        lock.acquire(timeout=PATIENCE)
        _tests.append(lock)


def _wait_for_tests(place: Path) -> None:
    from filelock import FileLock, Timeout

    try:
        FileLock(_of_tests(place)).acquire(timeout=PATIENCE).lock.release()
    except Timeout:
        raise ConfigurationError(
            f"the tests of a refresh that was killed still run, for more than {PATIENCE:.0f} s, and record. Wait until "
            f"they have ended: who holds {_of_tests(place)} is one of them."
        ) from None


def _place(root: Path) -> Path:
    return history.path_of(root).with_name("refresh.lock")


def _of_tests(place: Path) -> Path:
    return place.with_name("refresh-tests.lock")


def _card(place: Path) -> Path:
    return place.with_name("refresh-running.json")


def _this() -> Running:
    from lmtest.cassette.redact import redact  # late: only who runs is told

    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return Running(pid=os.getpid(), since=clock.stamp(clock.utc_now()), command=redact(command))


def _told(other: Running | None) -> str:
    return str(other) if other is not None else "it has just ended"
