"""Sessions, variables and their changes as messages, both ways."""

from __future__ import annotations

from dataclasses import asdict

from python_worker.domain.session import Session, SessionLimits, SessionLM
from python_worker.domain.variable import Variable
from python_worker.domain.watch import Change, ChangeKind
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire.durations import duration, moment, put_timestamp, seconds, timestamp
from python_worker.wire.values import fill, from_wire

_KINDS = {kind: pb.ChangeKind.Value(f"CHANGE_KIND_{kind.name}") for kind in ChangeKind}
_KINDS_BY_NUMBER = {number: kind for kind, number in _KINDS.items()}
_WITH_OLD = {ChangeKind.SET, ChangeKind.DELETED}


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
    message = pb.Variable(
        id=variable.id,
        session=variable.session,
        name=variable.name,
        type=variable.type,
        version=variable.version,
        revision=variable.revision,
        position=variable.position,
    )
    # Put in place: handed to the constructor, each part would be made beside it and copied.
    fill(message.value, variable.value, variable.name)
    put_timestamp(message.created_at, variable.created_at)
    put_timestamp(message.updated_at, variable.updated_at)
    if variable.metadata:
        message.metadata.update(variable.metadata)
    return message


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
    message = pb.Change(
        kind=_KINDS[change.kind],
        variable_id=change.variable_id,
        name=change.name,
        version=change.version,
        reason=change.reason,
        position=change.position,
        coalesced=change.coalesced,
    )
    if change.kind in _WITH_OLD:
        fill(message.old, change.old, change.name)
    if change.kind is not ChangeKind.DELETED:
        fill(message.new, change.new, change.name)
    put_timestamp(message.at, change.at)
    if change.metadata:
        message.metadata.update(change.metadata)
    return message


def change_from_wire(message: pb.Change, *, session: str) -> Change:
    """A change."""
    return Change(
        kind=_KINDS_BY_NUMBER[message.kind],
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
