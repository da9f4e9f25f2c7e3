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
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("inputs", sa.Text, nullable=False),
        sa.Column("outputs", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("raw_answer", sa.Text),
        sa.Column("adapter_used", sa.Text, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration", sa.Float),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("executions")
