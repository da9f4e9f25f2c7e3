"""What may be done with sessions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.session import Session, SessionLM, check_same_lm, check_session_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from python_worker.domain.repositories import Sessions

LONGEST_TTL = 366 * 86_400.0
MOST_METADATA = 64


@dataclass(frozen=True, kw_only=True)
class SessionPolicy:
    """What a worker grants sessions.

    Attributes:
        most: How many there may be.
        ttl: Seconds that one lives unused whose creator does not say; None until it is ended.
        check_lm: Raises where a session asks for a language model that the worker cannot give.
    """

    most: int
    ttl: float | None
    check_lm: Callable[[SessionLM], None]


class SessionService:
    """Creates, gets, touches, ends and lists sessions."""

    def __init__(self, sessions: Sessions, *, policy: SessionPolicy) -> None:
        self._sessions = sessions
        self._policy = policy

    def create(
        self,
        session_id: str,
        *,
        ttl: float | None = None,
        metadata: Mapping[str, str] | None = None,
        lm: SessionLM | None = None,
        or_get: bool = False,
    ) -> Session:
        """Make a session.

        Args:
            session_id: Made up where empty.
            ttl: Seconds it lives unused; None for the worker's setting, 0 until it is ended.
            metadata: Whatever the client wants to find again.
            lm: Who answers its executions.
            or_get: Whether the session of that id is the answer, as it is, where there is one with that language model.

        Raises:
            WorkerError: ``invalid_argument``, ``already_exists``, ``limit``, or ``configuration``: a language model
                that this worker cannot give.
        """
        lm = lm or SessionLM()
        self._policy.check_lm(lm)
        session = Session(
            id=check_session_id(session_id),
            created_at=datetime.now(UTC),
            ttl=self._policy.ttl if ttl is None else check_ttl(ttl),
            metadata=check_metadata(metadata or {}),
            lm=lm,
        )
        try:
            self._sessions.add(session, most=self._policy.most)
        except WorkerError as error:
            # A full worker still answers for a session that it has.
            if or_get and error.reason in {Reason.ALREADY_EXISTS, Reason.LIMIT} and (found := self._known(session.id)):
                check_same_lm(found, lm)
                return found
            raise
        return self._sessions.get(session.id)

    def get(self, session_id: str) -> Session:
        """The session of that id.

        Raises:
            WorkerError: ``not_found``.
        """
        return self._sessions.get(session_id)

    def touch(self, session_id: str) -> Session:
        """Let it live for another ttl.

        Raises:
            WorkerError: ``not_found``.
        """
        return self._sessions.touch(session_id)

    def end(self, session_id: str) -> None:
        """Take it away with its variables; its watchers' streams end.

        Raises:
            WorkerError: ``not_found``.
        """
        self._sessions.end(session_id)

    def list(self, *, after: str, most: int) -> tuple[Sequence[Session], str]:
        """A page of sessions by id, with the id to go on from, empty after the last."""
        found = self._sessions.list(after=after, most=most + 1)
        return found[:most], found[most - 1].id if len(found) > most else ""

    def _known(self, session_id: str) -> Session | None:
        try:
            return self._sessions.get(session_id)
        except WorkerError as error:
            if error.reason is Reason.NOT_FOUND:
                return None
            raise


def check_ttl(ttl: float) -> float | None:
    """The seconds, or None for 0.

    Raises:
        WorkerError: ``invalid_argument``: negative, or longer than ``LONGEST_TTL``.

    >>> check_ttl(0), check_ttl(60.0)
    (None, 60.0)
    """
    if 0 <= ttl <= LONGEST_TTL:
        return ttl or None
    raise WorkerError(
        f"a ttl of {ttl:g} s: it must be from 0, which is forever, to {LONGEST_TTL:g} s.",
        reason=Reason.INVALID_ARGUMENT,
        field="ttl",
    )


def check_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """The metadata, if there is not too much of it.

    Raises:
        WorkerError: ``limit``.
    """
    size = sum(len(key) + len(text) for key, text in metadata.items())
    if len(metadata) > MOST_METADATA or size > MOST_METADATA * 1024:
        raise WorkerError(
            f"metadata of {len(metadata)} entries, {size} characters: at most {MOST_METADATA} entries and "
            f"{MOST_METADATA * 1024} characters are kept.",
            reason=Reason.LIMIT,
            field="metadata",
        )
    return dict(metadata)
