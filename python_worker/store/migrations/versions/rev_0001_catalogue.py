"""Signatures, and programs in versions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "signatures",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("session", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
    )
    _create_unique("ix_signatures_name", "signatures", "deleted_at IS NULL AND name <> ''")
    op.create_table(
        "programs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("session", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
    )
    _create_unique("ix_programs_name", "programs", "deleted_at IS NULL")
    _create_versions()


def downgrade() -> None:
    """Drop them."""
    for table in ("program_versions", "programs", "signatures"):
        op.drop_table(table)


def _create_versions() -> None:
    op.create_table(
        "program_versions",
        sa.Column("program_id", sa.Text, sa.ForeignKey("programs.id"), primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("signature_id", sa.Text, sa.ForeignKey("signatures.id")),
        sa.Column("module", sa.Text, nullable=False),
        sa.Column("import_path", sa.Text, nullable=False),
        sa.Column("config", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("actions", sa.Text, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("capabilities", sa.Text, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_program_versions_signature_id", "program_versions", ["signature_id"])


def _create_unique(name: str, table: str, where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, ["session", "name"], unique=True, sqlite_where=condition, postgresql_where=condition)
