"""What rpc and runtime ask of storage; python_worker.store answers on SQLite and PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from python_worker.domain.errors import WorkerError
    from python_worker.domain.execution import Execution, ExecutionQuery
    from python_worker.domain.program import Program
    from python_worker.domain.session import Session
    from python_worker.domain.signature import SignatureRecord
    from python_worker.domain.stage import StageRecord
    from python_worker.domain.value import Value
    from python_worker.domain.variable import Edit, Variable
    from python_worker.domain.watch import Change


class Signatures(Protocol):
    """Signatures by id and by name, each of a session or of the worker (session "")."""

    def add(self, record: SignatureRecord) -> None:
        """Keep a new one.

        Raises:
            WorkerError: ``already_exists``: the name is taken; or ``not_found``: no such session.
        """

    def get(self, id_or_name: str, *, session: str = "") -> SignatureRecord:
        """The one of that id, else of that name; the session's own before the worker's.

        Raises:
            WorkerError: ``not_found``.
        """

    def by_id(self, signature_id: str) -> SignatureRecord:
        """The one of that id, whosever it is, and even if it was deleted: a version of a program has it.

        Raises:
            WorkerError: ``not_found``.
        """

    def list(
        self, *, session: str, matches: Callable[[str], bool], after: str, most: int
    ) -> tuple[Sequence[SignatureRecord], str]:
        """A page of the session's and the worker's, by name, with the token to go on from, "" after the last."""

    def delete(self, id_or_name: str, *, session: str) -> None:
        """Take the session's own one away, or the worker's where ``session`` is "".

        Raises:
            WorkerError: ``not_found``, or ``in_use``: programs have it.
        """


class Programs(Protocol):
    """Programs by id and by name, in versions, each of a session or of the worker (session "")."""

    def add(self, program: Program, signature: SignatureRecord | None = None) -> None:
        """Keep the first version of a new one, and the signature that came with it.

        Raises:
            WorkerError: ``already_exists``: the name is taken; or ``not_found``: no such session or signature.
        """

    def add_version(self, program: Program, signature: SignatureRecord | None = None) -> bool:
        """Keep the next version of one, and the signature that came with it.

        Returns:
            False where the program is not at the version before any more, and nothing is kept.

        Raises:
            WorkerError: ``not_found``: no such signature.
        """

    def newest(self, id_or_name: str, *, session: str = "") -> tuple[str, int]:
        """Id and newest version of the one of that id, else of that name; the session's own before the worker's.

        Raises:
            WorkerError: ``not_found``.
        """

    def version(self, program_id: str, version: int) -> Program:
        """That version, even of one that was deleted.

        Raises:
            WorkerError: ``not_found``.
        """

    def list(
        self, *, session: str, matches: Callable[[str], bool], after: str, most: int
    ) -> tuple[Sequence[Program], str]:
        """A page of the session's and the worker's, newest versions, by name, with the token to go on from."""

    def delete(self, id_or_name: str, *, session: str) -> None:
        """Free the name of the session's own one, or of the worker's where ``session`` is ""; versions stay.

        Raises:
            WorkerError: ``not_found``.
        """


class Executions(Protocol):
    """Executions with their audit trail. Stages are only ever appended, and chained in the order they are given."""

    def begin(self, execution: Execution) -> Execution | None:
        """Keep a run that has begun, with the stages it has behind it.

        Returns:
            The execution that has its idempotency key in its session already; nothing is kept then.
        """

    def finish(self, execution: Execution, new_stages: Sequence[StageRecord]) -> None:
        """Keep how the run ended, and the stages since ``begin``.

        Raises:
            WorkerError: ``unavailable``: it cannot be kept now; it is when it can.
        """

    def is_unstored(self, execution_id: str) -> bool:
        """Whether it has ended here, and its ending cannot be kept yet."""

    def keep(self, execution: Execution) -> None:
        """Keep a run that has ended and was not begun here: all at once."""

    def get(self, execution_id: str) -> Execution:
        """The run with its trail.

        Raises:
            WorkerError: ``not_found``.
        """

    def list(self, query: ExecutionQuery, *, after: str, most: int) -> tuple[Sequence[Execution], str]:
        """A page of runs, the newest first, without their stages.

        Args:
            query: Which.
            after: What a page before told to go on from; "" begins.
            most: How many at most.

        Returns:
            The runs, and what to go on from; "" after the last.

        Raises:
            WorkerError: ``invalid_argument``: no page told that.
        """


class Presence(Protocol):
    """This worker among those that share a database: whose runs are whose, and who is still there."""

    @property
    def owner(self) -> str:
        """What this worker's executions carry."""

    def start(self, cancel: Callable[[str], bool]) -> None:
        """Be there from now on, and mark what workers that are gone left running as interrupted.

        Args:
            cancel: Called with the id of an execution that another worker was asked to cancel; tells whether it is
                under way here.
        """

    def ask_to_cancel(self, execution_id: str) -> bool:
        """Tell the worker that runs it; whether it hears."""

    def close(self) -> None:
        """Be there no more."""


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
