"""Migration of a database, up to what this code needs, down to nothing, or to a revision between.

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


def upgrade(connection: sa.Connection, revision: str = "head") -> None:
    """Bring the database up to a revision, the newest by default, in the connection's transaction."""

    def steps(current: Any, _context: MigrationContext) -> list[RevisionStep]:
        scripts = list(_SCRIPTS.iterate_revisions(revision, current or "base"))
        return [MigrationStep.upgrade_from_script(_SCRIPTS.revision_map, script) for script in reversed(scripts)]

    _run(connection, steps)


def downgrade(connection: sa.Connection, revision: str = "base") -> None:
    """Bring the database down to a revision, in the connection's transaction; by default every table goes.

    What later revisions made goes with all it holds: the audit trail too.
    """

    def steps(current: Any, _context: MigrationContext) -> list[RevisionStep]:
        scripts = _SCRIPTS.iterate_revisions(current or "base", revision)
        return [MigrationStep.downgrade_from_script(_SCRIPTS.revision_map, script) for script in scripts]

    _run(connection, steps)


def revisions() -> list[str]:
    """All that this code knows, the oldest first."""
    return [script.revision for script in reversed(list(_SCRIPTS.walk_revisions()))]


def revision_of(connection: sa.Connection) -> str | None:
    """The revision the database is at; None before the first."""
    return MigrationContext.configure(connection).get_current_revision()


def is_current(connection: sa.Connection) -> bool:
    """Whether the database is at the newest revision."""
    return revision_of(connection) == _SCRIPTS.get_current_head()


def _run(connection: sa.Connection, steps: Callable[[Any, MigrationContext], list[RevisionStep]]) -> None:
    context = MigrationContext.configure(connection, opts={"fn": steps})
    with Operations.context(context):
        context.run_migrations()
