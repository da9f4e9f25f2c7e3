"""Storage on SQLite and PostgreSQL: the same tables, migrations and behaviour on both."""

from python_worker.store.audit import AuditLog
from python_worker.store.database import FILE_NAME, Database
from python_worker.store.executions import SqlExecutions
from python_worker.store.presence import new_owner, presence_on
from python_worker.store.programs import SqlPrograms
from python_worker.store.signatures import SqlSignatures
from python_worker.store.state import StateStore

__all__ = [
    "FILE_NAME",
    "AuditLog",
    "Database",
    "SqlExecutions",
    "SqlPrograms",
    "SqlSignatures",
    "StateStore",
    "new_owner",
    "presence_on",
]
