"""What rpc and runtime ask of storage; python_worker.store answers on SQLite and PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from python_worker.domain.errors import WorkerError
    from python_worker.domain.execution import Execution, StageRecord
    from python_worker.domain.program import Program
    from python_worker.domain.session import Session
    from python_worker.domain.signature import SignatureRecord
    from python_worker.domain.value import Value
    from python_worker.domain.variable import Edit, Variable
    from python_worker.domain.watch import Change


class Signatures(Protocol):
    """Signatures by id and by name."""

    def add(self, record: SignatureRecord) -> None:
        """Keep a new one.

        Raises:
            WorkerError: ``already_exists``: the name is taken.
        """

    def get(self, id_or_name: str) -> SignatureRecord:
        """The one of that id, else of that name.

        Raises:
            WorkerError: ``not_found``.
        """


class Programs(Protocol):
    """Programs by id and by name."""

    def add(self, program: Program) -> None:
        """Keep a new one.

        Raises:
            WorkerError: ``already_exists``: the name is taken.
        """

    def get(self, id_or_name: str) -> Program:
        """The one of that id, else of that name.

        Raises:
            WorkerError: ``not_found``.
        """


class Executions(Protocol):
    """Executions with their audit trail. Stages are only ever appended, and chained in the order they are given."""

    def begin(self, execution: Execution) -> None:
        """Keep a run that has begun, with the stages it has behind it."""

    def finish(self, execution: Execution, new_stages: Sequence[StageRecord]) -> None:
        """Keep how the run ended, and the stages since ``begin``."""

    def get(self, execution_id: str) -> Execution:
        """The run with its trail.

        Raises:
            WorkerError: ``not_found``.
        """


class Sessions(Protocol):
    """Sessions by id. One whose time is up is not there any more."""

    def add(self, session: Session, *, most: int) -> None:
        """Keep a new one.

        Args:
            session: The new one.
            most: How many there may be then.

        Raises:
            WorkerError: ``already_exists``, or ``limit``: there are as many as there may be.
        """

    def get(self, session_id: str) -> Session:
        """The one of that id.

        Raises:
            WorkerError: ``not_found``.
        """

    def touch(self, session_id: str) -> Session:
        """Let it live for another ttl.

        Raises:
            WorkerError: ``not_found``.
        """

    def end(self, session_id: str) -> None:
        """Take it away with its variables.

        Raises:
            WorkerError: ``not_found``.
        """

    def list(self, *, after: str, most: int) -> Sequence[Session]:
        """Those with an id beyond ``after``, by id."""


class Variables(Protocol):
    """The variables of sessions, with their changes. Every method raises ``not_found`` where there is no session."""

    def apply(
        self, session_id: str, edits: Sequence[Edit], *, atomic: bool
    ) -> Sequence[tuple[Variable | None, int] | WorkerError]:
        """Make the edits in order, in one transaction.

        Args:
            session_id: Whose variables.
            edits: What to change.
            atomic: Whether one that is refused refuses all.

        Returns:
            For each edit the variable as it is now, None when deleted, with the position of the change, or the error
            that refused it.

        Raises:
            WorkerError: The first refusal, where ``atomic``; nothing is changed then.
        """

    def get(self, session_id: str, key: str) -> Variable:
        """The one of that id, else of that name.

        Raises:
            WorkerError: ``not_found``.
        """

    def find(self, session_id: str, keys: Sequence[str]) -> Mapping[str, Variable]:
        """Those there are among the ids and names."""

    def names(self, session_id: str) -> Sequence[str]:
        """All names, sorted."""

    def history(self, session_id: str, key: str) -> Sequence[Change]:
        """The changes that are kept of one variable, by id or name, oldest first."""

    def snapshot(self, session_id: str) -> tuple[int, Sequence[Variable]]:
        """The session's position with all its variables, at one moment."""

    def changes(self, session_id: str, *, after: int) -> tuple[int, Sequence[Change]]:
        """The session's position with the changes that are kept beyond a position, in order, at one moment."""


class Listener(Protocol):
    """Whom a feed tells."""

    def is_watched(self, session_id: str) -> bool:
        """Whether anybody wants a session's changes: the others need not be told."""

    def tell(self, changes: Sequence[Change]) -> None:
        """Committed changes of one session."""

    def end(self, session_id: str) -> None:
        """A session was taken away."""

    def lose(self) -> None:
        """Changes may have been missed: who watches must begin again from the position it knows."""


class Feed(Protocol):
    """Tells every change once it is committed, those of one session in the order of their positions."""

    def start(self, listener: Listener) -> None:
        """Begin."""

    def close(self) -> None:
        """Tell nothing more."""


class ValueCodec(Protocol):
    """A value as the bytes that are kept of it, both ways, bit for bit."""

    def dump(self, value: Value, *, name: str) -> bytes:
        """The bytes.

        Raises:
            WorkerError: ``unserializable``, or ``limit``: more bytes than a value may have.
        """

    def load(self, data: bytes) -> Value:
        """The value."""
