"""The tables. What changes here needs a migration."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

metadata = sa.MetaData()


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_number(moment: datetime) -> int:
    """A time as microseconds since 1970, as both databases keep it alike.

    >>> to_moment(to_number(datetime(2026, 11, 20, tzinfo=UTC))).isoformat()
    '2026-11-20T00:00:00+00:00'
    """
    return (moment - _EPOCH) // _MICROSECOND


def to_moment(number: int) -> datetime:
    """The time of that many microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=number)


class Moment(sa.types.TypeDecorator[datetime]):
    """A time as a number."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002 - its signature
        """Turn into a number."""
        return None if value is None else to_number(value)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002 - its signature
        """Turn into a time."""
        return None if value is None else to_moment(value)


signatures = sa.Table(
    "signatures",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("session", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("deleted_at", Moment),
)

# What is deleted frees its name and stays: executions and versions of programs refer to it.
_SIGNATURE_NAMED = sa.and_(signatures.c.deleted_at.is_(None), signatures.c.name != "")
sa.Index(
    "ix_signatures_name",
    signatures.c.session,
    signatures.c.name,
    unique=True,
    sqlite_where=_SIGNATURE_NAMED,
    postgresql_where=_SIGNATURE_NAMED,
)

programs = sa.Table(
    "programs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("session", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("deleted_at", Moment),
)
sa.Index(
    "ix_programs_name",
    programs.c.session,
    programs.c.name,
    unique=True,
    sqlite_where=programs.c.deleted_at.is_(None),
    postgresql_where=programs.c.deleted_at.is_(None),
)

program_versions = sa.Table(
    "program_versions",
    metadata,
    sa.Column("program_id", sa.Text, sa.ForeignKey("programs.id"), primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("signature_id", sa.Text, sa.ForeignKey("signatures.id"), index=True),
    sa.Column("module", sa.Text, nullable=False),
    sa.Column("import_path", sa.Text, nullable=False),
    sa.Column("config", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("actions", sa.Text, nullable=False),
    sa.Column("metadata", sa.Text, nullable=False),
    sa.Column("capabilities", sa.Text, nullable=False),
    sa.Column("made_at", Moment, nullable=False),
)

executions = sa.Table(
    "executions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("program_id", sa.Text, sa.ForeignKey("programs.id"), nullable=False),
    sa.Column("program_version", sa.BigInteger, nullable=False),
    sa.Column("session", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("inputs", sa.Text, nullable=False),
    sa.Column("outputs", sa.Text, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("raw_answer", sa.Text),
    sa.Column("adapter_used", sa.Text, nullable=False),
    sa.Column("fallbacks", sa.Text, nullable=False),
    sa.Column("attempts", sa.BigInteger, nullable=False),
    sa.Column("metrics", sa.Text),
    sa.Column("action_results", sa.Text, nullable=False),
    sa.Column("idempotency_key", sa.Text, nullable=False),
    sa.Column("asked_by", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("duration", sa.Float),
    sa.Index("ix_executions_started_at", "started_at", "id"),
    sa.Index("ix_executions_session", "session", "started_at", "id"),
    sa.Index("ix_executions_program_id", "program_id", "started_at", "id"),
    sa.Index(
        "ix_executions_idempotency_key",
        "session",
        "idempotency_key",
        unique=True,
        sqlite_where=sa.text("idempotency_key <> ''"),
        postgresql_where=sa.text("idempotency_key <> ''"),
    ),
    sa.Index(
        "ix_executions_running",
        "owner",
        sqlite_where=sa.text("status = 'running'"),
        postgresql_where=sa.text("status = 'running'"),
    ),
)

# Texts, not JSON columns: what was digested must come back byte for byte.
audit_events = sa.Table(
    "audit_events",
    metadata,
    sa.Column("chain", sa.Text, primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("execution_id", sa.Text, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
)

audit_heads = sa.Table(
    "audit_heads",
    metadata,
    sa.Column("chain", sa.Text, primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
)

audit_truncations = sa.Table(
    "audit_truncations",
    metadata,
    sa.Column("chain", sa.Text, primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("before", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("public", sa.Text, nullable=False),
    sa.Column("signature", sa.Text, nullable=False),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("ttl", sa.Float),
    sa.Column("expires_at", Moment, index=True),
    sa.Column("metadata", sa.Text, nullable=False),
    sa.Column("lm", sa.Text, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("variables", sa.BigInteger, nullable=False),
)

variables = sa.Table(
    "variables",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("session_id", sa.Text, sa.ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("value", sa.LargeBinary, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("metadata", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("session_id", "name"),
)

variable_changes = sa.Table(
    "variable_changes",
    metadata,
    sa.Column("session_id", sa.Text, sa.ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("variable_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("value", sa.LargeBinary),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("metadata", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Index("ix_variable_changes_name", "session_id", "name", "version"),
)
