"""One cassette that several blocks have open at once: those of one test in a process that serves many."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from lmtest.cassette.told import CassetteReport
from lmtest.errors import LimitError, LMTestError
from lmtest.lm.use import use_cassette

if TYPE_CHECKING:
    import os

    from lmtest.cassette.cassette import Cassette
    from lmtest.lm.rules import Script
    from lmtest.lm.stop import Stop
    from lmtest.money.limits import Limits


class SharedCassette(use_cassette):
    """A cassette for blocks in whatever threads: each plays on from where the others are, and all are saved together.

    Args:
        path: The cassette.
        keep_others: Whether recordings that others play from stay in a file that is recorded anew.
        options: Arguments of :class:`lmtest.use_cassette`.

    Attributes:
        cassette: What all blocks asked and recorded that have ended.

    Raises:
        LMTestError: The cassette cannot be opened, as :class:`lmtest.use_cassette` says.

    Examples:
        shared = lmtest.SharedCassette("cassettes/test_qa.yaml", test="test_qa.py::test_qa")
        with shared.block(execution="1"):
            qa(question="What is the capital of France?")
        shared.end()
    """

    def __init__(self, path: str | os.PathLike[str] | None, *, keep_others: bool = False, **options: Any) -> None:
        super().__init__(path, may_be_absent=True, allow_misses=True, **options)
        self.cassette = self.open()
        if keep_others:
            self.cassette.keep_others()
        self._script_of_all = super()._script(self.cassette)
        self._set_aside: dict[str, Cassette] = {}
        self._guard = threading.Lock()
        self._told = CassetteReport(mode=self.cassette.mode.value)

    def block(
        self,
        *,
        test: str | None = None,
        execution: str | None = None,
        tighter: Limits | None = None,
        stop: Stop | None = None,
        allow_misses: bool = False,
    ) -> use_cassette:
        """Give one block, to be entered once.

        Args:
            test: The test whose it is, where several share the cassette.
            execution: Whose it is. What it recorded in a block that failed is replaced by what it records in another.
            tighter: See :class:`lmtest.use_cassette`; so are the next two.
            stop: See there.
            allow_misses: See there.
        """
        block = object.__new__(_Block)
        vars(block).update(vars(self), _scope=None, owners={})
        block.of(
            self, test=test or self._test, execution=execution, tighter=tighter, stop=stop, allow_misses=allow_misses
        )
        return block

    def begin(self, execution: str | None) -> Cassette:
        """Give a part to a block that is entered; what its execution recorded in one that failed is forgotten."""
        with self._guard:
            if execution is not None and (before := self._set_aside.pop(execution, None)) is not None:
                self.cassette.take_in(before, recordings=False)
        return self.cassette.part()

    def take_in(self, part: Cassette, *, execution: str | None, failed: bool) -> None:
        """Take over what a block did; of one that failed, unless its execution has another."""
        with self._guard:
            if failed and execution is not None:
                self._set_aside[execution] = part
            else:
                self.cassette.take_in(part)

    def gather(self) -> Cassette:
        """Take over what was set aside of executions that failed, and give the whole."""
        with self._guard:
            while self._set_aside:
                self.cassette.take_in(self._set_aside.pop(next(iter(self._set_aside))))
        return self.cassette

    def end(self, *, failed: str = "") -> CassetteReport:
        """Save what was recorded so far, and tell what was done since the last time.

        Nothing is saved where a limit refused a call that was to be recorded; the report has its words.

        Args:
            failed: Why nothing is to be saved; "" where all ended well.

        Raises:
            CassetteError: The file could not be saved.
        """
        whole = self.gather()
        before, self._told = self._told, CassetteReport.of(whole)
        with contextlib.suppress(LimitError):
            self._settle(whole, LMTestError(failed) if failed else None)
        return self._told.since(before, whole)

    @property
    def unsaved(self) -> bool:
        """True where something was recorded since the last :meth:`end`."""
        cassette = self.gather()
        return cassette.mode.writes and len(cassette.recorded) > self._told.recorded

    @property
    def script(self) -> Script | None:
        """What mock mode replies to some calls of all blocks together."""
        return self._script_of_all


class _Block(use_cassette):
    """One block of a shared cassette."""

    _shared: SharedCassette

    def of(
        self,
        shared: SharedCassette,
        *,
        test: str | None,
        execution: str | None,
        tighter: Limits | None,
        stop: Stop | None,
        allow_misses: bool,
    ) -> None:
        """Say whose it is."""
        self._shared, self._test, self._execution, self._stop = shared, test, execution, stop
        self._allow_misses = allow_misses
        if tighter is not None:
            self._tighter = self._tighter.tightened(tighter)

    def open(self) -> Cassette:
        return self._shared.begin(self._execution)

    def _script(self, cassette: Cassette) -> Script | None:  # noqa: ARG002 - the base's
        return self._shared.script

    def _settle(self, cassette: Cassette, error: BaseException | None) -> None:
        missed = cassette.missed and not self._allow_misses
        refused = cassette.refused and cassette.mode.writes
        self._shared.take_in(cassette, execution=self._execution, failed=bool(error or missed or refused))
        if error is None and missed:
            raise cassette.missed[0]
        if error is None and refused:
            raise cassette.refused[0]
