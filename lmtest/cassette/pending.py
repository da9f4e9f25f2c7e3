"""What a refresh recorded, beside the cassette it may replace.

Beside it, so that a pull request shows both, blobs are found, and taking it over is one rename on one file system.

    qa.yaml             the cassette, as it was
    qa.new.yaml         recorded anew: once all its tests ran to their end, it may be accepted
    qa.failed.yaml      the test or a call failed: it may be read, never accepted

Which tests ran to their end ``qa.new.yaml`` says itself: they are the ones that its header names. As long as it names
not all that own the cassette, it is unfinished: it lacks their calls, is never accepted, and the next refresh goes on
there. Of several tests that have one cassette each adds its part, a failed one to ``qa.failed.yaml``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from lmtest.cassette import store
from lmtest.cassette.atomic import expect_writable, put_in_place
from lmtest.cassette.index import Index
from lmtest.cassette.locks import identity, is_of_run, locked, note_writing
from lmtest.errors import CassetteError, CassetteNotFound, CassetteUnsaved
from lmtest.here import here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
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


def unfinished(path: Path) -> tuple[str, ...]:
    """Give the tests that own a cassette and have not run to their end since a refresh began; of none begun, all.

    Args:
        path: The cassette.
    """
    owners = dict.fromkeys([*_tests(path), *_tests(failed_path(path))])
    ended = _tests(fresh_path(path)) if fresh_path(path).exists() else ()
    return tuple(test for test in owners if test not in ended)


def failed_tests(path: Path) -> tuple[str, ...]:
    """Give the tests of a cassette whose last refresh failed, or left a call of theirs unanswered."""
    return _tests(failed_path(path))


def _tests(path: Path) -> tuple[str, ...]:
    """The tests that a file names; none where there is no such file, or it does not read."""
    try:
        return Index(path).header.tests
    except CassetteError:
        return ()


def save(
    path: Path,
    header: Header,
    interactions: Sequence[Interaction],
    *,
    well: bool,
    run: str,
    media: Mapping[str, bytes],
    further: bool = False,
) -> None:
    """Write what was recorded for a cassette beside it.

    Args:
        path: The cassette.
        header: The first document. It names the tests that ended; none while those that share the cassette go on.
        interactions: What was recorded, in order.
        well: Whether it may be accepted.
        run: The run that recorded it: what it recorded for this cassette before is kept.
        media: What the interactions refer to, by the blob's name.
        further: Whether all of it comes after what the run recorded before, as where tests share an open cassette.

    Raises:
        CassetteUnsaved: It could not be written.
        CassetteFormatError: What is to be kept does not read.
    """
    fresh, failed = fresh_path(path), failed_path(path)
    header = _of_the_cassette(path, header)
    with store.saving(path):
        if not well:
            _withdraw(fresh, header.tests, run)
            if interactions:
                store.put(failed, header, interactions, opened=identity(failed), run=run, beyond=further, media=media)
            return
        if interactions or header.tests:
            store.put(fresh, header, interactions, opened=identity(fresh), run=run, beyond=further, media=media)
        if set(_tests(failed)) <= set(_tests(fresh)):
            failed.unlink(missing_ok=True)
        if fresh.exists() and not Index(fresh).entries and not unfinished(path):
            fresh.unlink()  # all of its tests passed and called nothing


def _of_the_cassette(path: Path, header: Header) -> Header:
    """A header with what the cassette's own tells beside, which is to stay when what was recorded takes its place."""
    try:
        was = Index(path).header
    except CassetteError:  # there is none yet, or none that reads
        return header
    executed = header.executed or (None if header.test else was.executed)
    return replace(header, executed=executed, further=was.further | header.further)


def _withdraw(fresh: Path, tests: tuple[str, ...], run: str) -> None:
    """Take back that tests ran to their end: they ran again, and failed."""
    if not fresh.exists():
        return
    index = Index(fresh)
    left = tuple(test for test in index.header.tests if test not in tests)
    if not left and (index.header.tests or not tests):
        fresh.unlink()
    elif left != index.header.tests:
        was_of_run = is_of_run(fresh, run)
        header = replace(index.header, test="\n".join(left))
        store.write(fresh, [store.preamble_of(header), *(store.document(index, entry) for entry in index.entries)])
        note_writing(fresh, run if was_of_run else "")


def accept(path: Path) -> None:
    """Put what was recorded anew in a cassette's place, in one step.

    Raises:
        CassetteNotFound: Nothing was.
        CassetteUnsaved: It could not be put there; the cassette is as it was.
        CassetteError: It lacks the calls of tests that have not run to their end.
    """
    fresh = fresh_path(path)
    if not fresh.exists():
        raise CassetteNotFound(f"{path}: nothing waits to be accepted for it.", path=path)
    with _changing(path, "accepted"):
        if tests := unfinished(path):
            raise CassetteError(f"{fresh} cannot be accepted: {told_unfinished(path, tests)}", path=fresh)
        put_in_place(fresh, path)
        failed_path(path).unlink(missing_ok=True)


def told_unfinished(path: Path, tests: Sequence[str]) -> str:
    """Say which tests a cassette waits for, and what to do.

    Args:
        path: The cassette.
        tests: What :func:`unfinished` gave.
    """
    more = f" and {len(tests) - 1} more" if len(tests) > 1 else ""
    return (
        f"{tests[0]}{more} of its tests did not run to the end since, so that calls are missing. The next refresh runs "
        f"what is left: lmtest refresh {shlex.quote(str(here(path)))}; a test that was renamed is told by lmtest mv "
        "OLD NEW."
    )


def is_begun(path: Path, run: str) -> bool:
    """Whether tests that share an open cassette recorded a part for it that this run goes on with."""
    fresh = fresh_path(path)
    return fresh.exists() and is_of_run(fresh, run) and not _tests(fresh)


def adopt(path: Path, *, run: str) -> None:
    """Have a run add to what an earlier one recorded for a cassette, unless the cassette was recorded again since.

    Raises:
        CassetteFormatError: The cassette does not read.
        CassetteUnsaved: It cannot be noted.
    """
    index, fresh = Index(path), fresh_path(path)
    newest = max((index.read(entry).recorded_at or "" for entry in index.entries), default="")
    with _changing(path, "added to"):
        if fresh.exists() and not is_of_run(fresh, run) and Index(fresh).header.recorded_at >= newest:
            note_writing(fresh, run)


def prepare(path: Path, *, run: str, goes_on: bool) -> None:
    """See that what a refresh records for a cassette can be written, and settle what becomes of an earlier one's.

    Nothing goes before there is something to take its place: whoever is interrupted first still has the earlier.

    Args:
        path: The cassette.
        run: The run that is to record.
        goes_on: Whether it adds to what was recorded; else it replaces that.

    Raises:
        CassetteUnsaved: It cannot be written.
    """
    fresh = fresh_path(path)
    try:
        expect_writable(path, room=path.stat().st_size if path.exists() else 0)
        for each in (fresh, failed_path(path)):
            if each.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(each))
        if fresh.exists():
            note_writing(fresh, run if goes_on else "")
    except OSError as error:
        raise CassetteUnsaved(
            f"{path} cannot be refreshed: {error.strerror or error} ({error.filename or path.parent}). Nothing was "
            "called. Make room or give the right to write beside it, and refresh again.",
            path=path,
        ) from error


def set_apart(path: Path) -> None:
    """Keep what was recorded from being accepted: another test that shares the file crashed, or never ran."""
    if fresh_path(path).exists():
        with store.saving(path):
            fresh_path(path).replace(failed_path(path))


def forget_failure(path: Path, *, run: str, again: Callable[[str], bool]) -> None:
    """Take away what tests recorded that failed in an earlier run than this one, in which they ran again.

    Args:
        path: The cassette.
        run: This run.
        again: Tells of a test that it did.

    Raises:
        CassetteUnsaved: It cannot be removed.
    """
    failed = failed_path(path)
    if failed.exists() and all(map(again, _tests(failed))):
        with _changing(path, "forgotten"):
            if not is_of_run(failed, run):
                failed.unlink(missing_ok=True)


def discard(path: Path) -> None:
    """Take away what a refresh recorded; the cassette stays as it is.

    Raises:
        CassetteUnsaved: It cannot be removed.
    """
    with _changing(path, "discarded"):
        remove(path)


def remove(path: Path) -> None:
    """Do what :func:`discard` does, for whoever keeps all others from saving already.

    Raises:
        OSError: It cannot be removed.
    """
    fresh_path(path).unlink(missing_ok=True)
    failed_path(path).unlink(missing_ok=True)


@contextlib.contextmanager
def _changing(path: Path, what: str) -> Iterator[None]:
    """Only one process changes what waits for a cassette; what the system refuses is told."""
    try:
        with locked(path):
            yield
    except OSError as error:
        raise CassetteUnsaved(
            f"what was recorded for {path} could not be {what}: {error.strerror or error}. Nothing is lost: it and the "
            "cassette are as they were. Give the right to write there, and do it again.",
            path=path,
        ) from error


def without_retried(interactions: Sequence[Interaction]) -> tuple[Interaction, ...]:
    """Leave out the failures after which the same request was answered: somebody tried again, and got there."""
    answered = Counter(each.key for each in interactions if not each.failed)
    return tuple(each for each in interactions if not (each.failed and answered[each.key]))
