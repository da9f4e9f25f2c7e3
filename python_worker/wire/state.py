"""Sessions, variables and their changes as messages, both ways."""

from __future__ import annotations

from dataclasses import asdict

from python_worker.domain.session import Session, SessionLimits, SessionLM
from python_worker.domain.variable import Variable
from python_worker.domain.watch import Change, ChangeKind
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire.durations import duration, moment, seconds, timestamp
from python_worker.wire.values import from_wire, to_wire


def session_to_wire(session: Session, *, watchers: int) -> pb.Session:
    """A session."""
    return pb.Session(
        id=session.id,
        created_at=timestamp(session.created_at),
        ttl=None if session.ttl is None else duration(session.ttl),
        expires_at=None if session.expires_at is None else timestamp(session.expires_at),
        metadata=session.metadata,
        lm=lm_to_wire(session.lm),
        position=session.position,
        variables=session.variables,
        watchers=watchers,
    )


def session_from_wire(message: pb.Session) -> Session:
    """A session."""
    return Session(
        id=message.id,
        created_at=moment(message.created_at),
        ttl=seconds(message.ttl) if message.HasField("ttl") else None,
        expires_at=moment(message.expires_at) if message.HasField("expires_at") else None,
        metadata=dict(message.metadata),
        lm=lm_from_wire(message.lm),
        position=message.position,
        variables=message.variables,
    )


def lm_to_wire(lm: SessionLM) -> pb.SessionLM:
    """Who answers a session's executions."""
    limits = pb.Limits(**asdict(lm.limits))
    return pb.SessionLM(mode=lm.mode, cassette_dir=lm.cassette_dir, model=lm.model, limits=limits)


def lm_from_wire(message: pb.SessionLM) -> SessionLM:
    """Who answers a session's executions."""
    given = {field.name: value for field, value in message.limits.ListFields()}
    return SessionLM(
        mode=message.mode if message.HasField("mode") else None,
        cassette_dir=message.cassette_dir if message.HasField("cassette_dir") else None,
        model=message.model if message.HasField("model") else None,
        limits=SessionLimits(**given),
    )


def variable_to_wire(variable: Variable) -> pb.Variable:
    """A variable."""
    return pb.Variable(
        id=variable.id,
        session=variable.session,
        name=variable.name,
        type=variable.type,
        value=to_wire(variable.value, variable.name),
        version=variable.version,
        revision=variable.revision,
        metadata=variable.metadata,
        created_at=timestamp(variable.created_at),
        updated_at=timestamp(variable.updated_at),
        position=variable.position,
    )


def variable_from_wire(message: pb.Variable) -> Variable:
    """A variable."""
    return Variable(
        id=message.id,
        session=message.session,
        name=message.name,
        type=message.type,
        value=from_wire(message.value, message.name),
        version=message.version,
        metadata=dict(message.metadata),
        created_at=moment(message.created_at),
        updated_at=moment(message.updated_at),
        position=message.position,
    )


def change_to_wire(change: Change) -> pb.Change:
    """A change."""
    return pb.Change(
        kind=pb.ChangeKind.Value(f"CHANGE_KIND_{change.kind.name}"),
        variable_id=change.variable_id,
        name=change.name,
        old=to_wire(change.old, change.name) if _has_old(change) else None,
        new=None if change.kind is ChangeKind.DELETED else to_wire(change.new, change.name),
        version=change.version,
        metadata=change.metadata,
        reason=change.reason,
        at=timestamp(change.at),
        position=change.position,
        coalesced=change.coalesced,
    )


def change_from_wire(message: pb.Change, *, session: str) -> Change:
    """A change."""
    return Change(
        kind=ChangeKind[pb.ChangeKind.Name(message.kind).removeprefix("CHANGE_KIND_")],
        session=session,
        variable_id=message.variable_id,
        name=message.name,
        old=from_wire(message.old, message.name) if message.HasField("old") else None,
        new=from_wire(message.new, message.name) if message.HasField("new") else None,
        version=message.version,
        metadata=dict(message.metadata),
        reason=message.reason,
        at=moment(message.at),
        position=message.position,
        coalesced=message.coalesced,
        size=message.ByteSize(),
    )


def _has_old(change: Change) -> bool:
    return change.kind in {ChangeKind.SET, ChangeKind.DELETED}
