"""A new file, there whole or not at all."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import lmtest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that only its owner may read; it has its name when the block has ended well.

    Raises:
        lmtest.ConfigurationError: There is such a file already, or it cannot be written.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        raise lmtest.ConfigurationError(f"{str(path)!r} cannot be written: {error.strerror}.") from error
    try:
        with os.fdopen(descriptor, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.link(part, path)  # unlike a rename, it never takes the place of another
    except FileExistsError as error:
        raise lmtest.ConfigurationError(f"{str(path)!r} is there already: choose another name.") from error
    except OSError as error:
        raise lmtest.ConfigurationError(f"{str(path)!r} cannot be written: {error.strerror}.") from error
    finally:
        part.unlink()
