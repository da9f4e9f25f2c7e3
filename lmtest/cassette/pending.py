"""What a refresh recorded, beside the cassette it may replace.

Beside it, so that a pull request shows both, blobs are found, and taking it over is one rename on one file system.

    qa.yaml             the cassette, as it was
    qa.new.yaml         recorded anew, whole: it may be accepted
    qa.failed.yaml      the test or a call failed: it may be read, never accepted

Of several tests that have one cassette each is a part of it: where one failed, what all of them recorded is in
``qa.failed.yaml``.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from lmtest.cassette import store
from lmtest.cassette.atomic import expect_writable, put_in_place
from lmtest.cassette.index import Index
from lmtest.cassette.locks import identity, is_of_run
from lmtest.errors import CassetteError, CassetteNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lmtest.cassette.interaction import Header, Interaction

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


def cassette_of(path: Path) -> Path:
    """Which cassette a refresh recorded a file for; of any other file, itself.

    >>> from pathlib import PurePosixPath
    >>> cassette_of(PurePosixPath("cassettes/qa.new.yaml"))
    PurePosixPath('cassettes/qa.yaml')
    """
    if not is_pending(path):
        return path
    name = path.name.removesuffix(_FRESH).removesuffix(_FAILED)
    return path.with_name(name if name.endswith(".yml") else f"{name}.yaml")


def save(
    path: Path,
    header: Header,
    interactions: Sequence[Interaction],
    *,
    well: bool,
    run: str,
    media: Mapping[str, bytes],
) -> None:
    """Write what was recorded for a cassette beside it.

    Args:
        path: The cassette.
        header: The first document; it names the test.
        interactions: What was recorded, in order.
        well: Whether it may be accepted.
        run: The run that recorded it: what it recorded for this cassette before is kept.
        media: What the interactions refer to, by the blob's name.

    Raises:
        CassetteError: It could not be written.
    """
    fresh, failed = fresh_path(path), failed_path(path)
    with store.saving(path):
        if well and not (is_of_run(failed, run) and _is_of_others(failed, header)):
            store.put(fresh, header, interactions, opened=identity(fresh), run=run, media=media)
            failed.unlink(missing_ok=True)
            return
        opened = identity(failed)
        if is_of_run(fresh, run):
            fresh.replace(failed)
            opened = None  # so that it is added to
        store.put(failed, header, interactions, opened=opened, run=run, media=media)
        fresh.unlink(missing_ok=True)


def _is_of_others(path: Path, header: Header) -> bool:
    """Whether another test than this one has failed: its own failure is over when it is run again and passes."""
    return bool(set(Index(path).header.tests) - set(header.tests))


def accept(path: Path) -> None:
    """Put what was recorded anew in a cassette's place, in one step.

    Raises:
        CassetteNotFound: Nothing was.
        CassetteError: It could not be put there; the cassette is as it was.
    """
    if not fresh_path(path).exists():
        raise CassetteNotFound(f"{path}: nothing waits to be accepted for it.", path=path)
    with store.saving(path):
        put_in_place(fresh_path(path), path)
        failed_path(path).unlink(missing_ok=True)


def prepare(path: Path) -> None:
    """Take away what an earlier refresh recorded, and see that another can be written.

    Raises:
        CassetteError: It cannot.
    """
    try:
        expect_writable(path)
        discard(path)
    except OSError as error:
        raise CassetteError(
            f"{path} cannot be refreshed: {error.strerror or error} ({error.filename or path.parent}). Nothing was "
            "called. Give the right to write beside it, and refresh again.",
            path=path,
        ) from error


def set_apart(path: Path) -> None:
    """Keep what was recorded from being accepted: another test that shares the file crashed, or never ran."""
    if fresh_path(path).exists():
        with store.saving(path):
            fresh_path(path).replace(failed_path(path))


def discard(path: Path) -> None:
    """Take away what a refresh recorded; the cassette stays as it is."""
    fresh_path(path).unlink(missing_ok=True)
    failed_path(path).unlink(missing_ok=True)


def without_retried(interactions: Sequence[Interaction]) -> tuple[Interaction, ...]:
    """Leave out the failures after which the same request was answered: somebody tried again, and got there."""
    answered = Counter(each.key for each in interactions if not each.failed)
    return tuple(each for each in interactions if not (each.failed and answered[each.key]))
