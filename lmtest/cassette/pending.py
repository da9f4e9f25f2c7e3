"""What a refresh recorded, beside the cassette it may replace.

Beside it, so that a pull request shows both, blobs are found, and taking it over is one rename on one file system.

    qa.yaml             the cassette, as it was
    qa.new.yaml         recorded anew, whole: it may be accepted
    qa.failed.yaml      the test or a call failed: it may be read, never accepted
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lmtest.cassette.interaction import Interaction

_FRESH: Final = ".new.yaml"
_FAILED: Final = ".failed.yaml"


def fresh_path(path: Path) -> Path:
    """Where the recordings of a refresh that ended well are.

    >>> from pathlib import PurePosixPath
    >>> fresh_path(PurePosixPath("cassettes/qa.yaml"))
    PurePosixPath('cassettes/qa.new.yaml')
    """
    return path.with_name(path.name.removesuffix(".yaml") + _FRESH)


def failed_path(path: Path) -> Path:
    """Where the recordings of a refresh that did not end well are."""
    return path.with_name(path.name.removesuffix(".yaml") + _FAILED)


def is_pending(path: Path) -> bool:
    """Whether a file is no cassette of its own but what a refresh recorded for one."""
    return path.name.endswith((_FRESH, _FAILED))


def accept(path: Path) -> None:
    """Put what was recorded anew in a cassette's place, in one step.

    Raises:
        FileNotFoundError: Nothing was.
    """
    fresh_path(path).replace(path)
    failed_path(path).unlink(missing_ok=True)


def discard(path: Path) -> None:
    """Take away what a refresh recorded; the cassette stays as it is."""
    fresh_path(path).unlink(missing_ok=True)
    failed_path(path).unlink(missing_ok=True)


def without_retried(interactions: Sequence[Interaction]) -> tuple[Interaction, ...]:
    """Leave out the failures after which the same request was answered: somebody tried again, and got there."""
    answered = Counter(each.key for each in interactions if not each.failed)
    return tuple(each for each in interactions if not (each.failed and answered[each.key]))
