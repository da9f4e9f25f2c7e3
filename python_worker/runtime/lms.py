"""The port to language models: which one a program gets, and who answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from decimal import Decimal

    import dspy

    import lmtest
    from python_worker.domain.owner import Owner
    from python_worker.domain.program import ProgramConfig
    from python_worker.domain.recording import Refreshed
    from python_worker.domain.session import SessionLM
    from python_worker.domain.stage import LMCall, ToolUse
    from python_worker.domain.value import Fields


class LMScope(Protocol):
    """What was asked of language models during one execution."""

    @property
    def calls(self) -> tuple[LMCall, ...]:
        """The calls of models, in order; whole once the scope is closed."""

    @property
    def tools(self) -> tuple[ToolUse, ...]:
        """The calls of tools, likewise; those that nobody recorded or played are ``live``."""

    @property
    def refreshed(self) -> Refreshed | None:
        """The cassette that was recorded anew beside what is there; known once the scope is closed."""


class LMs(Protocol):
    """Where executions get their language model from."""

    def check(self, session: SessionLM) -> None:
        """See that a session can have what it asks for.

        Raises:
            WorkerError: ``configuration`` or ``invalid_argument``.
        """

    def spends(self, session: SessionLM) -> bool:
        """Whether calls of a session may cost money."""

    def budget_left(self, config: ProgramConfig, session: SessionLM) -> Decimal | None:
        """USD that a program's calls in a session may still cost; None where no budget holds them.

        Raises:
            WorkerError: ``configuration``: nobody can say.
        """

    def lm(self, config: ProgramConfig, session: SessionLM) -> dspy.BaseLM:
        """The model of a program in a session, a ``HeardLM``. It may be shared by executions that run at once."""

    def scope(
        self,
        program_name: str,
        inputs: Fields,
        session: SessionLM,
        *,
        execution_id: str,
        stop: lmtest.Stop | None = None,
        owner: Owner | None = None,
        executed: Mapping[str, Any] | None = None,
    ) -> AbstractContextManager[LMScope]:
        """Answer every model call inside, for one execution. Opened in the thread that runs the program.

        Args:
            program_name: Whose.
            inputs: What it is asked.
            session: Who answers, where not the worker's own.
            execution_id: The execution, for the ledger.
            stop: Ends calls from another thread: a live one under way, and any before it is answered.
            owner: The test that asks, whose all that is recorded is.
            executed: What is executed, for the header of a cassette that is no test's.
        """

    def close_owned(self, owner: Owner, *, failed: str, keep_open: bool) -> list[lmtest.CassetteReport]:
        """Save what was recorded for a test, and tell what was done, for each mode that its executions had.

        Args:
            owner: The test.
            failed: Why nothing is to be saved; "" where it passed.
            keep_open: Whether other tests play on from there.

        Raises:
            WorkerError: It could not be saved.
        """

    def close(self) -> None:
        """Let go of what is open, when the worker stops."""
