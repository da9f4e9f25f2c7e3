"""Storage on SQLite and PostgreSQL: the same tables, migrations and behaviour on both."""

from python_worker.extra import needed_by

with needed_by("python_worker's storage"):
    from python_worker.store.audit_log import AuditLog, OnRecord
    from python_worker.store.backup import back_up, is_row, restore
    from python_worker.store.database import FILE_NAME, Database
    from python_worker.store.executions import SqlExecutions
    from python_worker.store.presence import new_owner, presence_on
    from python_worker.store.programs import SqlPrograms
    from python_worker.store.retention import truncate
    from python_worker.store.signatures import SqlSignatures
    from python_worker.store.state import StateStore
    from python_worker.store.trail import ExecutionTrail
    from python_worker.store.upkeep import Upkeep

__all__ = [
    "FILE_NAME",
    "AuditLog",
    "Database",
    "ExecutionTrail",
    "OnRecord",
    "SqlExecutions",
    "SqlPrograms",
    "SqlSignatures",
    "StateStore",
    "Upkeep",
    "back_up",
    "is_row",
    "new_owner",
    "presence_on",
    "restore",
    "truncate",
]
