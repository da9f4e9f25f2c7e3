"""A session: a space of variables of its own, and who answers its executions."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_worker.domain.errors import Reason, WorkerError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class SessionLimits:
    """What stops a session's live calls before they are sent; None is no limit of the session's own.

    Attributes:
        requests_per_minute: Calls in any minute.
        tokens_per_minute: Tokens in a minute, sent and received together.
        max_concurrency: Calls under way at once.
        usd_per_run: USD that all sessions of the worker have spent in its life, as a decimal number.
        usd_per_month: USD of a calendar month, as a decimal number.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_concurrency: int | None = None
    usd_per_run: str | None = None
    usd_per_month: str | None = None


@dataclass(frozen=True, kw_only=True)
class SessionLM:
    """Who answers the executions of a session; None is the worker's own.

    Attributes:
        mode: An lmtest mode.
        cassette_dir: A directory below the worker's own.
        model: The model of programs that name none.
        limits: What its live calls may use up.
    """

    mode: str | None = None
    cassette_dir: str | None = None
    model: str | None = None
    limits: SessionLimits = field(default_factory=SessionLimits)


@dataclass(frozen=True, kw_only=True)
class Session:
    """A space of variables.

    Attributes:
        ttl: Seconds it lives unused; None until it is ended.
        expires_at: When it ends if it stays unused; None without a ttl.
        position: Grows with every change of a variable: the order of all changes of the session.
        variables: How many it holds.
    """

    id: str
    created_at: datetime
    ttl: float | None = None
    expires_at: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    lm: SessionLM = field(default_factory=SessionLM)
    position: int = 0
    variables: int = 0


def check_session_id(text: str) -> str:
    """The id, made up where it is empty.

    Raises:
        WorkerError: ``invalid_argument``.

    >>> check_session_id("user-42@eu")
    'user-42@eu'
    >>> check_session_id("").startswith("session_")
    True
    """
    if not text:
        return f"session_{uuid.uuid4().hex}"
    if _ID.fullmatch(text):
        return text
    raise WorkerError(
        f"{text[:120]!r} cannot name a session: use up to 100 letters, digits, '_', '-', '.', ':' and '@', the first a "
        "letter, a digit or '_'.",
        reason=Reason.INVALID_ARGUMENT,
        field="id",
    )


def check_same_lm(session: Session, lm: SessionLM) -> None:
    """See that a session which is there answers as it is asked to; who asks for nothing has it as it is.

    Raises:
        WorkerError: ``already_exists``: it does not; the message tells what differs.

    >>> from datetime import UTC, datetime
    >>> ada = Session(id="ada", created_at=datetime(2026, 11, 20, tzinfo=UTC), lm=SessionLM(mode="mock"))
    >>> check_same_lm(ada, SessionLM())
    """
    if lm == SessionLM():
        return
    has, asked = _flat(session.lm), _flat(lm)
    differs = [
        f"{name} is {_told(has[name])}, and {_told(asked[name])} was asked for"
        for name in has
        if has[name] != asked[name]
    ]
    if differs:
        raise WorkerError(
            f"session {session.id!r} is there already, with another language model: {'; '.join(differs)}. Ask for it "
            "without one to have it as it is; for another, choose another id, or end it first, and with it its "
            "variables.",
            reason=Reason.ALREADY_EXISTS,
            field="lm",
        )


def _flat(lm: SessionLM) -> dict[str, object]:
    fields = vars(lm) | {f"limits.{name}": value for name, value in vars(lm.limits).items()}
    return {name: value for name, value in fields.items() if name != "limits"}


def _told(value: object) -> str:
    return "the worker's own" if value is None else repr(value)


def no_session(session_id: str) -> WorkerError:
    """The error for a session that is not there."""
    return WorkerError(
        f"session {session_id[:120]!r} not found: it was ended, it expired, or it never was. CreateSession makes it.",
        reason=Reason.NOT_FOUND,
        field="session",
    )
