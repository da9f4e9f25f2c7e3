"""An open cassette: entered once, bound to the context only while its test runs, saved if no test of it failed."""

from __future__ import annotations

import contextlib
import uuid
import weakref
from typing import TYPE_CHECKING, Any

from lmtest.errors import LMTestError
from lmtest.lm import seam
from lmtest.pytest_plugin.tally import File, relative

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal
    from pathlib import Path

    from lmtest.lm.use import use_cassette
    from lmtest.pytest_plugin.freshness import Age


_outer: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def release() -> None:
    """Take the context back from a cassette that is closed.

    It has it again when a fixture of a wider scope, such as one around ``dspy.context``, was begun while the cassette
    was open, and restored at its end what it had found at its beginning.
    """
    while seam.bound() in _outer:
        seam.bind(_outer[seam.bound()])


class Opened:
    """A cassette that one test has, or that several share one after the other.

    Attributes:
        cassette: The cassette.
        closed: Whether it was closed, so that nothing more is played.
        failed: The first test of it that did not pass.
        said: Whether anybody said its mode.
        id: Of this opening, unique.
        before: What was in the file before other processes saved theirs, None where there was none; empty while it is
            not known.

    Args:
        scope: What opens it.
        path: The file.
        shared: Whether several tests have it.
        age: How old the file is, where that was asked.
    """

    def __init__(self, scope: use_cassette, *, path: Path, shared: bool = False, age: Age | None = None) -> None:
        self._scope = scope
        self._path = path
        self._shared = shared
        self._age = age
        self.failed: str | None = None
        self.said = False
        self.id = uuid.uuid4().hex
        self.before: tuple[bytes | None, ...] = ()
        self.closed = False
        outer = seam.bound()
        self.cassette = scope.__enter__()
        self._own = seam.bound()
        self._before = outer
        seam.bind(outer)

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Answer the calls of the current context meanwhile."""
        outer = seam.bound()
        seam.bind(self._own)
        try:
            yield
        finally:
            seam.bind(outer)

    @property
    def run_budget(self) -> Decimal | None:
        """USD that all calls of the run may cost together; None where nothing holds them."""
        return self._scope.run_budget

    def own(self, test: str) -> None:
        """Name a test in the header: a session has no id that could be run again."""
        self._scope.owners[test] = None

    def fail(self, test: str) -> None:
        """Keep that a test of it did not pass: nothing will be saved."""
        self.failed = self.failed or test

    def keep_so_far(self, *, well: bool, cut_short: bool) -> None:
        """In a refresh, write down what a test recorded that others share this with.

        Args:
            well: Whether it passed.
            cut_short: Whether a limit stopped it, so that it says nothing of its answers.

        Raises:
            CassetteUnsaved: It could not be written.
        """
        if cut_short:
            self.cassette.pass_over()
        else:
            self._scope.keep_so_far(self.cassette, well=well)

    def close(self, *, interrupted: bool = False) -> None:
        """Save what was recorded, if every test passed.

        Args:
            interrupted: Whether tests that share it did not run to the end.

        Raises:
            CassetteError: It could not be saved.
        """
        self.closed = True
        _outer[self._own] = self._before
        error: BaseException | None = LMTestError(f"{self.failed} did not pass") if self.failed else None
        error = KeyboardInterrupt() if interrupted else error
        self._scope.__exit__(type(error) if error else None, error, None)

    def tell(self, root: Path) -> File:
        """Say what became of the file."""
        return File(
            path=relative(self._path, root),
            mode=self.cassette.mode.value,
            shared=self._shared,
            unplayed=tuple(entry.start for entry in self.cassette.unplayed) if self.closed else None,
            stale=str(self._age) if self._age is not None and self._age.stale else None,
        )
