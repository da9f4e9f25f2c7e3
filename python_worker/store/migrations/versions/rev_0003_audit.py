"""The audit trail that refuses to be changed, and gives up its beginning only against a record of that."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_EVENTS = "audit events are append-only"
_HEADS = "audit heads only move forward: the trail is append-only"
_TRUNCATIONS = "records of truncation stay: the trail is append-only"

_REMOVED = "SELECT 1 FROM audit_truncations t WHERE t.chain = OLD.chain AND t.sequence >= OLD.sequence"


def upgrade() -> None:
    """Create the tables and the triggers."""
    _create_tables()
    if op.get_bind().dialect.name == "postgresql":
        _refuse_changes_on_postgresql()
    else:
        _refuse_changes_on_sqlite()


def downgrade() -> None:
    """Drop them all."""
    for table in ("audit_events", "audit_heads", "audit_truncations"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        for function in ("refuse_audit_change", "refuse_unrecorded_removal", "refuse_audit_step_back"):
            op.execute(f"DROP FUNCTION {function}()")


def _create_tables() -> None:
    op.create_table(
        "audit_events",
        sa.Column("chain", sa.Text, primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("execution_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
    )
    op.create_index("ix_audit_events_execution_id", "audit_events", ["execution_id"])
    op.create_table(
        "audit_heads",
        sa.Column("chain", sa.Text, primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
    )
    op.create_table(
        "audit_truncations",
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


def _refuse_changes_on_sqlite() -> None:
    step_back = "NEW.chain <> OLD.chain OR NEW.sequence <= OLD.sequence"
    _refuse("audit_events", "UPDATE", _EVENTS)
    _refuse("audit_events", "DELETE", _EVENTS, when=f"NOT EXISTS ({_REMOVED})")
    _refuse("audit_heads", "UPDATE", _HEADS, when=step_back)
    _refuse("audit_heads", "DELETE", _HEADS)
    for action in ("UPDATE", "DELETE"):
        _refuse("audit_truncations", action, _TRUNCATIONS)
    # INSERT OR REPLACE takes rows away without asking the triggers of DELETE.
    same_chain = "EXISTS (SELECT 1 FROM {} x WHERE x.chain = NEW.chain)"
    same_event = "EXISTS (SELECT 1 FROM {} x WHERE x.chain = NEW.chain AND x.sequence = NEW.sequence)"
    for table, why, there in (
        ("audit_events", _EVENTS, same_event),
        ("audit_heads", _HEADS, same_chain),
        ("audit_truncations", _TRUNCATIONS, same_event),
    ):
        _refuse(table, "INSERT", why, when=there.format(table))


def _refuse(table: str, action: str, why: str, *, when: str = "") -> None:
    op.execute(
        f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} "
        f"{f'WHEN {when} ' if when else ''}BEGIN SELECT RAISE(ABORT, '{why}'); END"
    )


def _refuse_changes_on_postgresql() -> None:
    _function("refuse_audit_change", "RAISE EXCEPTION '%', TG_ARGV[0];")
    _function(
        "refuse_unrecorded_removal",
        f"IF EXISTS ({_REMOVED}) THEN RETURN OLD; END IF; RAISE EXCEPTION '%', TG_ARGV[0];",
    )
    _function(
        "refuse_audit_step_back",
        "IF NEW.chain = OLD.chain AND NEW.sequence > OLD.sequence THEN RETURN NEW; END IF; "
        "RAISE EXCEPTION '%', TG_ARGV[0];",
    )
    _guard("audit_events", "UPDATE OR TRUNCATE", "STATEMENT", "refuse_audit_change", _EVENTS)
    _guard("audit_events", "DELETE", "ROW", "refuse_unrecorded_removal", _EVENTS)
    _guard("audit_heads", "DELETE OR TRUNCATE", "STATEMENT", "refuse_audit_change", _HEADS)
    _guard("audit_heads", "UPDATE", "ROW", "refuse_audit_step_back", _HEADS)
    _guard("audit_truncations", "UPDATE OR DELETE OR TRUNCATE", "STATEMENT", "refuse_audit_change", _TRUNCATIONS)


def _function(name: str, body: str) -> None:
    op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$")


def _guard(table: str, actions: str, each: str, function: str, why: str) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_{function} BEFORE {actions} ON {table} "
        f"FOR EACH {each} EXECUTE FUNCTION {function}('{why}')"
    )
