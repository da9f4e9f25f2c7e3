"""Executions."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "executions",
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
    )
    for name, first in (("started_at", ()), ("session", ("session",)), ("program_id", ("program_id",))):
        op.create_index(f"ix_executions_{name}", "executions", [*first, "started_at", "id"])
    _create_partial_indexes()


def downgrade() -> None:
    """Drop it."""
    op.drop_table("executions")


def _create_partial_indexes() -> None:
    with_key, running = sa.text("idempotency_key <> ''"), sa.text("status = 'running'")
    op.create_index(
        "ix_executions_idempotency_key",
        "executions",
        ["session", "idempotency_key"],
        unique=True,
        sqlite_where=with_key,
        postgresql_where=with_key,
    )
    op.create_index("ix_executions_running", "executions", ["owner"], sqlite_where=running, postgresql_where=running)
