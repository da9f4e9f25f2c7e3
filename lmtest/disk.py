"""The disk as it is, though a test has put something else in the place of ``open``, ``os.stat`` or `Path`'s methods.

A call under way in such a test looks for the ledger and for prices, and its program's mocks are not meant for us. What
creates and replaces files is left as it is: a test that makes that fail makes ours fail too.
"""

from __future__ import annotations

import os
from io import FileIO
from typing import Final

_stat: Final = os.stat


def stat(path: str | os.PathLike[str]) -> os.stat_result:
    """A file's status, as ``os.stat`` gives it.

    Raises:
        OSError: There is none, or it may not be seen.
    """
    return _stat(path)


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether there is such a file or directory.

    >>> exists("/"), exists("/no/such/place")
    (True, False)
    """
    try:
        _stat(path)
    except (OSError, ValueError):
        return False
    return True


def read(path: str | os.PathLike[str]) -> bytes:
    """A file's content.

    Raises:
        OSError: It cannot be read.
    """
    with FileIO(path) as file:  # which is what ``open`` opens
        return file.readall()
