"""Migration of a database, up to what this code needs or down to nothing.

Alembic's steps are run on a connection that is given: no ``env.py`` and no ``alembic.ini`` decide where to.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, MigrationStep, RevisionStep
from alembic.script import ScriptDirectory

if TYPE_CHECKING:
    from collections.abc import Callable

    import sqlalchemy as sa

_SCRIPTS = ScriptDirectory(str(Path(__file__).parent / "migrations"))


def upgrade(connection: sa.Connection) -> None:
    """Bring the database to the newest revision, in the connection's transaction."""
    _run(connection, _steps_up)


def downgrade(connection: sa.Connection) -> None:
    """Take every table away again, in the connection's transaction. The audit trail goes with them."""
    _run(connection, _steps_down)


def is_current(connection: sa.Connection) -> bool:
    """Whether the database is at the newest revision."""
    return MigrationContext.configure(connection).get_current_revision() == _SCRIPTS.get_current_head()


def _run(connection: sa.Connection, steps: Callable[[Any, MigrationContext], list[RevisionStep]]) -> None:
    context = MigrationContext.configure(connection, opts={"fn": steps})
    with Operations.context(context):
        context.run_migrations()


def _steps_up(current: Any, _context: MigrationContext) -> list[RevisionStep]:
    scripts = list(_SCRIPTS.iterate_revisions("head", current or "base"))
    return [MigrationStep.upgrade_from_script(_SCRIPTS.revision_map, script) for script in reversed(scripts)]


def _steps_down(current: Any, _context: MigrationContext) -> list[RevisionStep]:
    scripts = _SCRIPTS.iterate_revisions(current or "base", "base")
    return [MigrationStep.downgrade_from_script(_SCRIPTS.revision_map, script) for script in scripts]
