"""Whose a slot or a reservation is, so that nobody waits for a process that has died."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def claimed(name: str) -> str:
    """A name that says which process made it.

    >>> has_died(claimed("a"))
    False
    """
    process = os.getpid()
    return f"{_machine()}/{process}@{_own_start(process)}/{name}"


def is_of_this_machine(claim: str) -> bool:
    """Decide if a process of this machine made a name.

    >>> is_of_this_machine(claimed("a")), is_of_this_machine("another-machine/1@7/a")
    (True, False)
    """
    return claim.startswith(f"{_machine()}/")


def has_died(claim: str) -> bool:
    """Whether the process that made a name is known to be gone; of another machine's nobody knows.

    A process that got the number of a dead one is told from it by when it began, where the system says that.

    >>> has_died("another-machine/1@7/a")
    False
    """
    process, _, began = claim.split("/")[-2].partition("@") if claim.count("/") > 1 else ("", "", "")
    if os.name == "nt" or not is_of_this_machine(claim) or not process.isdecimal():
        return False  # on Windows the question would end the process
    if int(process) == os.getpid() and began == _own_start(os.getpid()):
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # another user's
    state, begins = _stat(int(process))
    return state in {"Z", "X"} or bool(began and begins and began != begins)


def dead(claims: Iterable[str]) -> set[str]:
    """Find the names whose processes are known to be gone; each process is looked at once.

    >>> dead([claimed("a"), "another-machine/1@7/a"])
    set()
    """
    by_process: dict[str, list[str]] = {}
    for claim in claims:
        by_process.setdefault(claim.rpartition("/")[0], []).append(claim)
    return {claim for theirs in by_process.values() if has_died(theirs[0]) for claim in theirs}


@functools.cache
def _own_start(process: int) -> str:
    return _stat(process)[1]


def _stat(process: int) -> tuple[str, str]:
    """A process's state (``Z`` is dead and not yet buried) and when it began; both empty where the system is silent.

    See proc_pid_stat(5): the second field, a name in parentheses, may hold anything; the third is the state, and the
    22nd the start in ticks since the machine's.
    """
    fields = _read(f"/proc/{process}/stat").rpartition(")")[2].split()
    return (fields[0], fields[19]) if fields else ("", "")


@functools.cache
def _machine() -> str:
    """The machine, as far as process numbers mean the same: containers may share its name, but not its processes."""
    try:
        numbers = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        numbers = ""
    known = f"{numbers} {_read('/proc/sys/kernel/random/boot_id')}"
    return f"{platform.node()}:{hashlib.sha256(known.encode()).hexdigest()[:8]}"


def _read(path: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(descriptor, 4096).decode(errors="replace")
    except OSError:
        return ""  # it ended just now
    finally:
        os.close(descriptor)
