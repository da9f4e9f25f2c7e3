"""Whose a reservation is, so that nobody waits for a process that has died."""

from __future__ import annotations

import os
import platform


def claimed(name: str) -> str:
    """A name that says which process made it.

    >>> has_died(claimed("a"))
    False
    """
    return f"{platform.node()}/{os.getpid()}/{name}"


def has_died(claim: str) -> bool:
    """Whether the process that made a name is known to be gone; of another machine's nobody knows.

    >>> has_died("another-machine/1/a")
    False
    """
    node, _, rest = claim.rpartition("/")[0].rpartition("/")
    if os.name == "nt" or node != platform.node() or not rest.isdecimal():
        return False  # on Windows the question would end the process
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
