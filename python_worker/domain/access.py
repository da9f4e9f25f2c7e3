"""Who may do what: tokens, each with the sessions it opens."""

from __future__ import annotations

import hashlib
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.variable import matcher

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What a token opens.

    Attributes:
        name: Whose it is, for messages.
        sessions: Ids, or patterns with ``*`` and ``?``; None is everything, programs and all sessions.
        cassettes: Whether it may name the test, and so the cassette, that an execution plays from and records into.
    """

    name: str
    sessions: tuple[str, ...] | None = None
    cassettes: bool = False

    @property
    def opens_all(self) -> bool:
        """Whether it opens programs and all sessions."""
        return self.sessions is None

    def check_session(self, session_id: str) -> None:
        """See that the session is open to it.

        Raises:
            WorkerError: ``permission_denied``.

        >>> Grant(name="ada", sessions=("ada-*",)).check_session("ada-1")
        """
        # A grant of no session opens none, where a matcher of no pattern would match all.
        if self.sessions is not None and not (self.sessions and matcher(self.sessions)(session_id)):
            raise denied(f"the token of {self.name!r} does not open session {session_id[:120]!r}")

    def check_cassettes(self) -> None:
        """See that it may name a cassette.

        Raises:
            WorkerError: ``permission_denied``.

        >>> Grant(name="ci", cassettes=True).check_cassettes()
        """
        if not self.cassettes:
            raise denied(
                f"the token of {self.name!r} does not let its client name a cassette, which tests do by the metadata "
                f"lmtest-test, nor record one anew: it needs 'cassettes = true' in [{self.name}] of the worker's "
                "--tokens; or connect with as_test=False"
            )


_NOBODY = Grant(name="", cassettes=True)

CALLER: ContextVar[Grant] = ContextVar("caller", default=_NOBODY)
"""The grant of the call that this thread handles; one for everything and of no name where tokens are not asked for."""


class Tokens:
    """Grants by the SHA-256 of their token: who reads the list cannot use it.

    Args:
        grants: By SHA-256, 64 hexadecimal digits.
    """

    def __init__(self, grants: Mapping[str, Grant]) -> None:
        self._grants = grants

    def grant(self, authorization: str | None) -> Grant:
        """The grant of an ``authorization: Bearer …`` header.

        Raises:
            WorkerError: ``unauthenticated``.
        """
        scheme, _, token = (authorization or "").partition(" ")
        digest = hashlib.sha256(token.strip().encode()).hexdigest()
        if scheme.lower() != "bearer" or digest not in self._grants:
            what = "an unknown token" if authorization else "no token"
            raise WorkerError(
                f"this worker wants a token, and {what} came: send 'authorization: Bearer <token>'.",
                reason=Reason.UNAUTHENTICATED,
            )
        return self._grants[digest]


def denied(what: str) -> WorkerError:
    """The error for what a token does not open."""
    return WorkerError(f"{what}: ask who runs the worker for one that does.", reason=Reason.PERMISSION_DENIED)
